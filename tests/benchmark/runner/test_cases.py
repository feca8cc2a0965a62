"""Cases out, another program, videos back in."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.results import Run
from benchmark.runner.evaluate import RunSettings, evaluate
from benchmark.runner.predictions.cases import CaseExport, ExportError, ExportSettings, export_cases
from benchmark.validation import validate
from talkingpose.data.clips import load_clips
from talkingpose.media import VideoReader, read_image
from talkingpose.pose.styles import draw_style
from tests.benchmark.short_runs import admit_short_clips

PROGRAM = Path(__file__).with_name("other_program.py")
FIRST = "clip-a"


@pytest.fixture(autouse=True)
def _short_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    admit_short_clips(monkeypatch, "psnr", "tje", "portrait_colour")


def export(dataset: Path, out: Path, **options: Any) -> CaseExport:
    return export_cases(ExportSettings(dataset=str(dataset), out=out, **options))


def score(predictions: Path, dataset: Path, out: Path, **options: Any) -> Run:
    settings = RunSettings(
        model="theirs",
        dataset=str(dataset),
        out=out,
        device="cpu",
        predictions=predictions,
        prediction_map=predictions / "map.csv",
        **options,
    )
    return evaluate(settings)


def rows_of(out: Path) -> list[dict[str, str]]:
    with (out / "cases.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def frames(path: Path) -> list[np.ndarray]:
    with VideoReader(path) as reader:
        return [frame.image for frame in reader]


def messages(run: Run, kind: str) -> dict[str | None, str]:
    return {entry.clip_id: entry.message for entry in run.audit if entry.kind == kind}


@pytest.fixture(scope="module")
def cases(short: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An export with the driving frames, which are those to generate."""
    out = tmp_path_factory.mktemp("cases") / "out"
    with pytest.MonkeyPatch.context() as patch:
        admit_short_clips(patch)
        export(short, out, driving_frames="all", png=True)
    yield out


def returned(cases: Path, out: Path, fault: str) -> Path:
    """Run the other program, in an environment without this project."""
    command = [sys.executable, "-I", str(PROGRAM), str(cases), str(out), fault]
    subprocess.run(command, check=True, cwd=out.parent)
    return out


def test_exported_files_are_the_inputs_of_the_protocol(short: Path, cases: Path) -> None:
    clips = load_clips(short, "test")
    rows = rows_of(cases)
    assert [row["clip_id"] for row in rows] == [clip.clip_id for clip in clips]
    for row, clip in zip(rows, clips, strict=True):
        real = list(clip.frames())
        assert (row["width"], row["height"], row["num_frames"]) == ("48", "48", str(clip.num_frames))
        assert Fraction(row["fps"]) == clip.fps and row["prediction"] == f"{clip.clip_id}.mp4"
        assert np.array_equal(read_image(cases / row["portrait"]), real[0])
        assert np.array_equal(frames(cases / row["driving"]), real)
        with np.load(cases / row["keypoints"]) as arrays:
            assert np.array_equal(arrays["keypoints"], clip.keypoints)
            assert Fraction(*arrays["fps"].tolist()) == clip.fps and str(arrays["seed"]) == row["seed"]
        drawn = [draw_style(points, 48, 48, "dwpose") for points in clip.keypoints]
        assert np.array_equal(frames(cases / row["poses"]), drawn)
        pictures = cases / row["pose_frames"]
        assert len(list(pictures.iterdir())) == clip.num_frames
        assert np.array_equal(read_image(pictures / "frame_7.png"), drawn[7])


def test_real_frames_come_back_without_loss(short: Path, cases: Path, tmp_path: Path) -> None:
    made = returned(cases, tmp_path / "made", "none")
    run = score(made, short, tmp_path / "run", driving_frames="all", backbone="svd")
    assert run.status == "complete", messages(run, "failed")
    psnr = run.metrics["psnr"]
    assert psnr.value is None and psnr.state == "ok" and psnr.n_infinite == psnr.n_frames
    assert all(run.metrics[f"tje@{delta}"].value == 0 for delta in (1, 2, 4, 8, 16))
    assert not {"swapped", "lag", "foreign"} & {entry.kind for entry in run.audit}
    who = run.contestant
    assert (who.driving_frames, who.saw_driving_frames, who.backbone) == ("all", True, "svd")
    assert "--map" in run.command and "--driving-frames all --backbone svd" in run.command


def test_a_forgotten_video_is_named(short: Path, cases: Path, tmp_path: Path) -> None:
    run = score(returned(cases, tmp_path / "made", "forgotten"), short, tmp_path / "run")
    assert run.status == "partial" and list(messages(run, "failed")) == [FIRST]
    assert "my vidéos/take 0.mkv" in messages(run, "failed")[FIRST]


def test_swapped_videos_are_named(short: Path, cases: Path, tmp_path: Path) -> None:
    made = returned(cases, tmp_path / "made", "swapped")
    found = messages(score(made, short, tmp_path / "run"), "swapped")
    assert set(found) == {FIRST, "clip-b"}
    assert "take 0.mkv" in found[FIRST] and "clip-b" in found[FIRST] and FIRST in found["clip-b"]
    report = validate(str(made), dataset=str(short), prediction_map=made / "map.csv")
    assert sum("seems to be the video of" in finding.message for finding in report.findings) == 2


