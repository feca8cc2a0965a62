"""Whole runs over small synthetic datasets, in this process."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pyarrow.parquet
import pytest

from benchmark.errors import EvaluationError
from benchmark.protocols.protocol import Protocol
from benchmark.results import Run, json_schema, read_case, read_run
from benchmark.runner.run_settings import RunSettings
from talkingpose.media import VideoReader
from talkingpose.model import checkpoint_folder
from tests.benchmark.drawn_clips import write_dataset
from tests.benchmark.tiny_runs import IDS, run

HERE = Path(__file__).parents[1]
NOISE = "sample_contestants:Noise"


@pytest.fixture(autouse=True)
def _third_party(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `sample_contestants:Class` importable from the current directory."""
    monkeypatch.chdir(HERE)


def failures(result: Run) -> dict[str, str]:
    return {str(entry.clip_id): entry.message for entry in result.audit if entry.kind == "failed"}


@pytest.fixture(scope="module")
def truth(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of `ground-truth` under tp-long@1."""
    out = tmp_path_factory.mktemp("runs") / "truth"
    run("ground-truth", dataset, out)
    return out


def test_ground_truth_is_perfect_without_an_infinity(truth: Path) -> None:
    result = read_run(truth)
    assert result.status == "complete" and result.comparable
    for name in ("psnr", "psnr_pooled"):
        assert (result.metrics[name].value, result.metrics[name].state) == (None, "ok")
        assert result.metrics[name].n_infinite == 361
        assert str(result.metrics[name].reason).startswith("infinite")
    assert result.metrics["ssim"].value == 1.0
    assert {n for n, m in result.metrics.items() if n.startswith("tje@") and m.value == 0.0} == {
        f"tje@{d}" for d in (1, 2, 4, 8, 16, 32, 64)
    }
    text = (truth / "run.json").read_text()
    assert "NaN" not in text and "Infinity" not in text
    assert result.contestant.saw_driving_frames and result.contestant.control


def test_a_run_follows_the_published_schema(truth: Path) -> None:
    document = json.loads((truth / "run.json").read_text())
    jsonschema.Draft202012Validator.check_schema(json_schema())
    jsonschema.validate(document, json_schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document | {"status": "fine"}, json_schema())


def test_files_of_a_run(truth: Path) -> None:
    names = {str(p.relative_to(truth)) for p in truth.rglob("*") if p.is_file()}
    parts = {f"{folder}/{clip}.{end}" for clip in ("clip-a", "clip-b", "clip-c") for folder, end in (
        ("cases", "json"), ("frames", "parquet"), ("videos", "mp4"))}  # fmt: skip
    assert names == parts | {"run.json", ".lock"}


@pytest.fixture(scope="module")
def frozen_long(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of `frozen` under tp-long@1."""
    out = tmp_path_factory.mktemp("runs") / "frozen"
    run("frozen", dataset, out)
    return out


def test_frames_are_scored_one_by_one(frozen_long: Path) -> None:
    case = read_case(frozen_long / "cases/clip-a.json")
    table = pyarrow.parquet.read_table(frozen_long / "frames/clip-a.parquet").to_pandas()
    assert list(table["t"]) == list(range(110))
    assert np.isnan(table["psnr"][0]) and table["ssim"][0] == 1.0
    assert table["tje@8"].isna().sum() == 8
    for name in ("psnr", "ssim", "tje@1", "tje@64"):
        assert table[name].mean() == pytest.approx(case.metrics[name].value, abs=1e-9)
    assert case.metrics["psnr"].n_infinite == 1


def test_the_mean_is_over_clips_and_clusters_are_people(frozen_long: Path) -> None:
    result = read_run(frozen_long)
    cases = [read_case(path) for path in sorted((frozen_long / "cases").iterdir())]
    values = [case.metrics["tje@2"].value for case in cases]
    weights = [case.metrics["tje@2"].n_frames for case in cases]
    summary = result.metrics["tje@2"]
    assert summary.value == pytest.approx(np.mean(values))
    assert summary.frame_weighted == pytest.approx(np.average(values, weights=weights))
    assert (summary.n_cases, summary.n_clusters, summary.coverage) == (3, 2, 1.0)
    assert summary.ci95 is not None and summary.ci95[0] <= summary.value <= summary.ci95[1]
    assert len(result.drift["ssim"].mean) == 4
    assert "psnr_pooled" not in result.drift


def test_the_video_beside_the_run_shows_what_was_generated(frozen_long: Path) -> None:
    case = read_case(frozen_long / "cases/clip-a.json")
    assert case.video is not None
    path = frozen_long / case.video.path
    assert hashlib.sha256(path.read_bytes()).hexdigest() == case.video.sha256
    with VideoReader(path) as reader:
        frames = list(reader)
    assert len(frames) == 110 and reader.info.fps == 25


class TestSmallRuns:
    """Runs of a second, under a protocol for short clips."""

    @pytest.fixture(autouse=True)
    def _rules(self, tiny_rules: Protocol) -> None:
        pass

    @pytest.fixture
    def frozen(self, tiny: Path, tiny_rules: Protocol, tmp_path: Path) -> Path:
        run("frozen", tiny, tmp_path / "run")
        return tmp_path / "run"

    def test_limits_make_a_run_incomparable(self, tiny: Path, tmp_path: Path) -> None:
        assert not run("frozen", tiny, tmp_path / "a", limit=1).comparable
        assert not run("frozen", tiny, tmp_path / "b", max_frames=9).comparable

    def test_another_seed_is_another_video(self, tiny: Path, tmp_path: Path) -> None:
        for seed in (0, 1):
            run(NOISE, tiny, tmp_path / str(seed), seed=seed, limit=1)
        first, second = (read_case(tmp_path / f"{s}/cases/tiny-a.json") for s in (0, 1))
        assert first.frames_sha256 != second.frames_sha256 and first.key != second.key

    @pytest.mark.parametrize(
        ("model", "failed", "reason"),
        [
            ("WrongSizeOnce", ["tiny-b"], r"frame 7: the contestant yields uint8 \(40, 48, 3\)"),
            ("FloatFrames", IDS, "float32"),
            ("TooFew", ["tiny-b", "tiny-c"], "stopped after"),
            ("TooMany", ["tiny-b", "tiny-c"], "more than"),
            ("TwoForOne", IDS, "frames for"),
            ("Raises", ["tiny-a"], r"RuntimeError: out of memory \(sample_contestants.py:\d+\)"),
            ("RaisesAtOnce", IDS, "no kernel"),
        ],
    )
    @pytest.mark.parametrize("in_process", [True, False], ids=["in process", "isolated"])
    def test_a_faulty_contestant_gets_no_number(
        self, tiny: Path, tmp_path: Path, model: str, failed: list[str], reason: str, in_process: bool
    ) -> None:
        result = run(f"sample_contestants:{model}", tiny, tmp_path / "run", in_process=in_process)
        assert sorted(failures(result)) == failed
        assert all(re.search(reason, message) for message in failures(result).values()), failures(result)
        good = [clip for clip in IDS if clip not in failed]
        assert result.status == ("partial" if good else "failed")
        assert [p.stem for p in sorted((tmp_path / "run/cases").iterdir())] == good
        assert [p.stem for p in sorted((tmp_path / "run/videos").iterdir())] == good
        for summary in result.metrics.values():
            assert summary.state == ("partial" if good else "failed")
            assert (summary.value is None) == (not good)
            assert summary.coverage == len(good) / 3
            assert "failed" in str(summary.reason)
        jsonschema.validate(json.loads((tmp_path / "run/run.json").read_text()), json_schema())

    def test_running_again_writes_nothing_twice(self, tiny: Path, tmp_path: Path) -> None:
        out = tmp_path / "run"

        def stamps() -> dict[Path, int]:
            files = (p for p in out.rglob("*") if p.is_file() and p.name not in ("run.json", ".lock"))
            return {p: p.stat().st_mtime_ns for p in files}

        first = run(NOISE, tiny, out)
        before = stamps()
        second = run(NOISE, tiny, out)
        assert stamps() == before
        assert second.metrics == first.metrics and second.drift == first.drift

    @pytest.mark.parametrize("lost", ["cases/tiny-b.json", "frames/tiny-b.parquet", "videos/tiny-b.mp4"])
    def test_only_what_is_missing_is_generated_again(self, tiny: Path, tmp_path: Path, lost: str) -> None:
        out = tmp_path / "run"
        first = run(NOISE, tiny, out)
        video = (out / "videos/tiny-b.mp4").read_bytes()
        untouched = (out / "cases/tiny-a.json").stat().st_mtime_ns
        (out / lost).unlink()
        (out / ".partial").mkdir()
        drafts = (".partial/tiny-b.mp4", "cases/.tiny-b.json.1.tmp", "cases/.tiny-b.1-ab.part.json")
        for name in drafts:
            (out / name).write_bytes(b"left over")
        second = run(NOISE, tiny, out)
        assert second.metrics == first.metrics
        assert (out / "videos/tiny-b.mp4").read_bytes() == video
        assert (out / "cases/tiny-a.json").stat().st_mtime_ns == untouched
        assert not (out / ".partial").exists() and not any((out / name).exists() for name in drafts)

    def test_a_truncated_case_is_generated_again(self, frozen: Path, tiny: Path) -> None:
        first = read_run(frozen)
        (frozen / "cases/tiny-b.json").write_text('{"schema": "talkingpose.ca')
        assert run("frozen", tiny, frozen).metrics == first.metrics

    @pytest.mark.parametrize(
        ("model", "options", "what"),
        [
            ("ground-truth", {}, "model: frozen, now ground-truth"),
            ("frozen", {"seed": 7}, "seed: 0, now 7"),
            ("frozen", {"limit": 2}, "--limit"),
            ("frozen", {"max_frames": 9}, "--max-frames"),
            ("frozen", {"batch_size": 1}, "--batch-size: 8, now 1"),
            ("frozen", {"in_process": False}, "isolated process: False, now True"),
        ],
    )
    def test_the_folder_of_another_run_is_refused(
        self, frozen: Path, tiny: Path, model: str, options: dict[str, Any], what: str
    ) -> None:
        before = (frozen / "run.json").read_bytes()
        with pytest.raises(EvaluationError, match=f"{what}.*--fresh"):
            run(model, tiny, frozen, **options)
        assert (frozen / "run.json").read_bytes() == before
        assert run(model, tiny, frozen, fresh=True, **options).status == "complete"

    def test_other_settings_are_another_run(self, tiny: Path, tmp_path: Path) -> None:
        run(NOISE, tiny, tmp_path / "run", limit=1)
        with pytest.raises(EvaluationError, match="settings of the model"):
            run(NOISE, tiny, tmp_path / "run", limit=1, model_args={"strength": "3"})

    def test_fresh_removes_only_a_run(self, frozen: Path, tiny: Path) -> None:
        for name in ("notes.txt", "videos/mine.txt"):
            (frozen / name).write_text("mine")
        run("frozen", tiny, frozen, limit=1, fresh=True)
        assert (frozen / "notes.txt").read_text() == (frozen / "videos/mine.txt").read_text() == "mine"
        assert [p.name for p in (frozen / "cases").iterdir()] == ["tiny-a.json"]

    def test_a_folder_of_other_things_is_refused(self, tiny: Path, tmp_path: Path) -> None:
        (tmp_path / "thesis.tex").write_text("years of work")
        for fresh in (False, True):
            with pytest.raises(EvaluationError, match=r"thesis.tex"):
                run("frozen", tiny, tmp_path, fresh=fresh)
        assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]

    def test_a_run_of_an_older_version_is_resumed(self, frozen: Path, tiny: Path) -> None:
        """Its document does not say where the contestant ran; nothing is generated again."""
        document = json.loads((frozen / "run.json").read_text())
        del document["contestant"]["isolated"]
        (frozen / "run.json").write_text(json.dumps(document))
        shutil.rmtree(frozen / "lossless")
        stamps = {p: p.stat().st_mtime_ns for p in (frozen / "cases").iterdir()}
        result = run("frozen", tiny, frozen, in_process=False)
        assert result.contestant.isolated is None and result.status == "complete"
        assert {p: p.stat().st_mtime_ns for p in (frozen / "cases").iterdir()} == stamps


