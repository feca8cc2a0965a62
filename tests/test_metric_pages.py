"""Reference pages of the metrics."""

from __future__ import annotations

import pytest

from benchmark.metrics import family
from benchmark.metrics.registry import families, foreign
from tools.metric_pages import DOCS, FOLDER, pages


@pytest.fixture(scope="module")
def found() -> dict[str, str]:
    return pages()


def test_pages_are_up_to_date(found: dict[str, str]) -> None:
    """If this fails, run `python -m tools.metric_pages`."""
    stored = {f"{FOLDER}/{path.name}" for path in (DOCS / FOLDER).glob("*.md")}
    assert stored == found.keys() - {f"{FOLDER}.md"}
    for path, text in found.items():
        assert (DOCS / path).read_text(encoding="utf-8") == text, path


def test_every_metric_has_a_page_and_every_control_a_row(found: dict[str, str]) -> None:
    text = "".join(found.values())
    for name in families():
        for metric in () if foreign([name]) else family(name):
            assert f"`{metric.spec.id.partition('@')[0]}" in text
            assert metric.spec.title and metric.spec.blind_spots
    assert "| `tje@64` |" in found[f"{FOLDER}/tje.md"]
    assert "| `psnr.face` |" in found[f"{FOLDER}/psnr.md"]
