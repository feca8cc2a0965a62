"""Whole runs over the drawn dataset, in this process."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pyarrow.parquet
import pytest

from benchmark.errors import EvaluationError
from benchmark.results import Run, json_schema, read_case, read_run
from benchmark.runner.evaluate import Progress, RunSettings, evaluate
from talkingpose.model import checkpoint_folder
from tests.benchmark.drawn_clips import write_dataset

HERE = Path(__file__).parents[1]
IDS = ["clip-a", "clip-b", "clip-c"]


@pytest.fixture(autouse=True)
def _third_party(monkeypatch: pytest.MonkeyPatch) -> None:
    """`sample_contestants:Class` is found from the working directory."""
    monkeypatch.chdir(HERE)


def run(model: str, dataset: Path, out: Path, **options: Any) -> Run:
    settings = RunSettings(model=model, dataset=str(dataset), out=out, device="cpu", **options)
    return evaluate(settings, Progress(say=lambda line: None))


def failures(result: Run) -> dict[str, str]:
    return {str(entry.clip_id): entry.message for entry in result.audit if entry.kind == "failed"}


@pytest.fixture(scope="module")
def truth(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of `ground-truth`."""
    out = tmp_path_factory.mktemp("runs") / "truth"
    run("ground-truth", dataset, out)
    return out


def test_ground_truth_is_perfect_without_an_infinity(truth: Path) -> None:
    found = read_run(truth)
    assert found.status == "complete" and found.comparable
    for name in ("psnr", "psnr_pooled"):
        assert (found.metrics[name].value, found.metrics[name].state) == (None, "ok")
        assert found.metrics[name].n_infinite == 361
        assert str(found.metrics[name].reason).startswith("infinite")
    assert found.metrics["ssim"].value == 1.0
    assert {n for n, m in found.metrics.items() if n.startswith("tje@") and m.value == 0.0} == {
        f"tje@{d}" for d in (1, 2, 4, 8, 16, 32, 64)
    }
    assert (
        "NaN" not in (truth / "run.json").read_text() and "Infinity" not in (truth / "run.json").read_text()
    )
    assert found.contestant.saw_driving_frames and found.contestant.control


def test_a_run_follows_the_published_schema(truth: Path) -> None:
    document = json.loads((truth / "run.json").read_text())
    jsonschema.Draft202012Validator.check_schema(json_schema())
    jsonschema.validate(document, json_schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document | {"status": "fine"}, json_schema())


def test_what_a_run_consists_of(truth: Path) -> None:
    names = {str(p.relative_to(truth)) for p in truth.rglob("*") if p.is_file()}
    parts = {f"{folder}/{clip}.{end}" for clip in IDS for folder, end in (
        ("cases", "json"), ("frames", "parquet"), ("videos", "mp4"))}  # fmt: skip
    assert names == parts | {"run.json", ".lock"}


def test_frames_are_scored_one_by_one(dataset: Path, tmp_path: Path) -> None:
    run("frozen", dataset, tmp_path / "run")
    case = read_case(tmp_path / "run/cases/clip-a.json")
    table = pyarrow.parquet.read_table(tmp_path / "run/frames/clip-a.parquet").to_pandas()
    assert list(table["t"]) == list(range(110))
    assert np.isnan(table["psnr"][0]) and table["ssim"][0] == 1.0
    assert table["tje@8"].isna().sum() == 8
    for name in ("psnr", "ssim", "tje@1", "tje@64"):
        assert table[name].mean() == pytest.approx(case.metrics[name].value, abs=1e-9)
    assert case.metrics["psnr"].n_infinite == 1


