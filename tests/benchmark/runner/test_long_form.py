"""Drift against the codec control: the scores without the effect of content and compression."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from benchmark.errors import EvaluationError
from benchmark.protocols.protocol import load_protocol
from benchmark.results import Run, json_schema, read_run
from benchmark.runner.evaluate import RunSettings, evaluate
from tests.benchmark.drawn_clips import Drawn, row, video_bytes, write_dataset
from tests.benchmark.tiny_runs import protocol_everywhere
from tools.control_table import tables

CLIPS = tuple(
    Drawn(f"clip-{name}", person, Fraction(25), length, (48, 48))
    for name, person, length in (("a", "anna", 110), ("b", "bela", 130), ("c", "bela", 121))
)
METRICS = ("psnr", "ssim", "colour", "sharpness", "tje")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three small clips of four seconds and more."""
    folder = tmp_path_factory.mktemp("clips")
    return write_dataset(folder / "set", {"test": [row(clip, video_bytes(clip, folder)) for clip in CLIPS]})


@pytest.fixture(scope="module", autouse=True)
def _few_metrics() -> Iterator[None]:
    long = load_protocol("tp-long@1")
    few = {name: version for name, version in long.metrics.items() if name in METRICS}
    protocol = long.model_copy(update={"metrics": few})
    with protocol_everywhere(protocol), pytest.MonkeyPatch.context() as patch:
        patch.setattr("tools.control_table.load_protocol", lambda name: protocol)
        yield


@pytest.fixture(scope="module")
def control(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "reencode"
    evaluate(RunSettings(model="reencode", dataset=str(dataset), out=out, device="cpu", in_process=True))
    return out


def run(dataset: Path, out: Path, model: str, control: Path | None, **more: object) -> Run:
    settings = RunSettings(
        model=model, dataset=str(dataset), out=out, device="cpu", in_process=True, codec_run=control, **more
    )
    return evaluate(settings)


def test_a_drifting_video_drifts_and_crosses(dataset: Path, tmp_path: Path, control: Path) -> None:
    out = tmp_path / "run"
    found = run(dataset, out, "drift", control, model_args={"levels": "60"}).long_form
    assert found is not None
    colour = found.drift["colour.mean"]
    # 60 levels over about 120 frames, less what is clipped.
    assert colour.slope_per_100_frames == pytest.approx(60 / 120 * 100, rel=0.15)
    crossed = found.horizons["colour.mean"]
    assert crossed.n_crossed == crossed.n_clips == 3 and crossed.median_s == 1
    assert found.horizons["sharpness"].n_crossed == 0
    document = json.loads((out / "run.json").read_text())
    jsonschema.validate(document, json_schema())
    assert read_run(out).long_form == found
    own, other = read_run(out).drift["ssim"], read_run(control).drift["ssim"]
    expected = np.array(own.mean, float) - np.array(other.mean, float)
    assert found.drift["ssim"].mean == pytest.approx(list(expected), abs=1e-12)
    text = tables(control, [out, control])
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line]
    assert rows[0] == ["clip", "drift", "reencode"] and ["slope", "drift", "reencode"] in rows
    first = {row[0]: row[1:] for row in reversed(rows)}
    assert float(first["`colour.mean`"][0].lstrip(">")) > 10 and first["`colour.mean`"][1] == "0"
    assert first["`tje@1`"][0].startswith(("-", "<-"))


def test_the_same_command_with_a_control_adds_it_without_generating(
    dataset: Path, control: Path, tmp_path: Path
) -> None:
    """The control against itself, which does not drift."""
    out = tmp_path / "reencode"
    shutil.copytree(control, out)
    stamps = {path: path.stat().st_mtime_ns for path in (out / "cases").iterdir()}
    plain = read_run(control)
    found = run(dataset, out, "reencode", control)
    assert plain.long_form is None and found.metrics == plain.metrics and found.long_form is not None
    assert {path: path.stat().st_mtime_ns for path in (out / "cases").iterdir()} == stamps
    for name, curve in found.long_form.drift.items():
        assert all(mean in (0, None) for mean in curve.mean), name
    assert all(horizon.n_crossed == 0 for horizon in found.long_form.horizons.values())


def test_a_run_that_is_no_control_of_these_clips_is_refused(
    dataset: Path, tmp_path: Path, control: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    document = json.loads((control / "run.json").read_text())
    document["contestant"]["name"] = "frozen"
    (other / "run.json").write_text(json.dumps(document))
    with pytest.raises(EvaluationError, match=r"--codec-run .*run of frozen.*--model reencode"):
        run(dataset, tmp_path / "a", "lag", other)
    with pytest.raises(EvaluationError, match="other clips"):
        run(dataset, tmp_path / "b", "lag", control, limit=1)
    with pytest.raises(EvaluationError, match="--max-frames"):
        run(dataset, tmp_path / "c", "lag", control, max_frames=105)
    assert not (tmp_path / "a").exists()
