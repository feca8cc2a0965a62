from __future__ import annotations

import itertools
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest

from baselines.controls.brightness import BrightnessControl
from baselines.controls.drift import DriftControl
from baselines.controls.flicker import FlickerControl
from baselines.controls.frozen import FrozenControl
from baselines.controls.ground_truth import GroundTruthControl
from baselines.controls.lag import LagControl
from baselines.controls.late_blur import LateBlurControl
from baselines.controls.paste_driver import PasteDriverControl
from baselines.controls.reencode import ReencodeControl, _encoder, reencoded
from talkingpose.data.contestant import Case, Contestant, ContestantError

LENGTHS = (20, 33, 5)
CONTROLS = [
    FrozenControl,
    GroundTruthControl,
    ReencodeControl,
    LagControl,
    DriftControl,
    BrightnessControl,
    FlickerControl,
    LateBlurControl,
    PasteDriverControl,
]


def frames(seed: int, count: int) -> Iterator[np.ndarray]:
    """Smooth moving pictures, 48 x 64."""
    y, x = np.mgrid[0:48, 0:64]
    for t in range(count):
        waves = [128 + 90 * np.sin(x / 9 + t / 5 + seed), 128 + 90 * np.cos(y / 7 - t / 6), 60 + x + y]
        yield np.stack(waves, -1).clip(0, 255).astype(np.uint8)


class Frames:
    """Driving frames that count how many were taken."""

    def __init__(self, seed: int, count: int) -> None:
        self.seed, self.count, self.taken = seed, count, 0

    def __iter__(self) -> Iterator[np.ndarray]:
        for frame in frames(self.seed, self.count):
            self.taken += 1
            yield frame


def cases() -> list[Case]:
    return [
        Case(
            clip_id=f"clip-{seed}",
            reference=next(frames(seed, 1)),
            keypoints=[],
            fps=Fraction(25),
            width=64,
            height=48,
            num_frames=length,
            driving_frames=Frames(seed, length),
        )
        for seed, length in enumerate(LENGTHS)
    ]


@pytest.mark.parametrize("kind", CONTROLS)
def test_a_control_keeps_the_contract(kind: type) -> None:
    control: Contestant = kind(checkpoint=None, device="cpu")
    assert control.info.control and control.info.parameters == 0
    steps = list(control.animate(cases(), seed=0))
    assert [len(images) for images in steps] == [sum(n > t for n in LENGTHS) for t in range(max(LENGTHS))]
    assert all(i.dtype == np.uint8 and i.shape == (48, 64, 3) for images in steps for i in images)


@pytest.mark.parametrize("kind", CONTROLS)
def test_a_control_has_no_checkpoint(kind: type) -> None:
    with pytest.raises(ContestantError, match="no weights"):
        kind(checkpoint="folder", device="cpu")


def test_frozen_is_the_portrait() -> None:
    given = cases()
    steps = list(FrozenControl(checkpoint=None, device="cpu").animate(given, seed=0))
    assert all(np.array_equal(images[0], given[0].reference) for images in steps[:20])


def test_ground_truth_is_the_driving_video() -> None:
    steps = list(GroundTruthControl(checkpoint=None, device="cpu").animate(cases(), seed=0))
    assert np.array_equal([images[0] for images in steps[:20]], list(frames(0, 20)))


def test_reencode_is_close_but_not_equal() -> None:
    given = list(frames(0, 100))
    found = list(reencoded(given))
    assert len(found) == 100
    errors = [np.abs(a.astype(int) - b).mean() for a, b in zip(given, found, strict=True)]
    assert 0.1 < max(errors) < 8
    # In the right order: each frame is nearest to its own original.
    assert np.abs(given[50].astype(int) - found[50]).mean() < np.abs(given[53].astype(int) - found[50]).mean()