def test_the_mean_is_over_clips_and_clusters_are_people(dataset: Path, tmp_path: Path) -> None:
    found = run("frozen", dataset, tmp_path / "run")
    cases = [read_case(tmp_path / f"run/cases/{clip}.json") for clip in IDS]
    values = [case.metrics["tje@2"].value for case in cases]
    weights = [case.metrics["tje@2"].n_frames for case in cases]
    summary = found.metrics["tje@2"]
    assert summary.value == pytest.approx(np.mean(values))
    assert summary.frame_weighted == pytest.approx(np.average(values, weights=weights))
    assert (summary.n_cases, summary.n_clusters, summary.coverage) == (3, 2, 1.0)
    assert summary.ci95 is not None and summary.ci95[0] <= summary.value <= summary.ci95[1]
    assert len(found.drift["ssim"].mean) == 4
    assert "psnr_pooled" not in found.drift


def test_the_video_beside_the_run_is_what_was_generated(dataset: Path, tmp_path: Path) -> None:
    import hashlib

    from talkingpose.media import VideoReader

    run("frozen", dataset, tmp_path / "run", limit=1)
    case = read_case(tmp_path / "run/cases/clip-a.json")
    assert case.video is not None
    path = tmp_path / "run" / case.video.path
    assert hashlib.sha256(path.read_bytes()).hexdigest() == case.video.sha256
    with VideoReader(path) as reader:
        frames = list(reader)
    assert len(frames) == 110 and reader.info.fps == 25


def test_limits_make_a_run_incomparable(dataset: Path, tmp_path: Path) -> None:
    assert not run("frozen", dataset, tmp_path / "a", limit=1).comparable
    assert not run("frozen", dataset, tmp_path / "b", max_frames=101).comparable


def test_the_result_does_not_depend_on_the_batch(dataset: Path, tmp_path: Path) -> None:
    hashes = []
    for size in (1, 2, 3):
        run("sample_contestants:Noise", dataset, tmp_path / str(size), batch_size=size)
        hashes.append([read_case(tmp_path / f"{size}/cases/{clip}.json").frames_sha256 for clip in IDS])
    assert hashes[0] == hashes[1] == hashes[2]


def test_another_seed_is_another_video(dataset: Path, tmp_path: Path) -> None:
    for seed in (0, 1):
        run("sample_contestants:Noise", dataset, tmp_path / str(seed), seed=seed, limit=1)
    first, second = (read_case(tmp_path / f"{s}/cases/clip-a.json") for s in (0, 1))
    assert first.frames_sha256 != second.frames_sha256 and first.key != second.key


@pytest.mark.parametrize(
    ("model", "failed", "reason"),
    [
        ("WrongSizeOnce", ["clip-b"], r"frame 7: the contestant yields uint8 \(120, 128, 3\)"),
        ("FloatFrames", IDS, "float32"),
        ("TooFew", ["clip-b", "clip-c"], "stopped after"),
        ("TooMany", ["clip-b", "clip-c"], "more than"),
        ("TwoForOne", IDS, "frames for"),
        ("Raises", ["clip-a"], r"RuntimeError: out of memory \(sample_contestants.py:\d+\)"),
        ("RaisesAtOnce", IDS, "no kernel"),
    ],
)
def test_a_faulty_contestant_gets_no_number(
    dataset: Path, tmp_path: Path, model: str, failed: list[str], reason: str
) -> None:
    import re

    found = run(f"sample_contestants:{model}", dataset, tmp_path / "run")
    assert sorted(failures(found)) == failed
    assert all(re.search(reason, message) for message in failures(found).values()), failures(found)
    good = [clip for clip in IDS if clip not in failed]
    assert found.status == ("partial" if good else "failed")
    assert [p.stem for p in sorted((tmp_path / "run/cases").iterdir())] == good
    assert [p.stem for p in sorted((tmp_path / "run/videos").iterdir())] == good
    # No weights, no seams, no faces in these drawings: some metrics are unavailable besides.
    assert all(
        m.state in (("partial", "unavailable") if good else ("failed",)) for m in found.metrics.values()
    )
    for name in ("psnr", "ssim", "tje@2", "warp_error", "colour.mean"):
        summary = found.metrics[name]
        assert summary.state == ("partial" if good else "failed")
        assert (summary.value is None) == (not good)
        assert summary.coverage == len(good) / 3
        assert "failed" in str(summary.reason)
    jsonschema.validate(json.loads((tmp_path / "run/run.json").read_text()), json_schema())


