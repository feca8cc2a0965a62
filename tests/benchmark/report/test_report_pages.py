"""Pages of one run and of two: content, pictures, hostile runs."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmark.cli.app import app
from benchmark.report.comparison_page import write_comparison_page
from benchmark.report.control_rows import ReportError
from benchmark.report.run_page import write_run_report
from benchmark.report.worst_moments import worst_moments
from benchmark.results import CaseResult
from talkingpose.io.errors import UserError
from tests.benchmark.tiny_runs import protocol_everywhere, run, tiny_protocol
from tests.leaderboard.html_outline import Outline

NOISE = "tests.benchmark.sample_contestants:Noise"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Iterator[Path]:
    """A model and two controls under the small protocol."""
    folder = tmp_path_factory.mktemp("reports")
    rules = tiny_protocol().model_copy(update={"primary": ("psnr", "tje@2")})
    with protocol_everywhere(rules):
        for name, model in (("noise", NOISE), ("frozen", "frozen"), ("reencode", "reencode")):
            run(model, tiny, folder / name)
        yield folder


@pytest.fixture
def copied(runs: Path, tmp_path: Path) -> Path:
    """A copy of the model's run that a test may damage."""
    return Path(shutil.copytree(runs / "noise", tmp_path / "noise"))


def test_page_of_a_run_has_numbers_controls_pictures_and_a_sentence(runs: Path, tmp_path: Path):
    report = write_run_report(runs / "noise", tmp_path / "page.html")
    text = report.page.read_text(encoding="utf-8")
    outline = Outline(text)
    assert outline.faults == []
    assert [row.name for row in report.controls] == ["reencode", "frozen"]
    document = json.loads((runs / "noise/run.json").read_text())
    digest = document["protocol"]["sha256"]
    assert digest in text and digest[:12] in report.sentence
    assert f"{document['metrics']['psnr']['value']:.1f}"[:4] in report.sentence and " to " in report.sentence
    assert set(report.moments) == {"psnr", "ssim", "tje@1", "tje@2"}
    assert any("still portrait" in line for line in report.statements)
    images = outline.all("img")
    assert images and all((image["src"] or "").startswith("data:image/jpeg") for image in images)
    labels = {re.split(", ", image["alt"] or "", maxsplit=2)[2] for image in images}
    assert labels == {"real", "generated", "difference, four times"}
    assert not outline.all("script") and "http" not in re.sub(r'http-equiv="[^"]*"', "", text)


def test_worst_moment_is_the_worst_frame():
    case = CaseResult.model_validate(
        {"key": "k", "clip_id": "a", "split": "test", "cluster": "p", "seed": 0, "num_frames": 60, "width": 8,
         "height": 8, "fps": "25/1", "metrics": {}, "frames_sha256": "0", "generation_s": 0, "scoring_s": 0}
    )  # fmt: skip
    scores = np.linspace(30, 40, 60)
    scores[[7, 9, 50]] = (1.0, 2.0, 3.0)
    scores[0] = np.nan
    found = worst_moments("psnr", "higher", {"a": case}, {"a": {"psnr": scores}}, 3)
    # Frame 9 belongs to the same second as frame 7.
    assert [(moment.frame, moment.value) for moment in found[:2]] == [(7, 1.0), (50, 3.0)]
    assert [m.frame for m in worst_moments("l1", "lower", {"a": case}, {"a": {"l1": scores}}, 1)] == [59]
    assert worst_moments("m", "none", {"a": case}, {"a": {"m": scores}}, 1) == []


def test_texts_of_a_run_are_escaped(copied: Path):
    path = copied / "run.json"
    document = json.loads(path.read_text())
    document["contestant"]["name"] = "<script>alert(1)</script>\u202e"
    document["contestant"]["licence"] = '"><img src=x onerror=alert(1)>'
    document["command"] = "</pre><script>alert(2)</script>"
    path.write_text(json.dumps(document))
    text = write_run_report(copied).page.read_text(encoding="utf-8")
    assert "<script" not in text and "<img src=x" not in text and "\u202e" not in text
    assert "&lt;script&gt;alert(1)" in text


def test_missing_video_is_a_remark(copied: Path):
    for path in (copied / "videos").iterdir():
        path.unlink()
    report = write_run_report(copied)
    assert any("not in the folder" in line for line in report.remarks)
    assert "generated" not in {a["alt"] for a in Outline(report.page.read_text()).all("img")}


def test_dataset_that_is_not_here_is_a_remark(copied: Path):
    path = copied / "run.json"
    document = json.loads(path.read_text())
    document["dataset"]["location"] = "somebody/secret-clips"
    path.write_text(json.dumps(document))
    report = write_run_report(copied)
    assert any("--dataset" in line for line in report.remarks)


@pytest.mark.parametrize("damage", ["parquet", "video", "link", "document"])
def test_damaged_run_is_refused_in_one_line(copied: Path, damage: str):
    if damage == "parquet":
        next((copied / "frames").glob("*.parquet")).write_bytes(b"PAR1" + b"\0" * 64)
    elif damage == "video":
        next((copied / "videos").glob("*.mp4")).write_bytes(b"no video")
    elif damage == "link":
        path = next((copied / "frames").glob("*.parquet"))
        path.unlink()
        path.symlink_to("/etc/hosts")
    else:
        (copied / "run.json").write_text("[" * 10_000)
    with pytest.raises(UserError) as caught:
        write_run_report(copied)
    assert "\n" not in str(caught.value)
    assert not (copied / "report.html").exists()


@pytest.mark.parametrize("metric", ["psnr", "tje@2"])
def test_clips_are_listed_worst_first(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metric: str
):
    monkeypatch.setattr("benchmark.report.run_page.primary_metrics", lambda run: [metric])
    page = write_run_report(runs / "noise", tmp_path / "page.html", dataset="none").page.read_text("utf-8")
    table = page[page.index("Primary scores of every clip") :].partition("</table>")[0]
    values = [float(text) for text in re.findall(r"<td>([\d.]+)</td></tr>", table)]
    assert len(values) > 1 and values == sorted(values, reverse=metric != "psnr")


def test_comparison_page_shows_both_runs(runs: Path, tmp_path: Path):
    page = tmp_path / "page.html"
    found = write_comparison_page(runs / "frozen", runs / "noise", page)
    outline = Outline(page.read_text(encoding="utf-8"))
    assert outline.faults == []
    labels = {(image["alt"] or "").rpartition(", ")[2] for image in outline.all("img")}
    assert labels == {"real", "A: frozen", "B: noise"}
    assert len(found.metrics) == 4


def test_commands(runs: Path, tmp_path: Path):
    page = tmp_path / "r.html"
    result = CliRunner().invoke(app, ["report", str(runs / "noise"), "--out", str(page), "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["primary"] == ["psnr", "tje@2"] and page.is_file()
    args = ["compare", str(runs / "frozen"), str(runs / "noise"), "--out", str(tmp_path / "c.html")]
    assert CliRunner().invoke(app, args).exit_code == 0
    with pytest.raises(ReportError, match="a folder"):
        write_run_report(runs / "noise", tmp_path)
    with pytest.raises(ReportError, match="no control"):
        write_run_report(runs / "frozen", page, controls=[runs / "noise"])
