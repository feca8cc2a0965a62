"""tp-robust: perturbed poses by seed and clip, and curves of the change they cause."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmark.analysis.compare import compare
from benchmark.protocols.perturbations import clip_of, is_perturbed, perturb
from benchmark.protocols.protocol import PerturbationKind, Protocol, RobustnessRule
from benchmark.results import read_case, write_document
from benchmark.run_check import check_run
from benchmark.runner.evaluate import RunSettings, evaluate
from benchmark.validation import validate
from tests.benchmark.tiny_runs import IDS, protocol_everywhere, tiny_protocol

KEYPOINTS = np.random.default_rng(0).uniform(0.3, 0.7, (200, 133, 3)).astype(np.float32)
KEYPOINTS[:, 40] = 0


def changed(kind: PerturbationKind, strength: float, clip_id: str = "a", seed: int = 0) -> np.ndarray:
    return perturb(KEYPOINTS, kind, strength, clip_id=clip_id, seed=seed, aspect=0.5)


def test_draws_depend_on_seed_and_clip_alone() -> None:
    for kind, strength in (("noise", 0.1), ("missing", 0.3)):
        np.testing.assert_array_equal(changed(kind, strength), changed(kind, strength))
        assert (changed(kind, strength) != changed(kind, strength, clip_id="b")).any()
        assert (changed(kind, strength) != changed(kind, strength, seed=1)).any()


def test_noise_is_a_share_of_the_shoulder_width() -> None:
    shoulders = (KEYPOINTS[:, 5] - KEYPOINTS[:, 6])[:, :2] * (0.5, 1)
    width = np.median(np.linalg.norm(shoulders, axis=1))
    found = changed("noise", 0.05)
    known = found[..., 2] > 0
    moved = (found - KEYPOINTS)[..., :2][known] * (0.5, 1)
    assert moved.std(axis=0) == pytest.approx([0.05 * width] * 2, rel=0.03)
    assert (found[:, 40] == 0).all()


@pytest.mark.parametrize("share", [0.1, 0.6])
def test_missing_parts_have_their_share_and_come_in_gaps(share: float) -> None:
    poses = np.tile(KEYPOINTS, (25, 1, 1))
    found = perturb(poses, "missing", share, clip_id="a", seed=0, aspect=1)
    hand = (found[:, 91:112, 2] == 0).all(axis=1)
    assert hand.mean() == pytest.approx(share, abs=0.06)
    begins = np.count_nonzero(hand[1:] & ~hand[:-1])
    assert hand.sum() / begins == pytest.approx(5, rel=0.25)
    # Body and hands are lost independently.
    assert (hand != (found[:, :17, 2] == 0).all(axis=1)).any()


def test_late_and_scaled_poses() -> None:
    found = changed("late", 5)
    np.testing.assert_array_equal(found[5:], KEYPOINTS[:-5])
    np.testing.assert_array_equal(found[:5], KEYPOINTS[[0] * 5])
    middle = KEYPOINTS[0, [5, 6], :2].mean(axis=0)
    found = changed("scale", 1.25)
    inside = found[..., 2] > 0
    np.testing.assert_allclose(
        (found[..., :2] - middle)[inside], 1.25 * (KEYPOINTS[..., :2] - middle)[inside], atol=1e-5
    )
    gone = np.abs(middle + 1.25 * (KEYPOINTS[..., :2] - middle) - 0.5).max(axis=-1) > 0.5
    assert (found[gone] == 0).all()


@pytest.fixture
def rules() -> Iterator[Protocol]:
    rule = RobustnessRule(seed=0, strengths={"late": (1.0, 4.0), "noise": (0.1,)})
    drift = tiny_protocol().drift.model_copy(update={"control": "none", "thresholds": {}})
    protocol = tiny_protocol().model_copy(update={"robustness": rule, "drift": drift})
    with protocol_everywhere(protocol) as found:
        yield found


@pytest.mark.usefixtures("rules")
def test_a_run_has_curves_of_the_change(tiny: Path, tmp_path: Path) -> None:
    def run(name: str, out: Path, **options: object) -> None:
        found = evaluate(
            RunSettings(model=name, dataset=str(tiny), out=out, device="cpu", in_process=True, **options)
        )
        assert found.status == "complete"
        assert len(found.cases) == 3 * 4 and sum(map(is_perturbed, found.cases)) == 9
        assert {clip_of(case) for case in found.cases} == set(IDS)
        assert found.metrics["psnr"].n_cases == 3
        assert found.robustness is not None
        assert found.robustness["tje@1"]["late"].strength == [1.0, 4.0]
        assert found.robustness["tje@1"]["noise"].n_clips == [3]

    frozen, follower = tmp_path / "frozen", tmp_path / "follower"
    run("frozen", frozen)
    run("tests.benchmark.protocols.pose_follower:PoseFollower", follower)
    still, moving = (check_run(folder).run.robustness for folder in (frozen, follower))
    assert still is not None and moving is not None
    assert still["psnr"]["late"].change == [0, 0]
    assert all(change != 0 for change in moving["psnr"]["late"].change)
    assert not check_run(follower).problems
    assert validate(str(follower), dataset=str(tiny)).sound
    assert {row.n_cases for row in compare(frozen, follower).metrics} == {3}
    # An edited case contradicts the curves.
    path = next((follower / "cases").glob("*pose-late-2.json"))
    case = read_case(path)
    score = case.metrics["psnr"].model_copy(update={"value": 99.0})
    write_document(case.model_copy(update={"metrics": {**case.metrics, "psnr": score}}), path)
    assert check_run(follower).problems