def test_a_contestant_cannot_touch_what_it_is_judged_by(dataset: Path, tmp_path: Path) -> None:
    found = run("sample_contestants:Vandal", dataset, tmp_path / "run")
    assert found.status == "complete"
    assert found.metrics["psnr"].value is not None and found.metrics["psnr"].value < 10
    # Its frames alternate between 0 and 1 in one reused array: the window must have kept them apart.
    assert found.metrics["tje@1"].value != pytest.approx(found.metrics["tje@2"].value, abs=1e-3)
    still = run("frozen", dataset, tmp_path / "frozen").metrics["tje@2"].value
    assert found.metrics["tje@2"].value == pytest.approx(still, abs=1e-9)


def test_running_again_does_nothing_twice(dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    first = run("sample_contestants:Noise", dataset, out)
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file() and p.name != "run.json"}
    second = run("sample_contestants:Noise", dataset, out)
    after = {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file() and p.name != "run.json"}
    assert {p: t for p, t in before.items() if p.name != ".lock"} == {
        p: t for p, t in after.items() if p.name != ".lock"
    }
    assert second.metrics == first.metrics and second.drift == first.drift


@pytest.mark.parametrize("lost", ["cases/clip-b.json", "frames/clip-b.parquet", "videos/clip-b.mp4"])
def test_only_what_is_missing_is_made_again(dataset: Path, tmp_path: Path, lost: str) -> None:
    out = tmp_path / "run"
    first = run("sample_contestants:Noise", dataset, out)
    video = (out / "videos/clip-b.mp4").read_bytes()
    untouched = (out / "cases/clip-a.json").stat().st_mtime_ns
    (out / lost).unlink()
    (out / ".partial").mkdir()
    (out / ".partial/clip-b.mp4").write_bytes(b"left over")
    (out / "cases/.clip-b.json.1.tmp").write_bytes(b"left over")
    second = run("sample_contestants:Noise", dataset, out)
    assert second.metrics == first.metrics
    assert (out / "videos/clip-b.mp4").read_bytes() == video
    assert (out / "cases/clip-a.json").stat().st_mtime_ns == untouched
    assert not (out / ".partial").exists() and not (out / "cases/.clip-b.json.1.tmp").exists()


def test_a_truncated_case_is_made_again(dataset: Path, tmp_path: Path) -> None:
    first = run("frozen", dataset, tmp_path / "run")
    (tmp_path / "run/cases/clip-b.json").write_text('{"schema": "talkingpose.ca')
    assert run("frozen", dataset, tmp_path / "run").metrics == first.metrics


@pytest.mark.parametrize(
    ("model", "options", "what"),
    [
        ("ground-truth", {}, "model: frozen, now ground-truth"),
        ("frozen", {"seed": 7}, "seed: 0, now 7"),
        ("frozen", {"limit": 2}, "--limit"),
        ("frozen", {"max_frames": 101}, "--max-frames"),
        ("frozen", {"batch_size": 1}, "--batch-size: 8, now 1"),
    ],
)
def test_the_folder_of_another_run_is_refused(
    dataset: Path, tmp_path: Path, model: str, options: dict[str, Any], what: str
) -> None:
    run("frozen", dataset, tmp_path / "run")
    before = (tmp_path / "run/run.json").read_bytes()
    with pytest.raises(EvaluationError, match=f"{what}.*--fresh"):
        run(model, dataset, tmp_path / "run", **options)
    assert (tmp_path / "run/run.json").read_bytes() == before
    assert run(model, dataset, tmp_path / "run", fresh=True, **options).status == "complete"


