"""Groups of metrics in a protocol's name, and whole runs with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmark.metrics.registry import GROUPS, families, metrics_of, versions_of
from benchmark.protocols.protocol import ProtocolError, load_protocol
from benchmark.rescore.rescore import RescoreError, rescore
from benchmark.results import Run, read_case
from benchmark.runner.evaluate import RunSettings, evaluate
from talkingpose.weights import VARIABLE
from tests.benchmark.short_runs import admit_short_clips


def run(dataset: Path, out: Path, groups: str, **options: Any) -> Run:
    settings = RunSettings(
        model="reencode",
        dataset=str(dataset),
        out=out,
        device="cpu",
        in_process=True,
        protocol=f"tp-long+{groups}@1" if groups else "tp-long@1",
        **options,
    )
    return evaluate(settings)


@pytest.fixture(autouse=True)
def short_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    admit_short_clips(monkeypatch, "psnr")


def test_a_group_makes_another_protocol() -> None:
    plain, more = load_protocol("tp-long@1"), load_protocol("tp-long+identity+pose@1")
    assert more.name == "tp-long+pose+identity@1"
    assert more == load_protocol("tp-long+pose+identity@1")
    assert more.sha256() != plain.sha256()
    assert dict(more.metrics) == {
        **plain.metrics,
        **versions_of(GROUPS["pose"]),
        **versions_of(GROUPS["identity"]),
    }
    assert load_protocol(more.name) == more


@pytest.mark.parametrize("name", ["tp-long+x@1", "tp-long+@1", "tp-long@1+pose", "+pose@1", "tp-long+pose"])
def test_an_unknown_group_is_one_line_with_the_known_ones(name: str) -> None:
    with pytest.raises(ProtocolError, match=r"\+pose, \+identity, \+distribution"):
        load_protocol(name)


def test_the_hash_covers_the_release_of_the_detector(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.metadata

    names = ("tp-long@1", "tp-long+identity@1", "tp-long+pose@1")
    before = {name: load_protocol(name).sha256() for name in names}
    monkeypatch.setattr(importlib.metadata, "version", lambda package: "0.10.99")
    after = {name: load_protocol(name).sha256() for name in names}
    assert [name for name in names if before[name] != after[name]] == ["tp-long+pose@1"]


def test_every_metric_of_a_group_is_a_family_of_one_version() -> None:
    for members in GROUPS.values():
        assert set(members) <= set(families())
        found = metrics_of(versions_of(members), (1,))
        assert len({metric.spec.id for metric in found}) == len(found)
        for metric in found:
            spec = metric.spec
            assert all((spec.unit, spec.definition, spec.source, spec.blind_spots, spec.reads))


@pytest.mark.usefixtures("no_weights")
def test_without_weights_a_run_is_complete_and_names_the_commands(short: Path, tmp_path: Path) -> None:
    found = run(short, tmp_path / "run", "identity+distribution", limit=1)
    assert found.status == "complete"
    for group in ("identity", "distribution"):
        for metric in metrics_of(versions_of(GROUPS[group]), ()):
            summary = found.metrics[metric.spec.id]
            assert (summary.value, summary.ci95, summary.state) == (None, None, "unavailable")
            assert "tp-eval weights fetch " in str(summary.reason)
    assert found.metrics["psnr"].state == "ok"


@pytest.mark.usefixtures("standin_weights")
def test_the_batch_size_changes_no_number(short: Path, tmp_path: Path) -> None:
    groups = "identity+distribution"
    found = [run(short, tmp_path / str(size), groups, limit=2, batch_size=size) for size in (1, 2)]
    assert found[0].metrics == found[1].metrics
    for clip_id in found[0].cases:
        cases = [read_case(tmp_path / str(size) / "cases" / f"{clip_id}.json") for size in (1, 2)]
        assert cases[0].metrics == cases[1].metrics
        assert cases[0].features == cases[1].features
    fvd = found[0].metrics["fvd"]
    assert fvd.value is not None and fvd.ci95 is not None and fvd.n_frames == 4
    assert "4 windows of 16 frames for 400 dimensions: too few" in str(fvd.reason)
    assert found[0].metrics["fid"].state == "unavailable"
    # Drawn shapes have no face.
    assert (found[0].metrics["csim.frame"].value, found[0].metrics["csim.frame"].state) == (
        None,
        "unavailable",
    )


def test_weights_that_come_later_are_used_by_rescore(
    short: Path, tmp_path: Path, standin_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scores and features equal those of a run with weights from the beginning."""
    direct = run(short, tmp_path / "direct", "distribution+identity", limit=1)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "none"))
    without = run(short, tmp_path / "later", "distribution+identity", limit=1, keep_frames=True)
    assert without.metrics["fvd"].state == "unavailable"
    monkeypatch.setenv(VARIABLE, str(standin_weights))
    later = rescore(tmp_path / "later")
    assert later.metrics["fvd"] == direct.metrics["fvd"]
    assert later.metrics == direct.metrics
    clip_id = direct.cases[0]
    stored = [(tmp_path / name / "features" / f"{clip_id}.npz").read_bytes() for name in ("direct", "later")]
    assert stored[0] == stored[1]


@pytest.mark.usefixtures("standin_weights")
def test_a_group_is_added_to_a_run_that_kept_its_frames(short: Path, tmp_path: Path) -> None:
    direct = run(short, tmp_path / "direct", "distribution", limit=1)
    run(short, tmp_path / "plain", "", limit=1, keep_frames=True)
    with pytest.raises(RescoreError, match="--add"):
        rescore(tmp_path / "plain", metrics=["psnr"], add=["identity"])
    with pytest.raises(ProtocolError, match="unknown"):
        rescore(tmp_path / "plain", add=["colours"])
    found = rescore(tmp_path / "plain", add=["distribution"])
    assert (found.protocol, found.metrics) == (direct.protocol, direct.metrics)
    assert "--protocol tp-long+distribution@1" in found.command
