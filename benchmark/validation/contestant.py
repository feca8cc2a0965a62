"""A contestant: whether it keeps the contract, on drawn clips of a dozen frames."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from benchmark.runner.registry import describe
from benchmark.validation.checks import CheckList
from talkingpose.data.contestant import Case, Contestant, ContestantInfo, Image, Keypoints
from talkingpose.io.errors import UserError

_FRAMES = 12
_SIDE = 256


class _Poses:
    """Keypoints that count how many were taken."""

    def __init__(self, keypoints: Sequence[Keypoints]) -> None:
        self._keypoints = keypoints
        self.taken = 0

    def __iter__(self) -> Iterator[Keypoints]:
        for points in self._keypoints:
            self.taken += 1
            yield points


def check_contestant(contestant: Contestant, notes: CheckList) -> str:
    """Check information, shapes, repeatability, independence of the batch; says what was looked at."""
    info = contestant.info
    _check_info(info, notes)
    frames: dict[str, list[Image]] = {}
    trials: list[tuple[str, Sequence[tuple[str, int]]]] = [
        ("alone", [("first", _FRAMES)]),
        ("alone, again", [("first", _FRAMES)]),
        ("in a batch of two", [("second", _FRAMES - 3), ("first", _FRAMES)]),
    ]
    for label, which in trials:
        try:
            found = _animated(contestant, info, which, notes, first=label == "alone")
        except UserError as error:
            notes.error("animate", f"{label}: {error}")
            return "information; generation failed"
        except Exception as error:
            notes.error("animate", f"{label}: {describe(error)}")
            return "information; generation failed"
        if found is None:
            return "information; generation failed"
        frames[label] = found
    if not _equal(frames["alone"], frames["alone, again"]):
        notes.error("animate", "the same case and seed give other frames the second time")
    elif not _equal(frames["alone"], frames["in a batch of two"]):
        notes.error("animate", "frames of a case depend on the case beside it: draw noise by case_seed")
    return (
        f"information; a drawn case of {_FRAMES} frames {_SIDE}x{_SIDE}: alone twice, and in a batch of two"
    )


def _check_info(info: ContestantInfo, notes: CheckList) -> None:
    texts = {"name": info.name, "revision": info.revision, "licence": info.licence}
    for name, value in texts.items():
        if not isinstance(value, str) or not value.strip() or not value.isprintable():
            notes.error(f"info.{name}", f"{value!r} is no printable text")
    if isinstance(info.licence, str) and info.licence.lower() in ("", "unknown"):
        notes.warning("info.licence", "unknown: the board says so")
    counts: dict[str, tuple[Any, int]] = {
        "parameters": (info.parameters, 0),
        "batch_size": (info.batch_size, 1),
        "window": (1 if info.window is None else info.window, 1),
    }
    for name, (count, least) in counts.items():
        if not isinstance(count, int) or isinstance(count, bool) or count < least:
            notes.error(f"info.{name}", f"{count!r} is no whole number from {least} on")
    for key, setting in dict(info.args).items():
        plain = setting is None or isinstance(setting, str | int | float | bool)
        infinite = isinstance(setting, float) and not math.isfinite(setting)
        if not isinstance(key, str) or not plain or infinite:
            notes.error("info.args", f"{key!r}: {setting!r} cannot be written as JSON")


def _animated(
    contestant: Contestant,
    info: ContestantInfo,
    which: Sequence[tuple[str, int]],
    notes: CheckList,
    *,
    first: bool,
) -> list[Image] | None:
    """All frames of the case `first`; None where the contract is broken, which is noted."""
    poses = [_Poses(_drawn_poses(name, length)) for name, length in which]
    cases = [
        _drawn_case(name, length, points, info.needs_driving_frames)
        for (name, length), points in zip(which, poses, strict=True)
    ]
    before = [case.reference.copy() for case in cases]
    steps = contestant.animate(cases, seed=0)
    if not hasattr(steps, "__next__"):
        notes.error("animate", f"gives {type(steps).__name__}, not an iterator")
        return None
    kept: list[Image] = []
    mine = [name for name, _ in which].index("first")
    for step in range(_FRAMES):
        going = [index for index, case in enumerate(cases) if case.num_frames > step]
        images = next(steps, None)
        fault = _step_fault(images, len(going), step)
        if fault is not None:
            notes.error("animate", fault)
            return None
        assert images is not None
        kept.append(images[going.index(mine)].copy())
        if step == 0 and first:
            _check_lazy(poses[0].taken, info, notes)
    if next(steps, None) is not None:
        notes.error("animate", f"goes on after the last of {_FRAMES} frames")
        return None
    if any(not np.array_equal(a, case.reference) for a, case in zip(before, cases, strict=True)):
        notes.warning("animate", "writes into the portrait that it is given")
    return kept


def _step_fault(images: Any, expected: int, step: int) -> str | None:
    if images is None:
        return f"stops after {step} of {_FRAMES} frames"
    if not isinstance(images, list | tuple) or len(images) != expected:
        return f"frame {step}: not a list with one frame for each of {expected} cases that still run"
    for image in images:
        if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.shape != (_SIDE, _SIDE, 3):
            given = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
            return f"frame {step}: {given}, not uint8 ({_SIDE}, {_SIDE}, 3)"
    return None


def _check_lazy(taken: int, info: ContestantInfo, notes: CheckList) -> None:
    """A model may read as far as its window, not the whole drive, before its first frame."""
    if taken == _FRAMES and info.window is not None and info.window < _FRAMES // 2:
        notes.warning(
            "animate",
            f"reads all {_FRAMES} poses before the first frame, and its window is {info.window}: "
            "memory may grow with the length of a clip",
        )


def _drawn_case(name: str, length: int, poses: _Poses, driving: bool) -> Case:
    frames = [_drawn_frame(name, t) for t in range(length)]
    return Case(
        clip_id=f"validate-{name}",
        reference=frames[0],
        keypoints=poses,
        fps=Fraction(25),
        width=_SIDE,
        height=_SIDE,
        num_frames=length,
        driving_frames=[frame.copy() for frame in frames] if driving else None,
    )


def _drawn_frame(name: str, t: int) -> Image:
    """A ground with a disc that moves."""
    y, x = np.mgrid[0:_SIDE, 0:_SIDE].astype(np.float32) / _SIDE
    image = np.stack([120 + 60 * x, 100 + 60 * y, 90 + 40 * np.sin(9 * (x + y))], axis=-1)
    centre = 0.5 + 0.1 * math.sin(t / 3 + len(name))
    image[(x - centre) ** 2 + (y - 0.4) ** 2 < 0.03] = (220, 170, 140)
    return np.asarray(image, np.uint8)


def _drawn_poses(name: str, length: int) -> list[Keypoints]:
    poses = []
    for t in range(length):
        points = np.zeros((133, 3), np.float32)
        sway = 0.05 * math.sin(t / 3 + len(name))
        body = {0: (0.5, 0.3), 5: (0.7, 0.5), 6: (0.3, 0.5), 7: (0.8, 0.7), 8: (0.2, 0.7)}
        for index, (x, y) in body.items():
            points[index] = (x + sway, y, 0.9)
        poses.append(points)
    return poses


def _equal(one: Sequence[Image], other: Sequence[Image]) -> bool:
    return all(itertools.starmap(np.array_equal, zip(one, other, strict=True)))
