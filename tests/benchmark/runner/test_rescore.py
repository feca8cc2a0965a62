"""Scoring again from kept frames, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet
import pytest

from benchmark.protocols.protocol import Protocol
from benchmark.rescore.rescore import RescoreError, rescore
from benchmark.results import ResultError, Run, read_case
from tests.benchmark.tiny_runs import IDS, run
from tests.benchmark.tiny_runs import write_video as write

HERE = Path(__file__).parents[1]


@pytest.fixture
def kept(tiny: Path, tiny_rules: Protocol, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of noise that kept its frames."""
    monkeypatch.chdir(HERE)
    run("sample_contestants:Noise", tiny, tmp_path / "kept", keep_frames=True)
    return tmp_path / "kept"


def again(
    path: Path, metrics: list[str] | None = None, statistics: bool = False, dataset: Path | None = None
) -> Run:
    where = str(dataset) if dataset else None
    return rescore(path, dataset=where, metrics=metrics, statistics=statistics)


def state(path: Path) -> dict[str, object]:
    """Everything of a run but the times."""
    found: dict[str, object] = {}
    for file in sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith(".lock")):
        if file.suffix != ".json":
            found[str(file.relative_to(path))] = file.read_bytes()
            continue
        document = json.loads(file.read_text())
        document.pop("finished_at", None)
        found[str(file.relative_to(path))] = document
    return found


def spoil(path: Path, metric: str) -> None:
    """Put wrong scores into the run."""
    for clip_id in IDS:
        file = path / f"cases/{clip_id}.json"
        document = json.loads(file.read_text())
        document["metrics"][metric]["value"] = 0.123
        file.write_text(json.dumps(document, indent=1) + "\n")
        table = pyarrow.parquet.read_table(path / f"frames/{clip_id}.parquet")
        index = table.column_names.index(metric)
        wrong = table.set_column(index, metric, [[0.123] * len(table)])
        pyarrow.parquet.write_table(wrong, path / f"frames/{clip_id}.parquet")


@pytest.mark.parametrize("metrics", [None, ["ssim"], ["tje@2", "ssim"]], ids=str)
def test_a_renewed_score_is_the_old_one_bit_for_bit(kept: Path, metrics: list[str] | None) -> None:
    before = state(kept)
    spoil(kept, "ssim")
    assert state(kept) != before
    again(kept, metrics)
    assert state(kept) == before


def test_a_metric_that_the_run_lacks_is_added(kept: Path) -> None:
    before = state(kept)
    for clip_id in IDS:
        file = kept / f"cases/{clip_id}.json"
        document = json.loads(file.read_text())
        del document["metrics"]["ssim"]
        file.write_text(json.dumps(document))
        table = pyarrow.parquet.read_table(kept / f"frames/{clip_id}.parquet")
        pyarrow.parquet.write_table(table.drop_columns("ssim"), kept / f"frames/{clip_id}.parquet")
    found = again(kept, ["psnr"])
    assert "ssim" not in found.metrics
    again(kept, ["ssim"])
    assert state(kept) == before


def test_the_same_command_finds_the_run_complete(kept: Path, tiny: Path) -> None:
    again(kept)
    stamps = {p: p.stat().st_mtime_ns for p in (kept / "cases").iterdir()}
    assert run("sample_contestants:Noise", tiny, kept, keep_frames=True).status == "complete"
    assert stamps == {p: p.stat().st_mtime_ns for p in (kept / "cases").iterdir()}


def test_without_kept_frames_only_statistics(kept: Path, tiny: Path, tmp_path: Path) -> None:
    run("sample_contestants:Noise", tiny, tmp_path / "plain")
    with pytest.raises(RescoreError, match="frames were not kept, and ssim of its encoded video would be"):
        again(tmp_path / "plain", ["ssim"])
    before = state(tmp_path / "plain")
    document = json.loads((tmp_path / "plain/run.json").read_text())
    document["metrics"], document["drift"] = {}, {}
    (tmp_path / "plain/run.json").write_text(json.dumps(document))
    again(tmp_path / "plain", statistics=True)
    assert state(tmp_path / "plain") == before


def test_frames_that_are_not_kept_are_asked_for_again(tiny: Path, kept: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    run("sample_contestants:Noise", tiny, plain)
    run("sample_contestants:Noise", tiny, plain, keep_frames=True)
    case, other = (read_case(path / "cases/tiny-a.json") for path in (plain, kept))
    assert case.lossless == other.lossless and case.frames_sha256 == other.frames_sha256


def test_other_frames_clips_or_rules_are_refused(
    kept: Path, dataset: Path, tiny_rules: Protocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = state(kept)
    with pytest.raises(RescoreError, match="other clips than those of the run"):
        again(kept, dataset=dataset)
    with pytest.raises(RescoreError, match="--metrics fid"):
        again(kept, ["fid"])
    other = tiny_rules.model_copy(update={"version": 2})
    monkeypatch.setattr("benchmark.rescore.rescore.load_protocol", lambda name: other)
    with pytest.raises(RescoreError, match="other rules"):
        again(kept, ["psnr"])
    assert state(kept) == before
    assert again(kept).protocol == other.reference_of_run()


def test_a_changed_video_is_refused(kept: Path) -> None:
    file = kept / "lossless/tiny-a.mp4"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    with pytest.raises(RescoreError, match="not the file that was written"):
        again(kept)
    # Another video under a hash that was changed with it: the hash of the frames tells.
    import hashlib

    import numpy as np

    write(file, [np.zeros((48, 48, 3), np.uint8)] * 12, lossless=True)
    case = kept / "cases/tiny-a.json"
    document = json.loads(case.read_text())
    document["lossless"]["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
    case.write_text(json.dumps(document))
    with pytest.raises(RescoreError, match="not those that were scored"):
        again(kept)
    with pytest.raises(ResultError):
        again(kept.parent / "none")