def test_reencode_is_the_same_every_time() -> None:
    first, second = (np.stack(list(reencoded(frames(0, 40)))) for _ in range(2))
    assert np.array_equal(first, second)


@pytest.mark.parametrize(
    ("width", "tree"), [(48, False), (128, True), (160, False), (512, True), (720, False)]
)
def test_reencode_uses_the_macroblock_tree_only_where_rows_are_whole(width: int, tree: bool) -> None:
    """Elsewhere x264's AVX-512 code reads memory that nobody wrote; see talkingpose/media/writer.py."""
    given = _encoder(width, 64).options
    assert ("mbtree=0" not in given.get("x264-params", "")) == tree


def test_reencode_holds_a_bounded_number_of_frames() -> None:
    source = Frames(0, 400)
    ahead = [source.taken - done for done, _ in enumerate(reencoded(source))]
    assert max(ahead) < 80


def test_controls_read_no_further_than_they_must() -> None:
    given = cases()
    stream = GroundTruthControl(checkpoint=None, device="cpu").animate(given, seed=0)
    list(itertools.islice(stream, 3))
    assert [case.driving_frames.taken for case in given] == [3, 3, 3]


def test_a_control_without_driving_frames_says_so() -> None:
    import dataclasses

    bare = [dataclasses.replace(case, driving_frames=None) for case in cases()]
    with pytest.raises(ContestantError, match="no driving frames"):
        list(GroundTruthControl(checkpoint=None, device="cpu").animate(bare, seed=0))


def changed(kind: type, **args: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Driving frame and result at every time step of the clip of 20 frames."""
    control: Contestant = kind(checkpoint=None, device="cpu", **args)
    results = [images[0] for images in control.animate(cases(), seed=0)][: LENGTHS[0]]
    return list(zip(frames(0, LENGTHS[0]), results, strict=True))


def test_lag_is_late_by_its_frames() -> None:
    pairs = changed(LagControl, frames="3")
    for t, (_, late) in enumerate(pairs):
        assert np.array_equal(late, pairs[max(0, t - 3)][0])


def test_brightness_adds_the_same_everywhere() -> None:
    for real, brighter in changed(BrightnessControl):
        assert np.array_equal(brighter, (real.astype(int) + 15).clip(0, 255))


def test_drift_starts_at_nothing_and_ends_at_its_strength() -> None:
    pairs = changed(DriftControl, levels="30")
    for t, (real, drifted) in enumerate(pairs):
        assert np.array_equal(drifted, (real + np.rint(30 * t / 19)).clip(0, 255))


def test_flicker_stays_in_its_range_and_follows_the_seed() -> None:
    shifts = [int(np.median(after.astype(int) - real)) for real, after in changed(FlickerControl)]
    assert max(map(abs, shifts)) <= 6 and len(set(shifts)) > 5
    steps = [
        [images[0] for images in FlickerControl(checkpoint=None, device="cpu").animate(cases(), seed=seed)]
        for seed in (1, 1, 2)
    ]
    assert np.array_equal(steps[0], steps[1]) and not np.array_equal(steps[0], steps[2])


def test_late_blur_leaves_the_beginning_alone() -> None:
    pairs = changed(LateBlurControl, sigma="2")
    assert [np.array_equal(real, after) for real, after in pairs] == [t < 15 for t in range(20)]


@pytest.mark.parametrize(
    ("kind", "args"),
    [
        (LagControl, {"frames": "0"}),
        (LagControl, {"frames": "1.5"}),
        (DriftControl, {"levels": "much"}),
        (FlickerControl, {"levels": "0"}),
        (LateBlurControl, {"sigma": "0"}),
        (LateBlurControl, {"share": "1.5"}),
    ],
)
def test_a_strength_that_cannot_be_is_one_line(kind: type, args: dict[str, str]) -> None:
    with pytest.raises(ContestantError, match=f"--model-args .*{next(iter(args))}="):
        kind(checkpoint=None, device="cpu", **args)