@pytest.mark.parametrize(
    ("model", "options", "what"),
    [
        ("nobody", {}, "frozen, ground-truth, lag, late-blur"),
        ("sample_contestants:Nobody", {}, "Nobody"),
        ("sample_contestants:NoInfo", {}, "define `info`"),
        ("sample_contestants:np", {}, "not callable"),
        ("frozen", {"protocol": "tp-short@1"}, "tp-long@1"),
        ("frozen", {"batch_size": 0}, "--batch-size"),
        ("frozen", {"timeout_s": 0}, "--timeout"),
        ("frozen", {"model_args": {"steps": "3"}}, "no such setting"),
        ("frozen", {"checkpoint": "weights"}, "no weights"),
        ("talkingpose", {}, "checkpoint tiny: "),
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
    # An installation without the bundled checkpoint, which is the default.
    monkeypatch.setitem(checkpoint_folder._BUNDLED, "tiny", tmp_path / "tiny")
    with pytest.raises(ValueError, match=what) as caught:
        run(model, dataset, tmp_path / "run", **options)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_damaged_clip_fails_alone(
    tmp_path: Path, tiny_rows: dict[str, dict[str, Any]], tiny_rules: Protocol
) -> None:
    cut = tiny_rows["tiny-b"]["video"]["bytes"]
    # The index of these files comes first, so that a truncated file can still be opened.
    damaged = {"bytes": cut[: len(cut) * 2 // 3], "path": "tiny-b.mp4"}
    keypoints = tiny_rows["tiny-c"]["keypoints"].copy()
    keypoints[3, 2, 0] = np.nan
    changed = [
        tiny_rows["tiny-a"],
        tiny_rows["tiny-b"] | {"video": damaged, "sha256": None},
        tiny_rows["tiny-c"] | {"keypoints": keypoints},
    ]
    folder = write_dataset(tmp_path / "set", {"test": changed})
    result = run("ground-truth", folder, tmp_path / "run")
    assert result.status == "partial"
    assert set(failures(result)) == {"tiny-b", "tiny-c"}
    assert "NaN" in failures(result)["tiny-c"]


def test_a_clip_longer_than_its_row_says_fails(
    tmp_path: Path, tiny_rows: dict[str, dict[str, Any]], tiny_rules: Protocol
) -> None:
    short = tiny_rows["tiny-a"] | {"num_frames": 9, "keypoints": tiny_rows["tiny-a"]["keypoints"][:9]}
    folder = write_dataset(tmp_path / "set", {"test": [short]})
    result = run("frozen", folder, tmp_path / "run")
    assert "more than the 9 frames" in failures(result)["tiny-a"]


def test_the_command_in_the_run_repeats_it(tmp_path: Path) -> None:
    settings = RunSettings(
        model="m", dataset="my data", out=tmp_path, model_args={"steps": "3", "gain": "0"}, limit=2
    )
    words = settings.command()
    assert "--model-args steps=3,gain=0" in words and "'my data'" in words and "--limit 2" in words
    assert "--checkpoint" not in words and "--in-process" not in words
