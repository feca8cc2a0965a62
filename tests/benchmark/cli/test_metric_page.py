from __future__ import annotations

import pytest

from benchmark.cli import metric_page
from benchmark.cli.metric_page import PAGE, definitions, with_definitions
from benchmark.metrics import FAMILIES


def test_the_page_says_what_the_specs_say() -> None:
    """Where this fails: `python -m benchmark.cli.metric_page`."""
    page = PAGE.read_text(encoding="utf-8")
    assert with_definitions(page) == page


def test_every_metric_stands_on_the_page_with_all_that_defines_it() -> None:
    text = definitions()
    for make in FAMILIES.values():
        specs = [metric.spec for metric in make((1, 64))]
        for spec in specs:
            assert f"`{spec.id}`" in text
            assert spec.definition and spec.source and spec.blind_spots and spec.unit
        assert specs[0].definition in text and specs[0].blind_spots in text


def test_a_page_without_its_marks_is_not_written() -> None:
    with pytest.raises(ValueError, match="definitions: begin"):
        with_definitions("# Metrics\n")
    assert metric_page.BEGIN in with_definitions(f"a {metric_page.BEGIN} old {metric_page.END} b")