def test_a_shifted_video_is_named_with_its_shift(short: Path, cases: Path, tmp_path: Path) -> None:
    run = score(returned(cases, tmp_path / "made", "shifted=12"), short, tmp_path / "run")
    assert run.status == "complete" and list(messages(run, "lag")) == [FIRST]
    assert "12 frames early" in messages(run, "lag")[FIRST]
    assert run.metrics["psnr"].value is not None  # scored as it is


def test_a_resized_video_is_named(short: Path, cases: Path, tmp_path: Path) -> None:
    run = score(returned(cases, tmp_path / "made", "resized"), short, tmp_path / "run")
    assert "take 0.mkv: 64x64" in messages(run, "failed")[FIRST] and "48x48" in messages(run, "failed")[FIRST]


def test_videos_of_another_protocol_are_refused(short: Path, tmp_path: Path) -> None:
    """Poses that were not retargeted are other inputs, under equal names."""
    export(short, tmp_path / "raw", protocol="tp-cross-raw@1")
    made = returned(tmp_path / "raw", tmp_path / "made", "none")
    run = score(made, short, tmp_path / "run", protocol="tp-cross@1")
    assert run.status == "failed" and all("other inputs" in m for m in messages(run, "failed").values())
    assert score(made, short, tmp_path / "right", protocol="tp-cross-raw@1").status == "complete"


def test_pairs_have_the_portrait_of_one_clip_and_the_frames_of_the_other(short: Path, tmp_path: Path) -> None:
    out = tmp_path / "pairs"
    export(short, out, protocol="tp-cross@1", pose_style="openpose")
    clips = {clip.clip_id: clip for clip in load_clips(short, "test")}
    rows = rows_of(out)
    assert len(rows) == 2 and all(row["portrait_clip"] != row["driving_clip"] for row in rows)
    for row in rows:
        portrait, driving = clips[row["portrait_clip"]], clips[row["driving_clip"]]
        assert np.array_equal(read_image(out / row["portrait"]), next(portrait.frames()))
        assert np.array_equal(frames(out / row["driving"]), list(driving.frames()))
        assert int(row["num_frames"]) == driving.num_frames and row["driving_frames"] == "all"


def test_frames_to_generate_are_not_exported_unasked(short: Path, tmp_path: Path) -> None:
    export(short, tmp_path / "out", limit=1, max_frames=9)
    (row,) = rows_of(tmp_path / "out")
    assert (row["driving"], row["driving_frames"], row["num_frames"]) == ("", "none", "9")
    assert not (tmp_path / "out" / FIRST / "driving.mp4").exists()


def test_an_interrupted_export_is_completed(short: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(short, out)
    whole = {path: path.read_bytes() for path in out.rglob("*") if path.is_file() and path.name != ".lock"}
    (out / "cases.csv").unlink()
    (out / "clip-b").rename(out / ".clip-b.part")
    kept = (out / FIRST / "poses.mp4").stat().st_mtime_ns
    export(short, out)
    again = {path: path.read_bytes() for path in out.rglob("*") if path.is_file() and path.name != ".lock"}
    assert again.keys() == whole.keys() and (out / FIRST / "poses.mp4").stat().st_mtime_ns == kept
    assert all(again[path] == whole[path] for path in whole if path.suffix != ".npz")


def test_another_export_is_replaced_only_on_request(short: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(short, out, limit=1)
    (out / "notes.txt").write_text("mine")
    with pytest.raises(ExportError, match="--overwrite"):
        export(short, out, limit=1, png=True)
    export(short, out, limit=1, png=True, overwrite=True)
    assert rows_of(out)[0]["pose_frames"] and (out / "notes.txt").read_text() == "mine"
    export(short, out, png=True)  # more cases of the same options
    assert len(rows_of(out)) == 3


def test_a_folder_of_something_else_is_left_alone(short: Path, tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(ExportError, match=r"holiday\.jpg"):
        export(short, tmp_path, overwrite=True)
    with pytest.raises(ExportError, match="pose-style"):
        export(short, tmp_path / "out", pose_style="stick")
    with pytest.raises(ExportError, match="driving-frames"):
        export(short, tmp_path / "out", driving_frames="some")
    assert not (tmp_path / "out").exists()


def test_a_case_that_cannot_be_written_is_named(short: Path, tmp_path: Path) -> None:
    """The drawn clips have no face points to crop."""
    found = export(short, tmp_path / "out", driving_frames="face")
    assert not found.rows and set(found.failed) == {"clip-a", "clip-b", "clip-c"}
    assert all("face" in reason and "\n" not in reason for reason in found.failed.values())
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [".lock", "cases.csv", "export.json"]


def test_the_command_prints_one_document(
    short: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from benchmark.cli import app
    from talkingpose.io import console

    words = ["cases", "--dataset", str(short), "--out", str(tmp_path / "out"), "--limit", "1", "--json"]
    with pytest.raises(SystemExit) as stopped:
        console.run(app.app, "tp-eval", words)
    document = json.loads(capfd.readouterr().out)
    assert stopped.value.code == 0 and [row["clip_id"] for row in document["cases"]] == [FIRST]