def test_other_settings_are_another_run(dataset: Path, tmp_path: Path) -> None:
    run("sample_contestants:Noise", dataset, tmp_path / "run", limit=1)
    with pytest.raises(EvaluationError, match="settings of the model"):
        run("sample_contestants:Noise", dataset, tmp_path / "run", limit=1, model_args={"strength": "3"})


def test_fresh_removes_only_a_run(dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    run("frozen", dataset, out)
    for name in ("notes.txt", "videos/mine.txt"):
        (out / name).write_text("mine")
    run("frozen", dataset, out, limit=1, fresh=True)
    assert (out / "notes.txt").read_text() == (out / "videos/mine.txt").read_text() == "mine"
    assert [p.name for p in (out / "cases").iterdir()] == ["clip-a.json"]


def test_a_folder_of_other_things_is_refused(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    for fresh in (False, True):
        with pytest.raises(EvaluationError, match=r"thesis.tex"):
            run("frozen", dataset, tmp_path, fresh=fresh)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    ("model", "options", "what"),
    [
        ("nobody", {}, "frozen, ground-truth, lag, late-blur, open-loop, reencode, talkingpose"),
        ("sample_contestants:Nobody", {}, "Nobody"),
        ("sample_contestants:NoInfo", {}, "needs `info`"),
        ("sample_contestants:IDS", {}, "IDS"),
        ("frozen", {"protocol": "tp-short@1"}, "tp-long@1"),
        ("frozen", {"batch_size": 0}, "--batch-size"),
        ("frozen", {"model_args": {"steps": "3"}}, "no such setting"),
        ("frozen", {"checkpoint": "weights"}, "no weights"),
        ("talkingpose", {}, "checkpoint tiny: is not part of this installation: give --checkpoint"),
        ("talkingpose", {"checkpoint": "nowhere"}, "no such folder"),
    ],
)
def test_bad_requests_leave_nothing(
    dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    model: str,
    options: dict[str, Any],
    what: str,
) -> None:
    # As where the bundled checkpoint, which is the default, was left out of the installation.
    monkeypatch.setitem(checkpoint_folder._BUNDLED, "tiny", tmp_path / "tiny")
    with pytest.raises(ValueError, match=what) as caught:
        run(model, dataset, tmp_path / "run", **options)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_damaged_clip_fails_alone(tmp_path: Path, rows: dict[str, dict[str, Any]]) -> None:
    cut = rows["clip-b"]["video"]["bytes"]
    # The index of these files comes first, so that a file that lost its end can still be opened.
    damaged = {"bytes": cut[: len(cut) * 2 // 3], "path": "clip-b.mp4"}
    keypoints = rows["clip-c"]["keypoints"].copy()
    keypoints[3, 2, 0] = np.nan
    changed = [
        rows["clip-a"],
        rows["clip-b"] | {"video": damaged, "sha256": None},
        rows["clip-c"] | {"keypoints": keypoints},
    ]
    folder = write_dataset(tmp_path / "set", {"test": changed})
    found = run("ground-truth", folder, tmp_path / "run")
    assert found.status == "partial"
    assert set(failures(found)) == {"clip-b", "clip-c"}
    assert "NaN" in failures(found)["clip-c"]


def test_a_clip_longer_than_its_row_says_fails(tmp_path: Path, rows: dict[str, dict[str, Any]]) -> None:
    short = rows["clip-a"] | {"num_frames": 105, "keypoints": rows["clip-a"]["keypoints"][:105]}
    folder = write_dataset(tmp_path / "set", {"test": [short]})
    found = run("frozen", folder, tmp_path / "run")
    assert "more than the 105 frames" in failures(found)["clip-a"]


def test_the_command_in_the_run_makes_it_again(dataset: Path, tmp_path: Path) -> None:
    settings = RunSettings(
        model="m", dataset="my data", out=tmp_path, model_args={"steps": "3", "gain": "0"}, limit=2
    )
    words = settings.command()
    assert "--model-args steps=3,gain=0" in words and "'my data'" in words and "--limit 2" in words
    assert "--checkpoint" not in dataclasses.replace(settings).command()
