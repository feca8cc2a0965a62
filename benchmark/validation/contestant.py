"""Check of a contestant: whether it keeps the contract, on synthetic clips of a dozen frames."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from benchmark.runner.hosts.host import Host
from benchmark.validation.checks import CheckList
from talkingpose.data.contestant import Case, FramesSeen
from talkingpose.data.contestant_steps import FrameFault, PoseReader, StepError
from talkingpose.io.image import Image

_FRAMES = 12
_SIDE = 256
_TRIALS: tuple[tuple[str, tuple[tuple[str, int], ...]], ...] = (
    ("alone", (("first", _FRAMES),)),
    ("alone, again", (("first", _FRAMES),)),
    ("in a batch of two", (("second", _FRAMES - 3), ("first", _FRAMES))),
)


def check_contestant(host: Host, notes: CheckList) -> str:
    """Check shapes, repeatability, independence of the batch and laziness; return what was checked."""
    if host.info.licence.lower() == "unknown":
        notes.warning("info.licence", "unknown: the leaderboard shows it")
    frames: dict[str, list[Image]] = {}
    for label, clips in _TRIALS:
        try:
            frames[label] = _generated(host, clips, notes, first=label == "alone")
        except StepError as error:
            notes.error("animate", f"{label}: {error}")
            return "info; generation failed"
    if not _equal(frames["alone"], frames["alone, again"]):
        notes.error("animate", "the same case and seed give other frames the second time")
    elif not _equal(frames["alone"], frames["in a batch of two"]):
        notes.error("animate", "frames of a case depend on the other case: draw noise by case_seed")
    if host.info_now() != host.info:
        notes.error("info", "changes after the contestant is created: runs hold its first value")
    return f"info; a synthetic case of {_FRAMES} frames {_SIDE}x{_SIDE}: alone, twice, and in a batch of two"


def _generated(host: Host, clips: Sequence[tuple[str, int]], notes: CheckList, *, first: bool) -> list[Image]:
    """Generate a batch and return the frames of the case `first`.

    Raises:
        StepError: a frame is invalid, or the batch failed.
    """
    cases = [_case(name, length, host.info.driving_frames) for name, length in clips]
    index = [name for name, _ in clips].index("first")
    frames: list[Image] = []
    with contextlib.closing(host.steps(cases, 0)) as steps:
        for number, step in enumerate(steps):
            fault = next((item for item in step if isinstance(item, FrameFault)), None)
            if fault is not None:
                raise StepError(fault.text)
            going = [position for position, case in enumerate(cases) if case.num_frames > number]
            image = step[going.index(index)]
            assert isinstance(image, np.ndarray)
            frames.append(image)
            if number == 0 and first:
                _check_lazy(host, notes)
    return frames


def _check_lazy(host: Host, notes: CheckList) -> None:
    """Warn if a model with a small window reads all poses before its first frame."""
    window = host.info.window
    if max(host.poses_read(), default=0) == _FRAMES and window is not None and window < _FRAMES // 2:
        notes.warning(
            "animate",
            f"reads all {_FRAMES} poses before the first frame, and its window is {window}: memory may grow "
            "with the length of a clip",
        )


def _case(name: str, length: int, driving: FramesSeen) -> Case:
    frames = [_frame(name, t) for t in range(length)]
    # A face crop has twice the side of the drawn frames.
    seen = [f.repeat(2, 0).repeat(2, 1) if driving == "face" else f.copy() for f in frames]
    return Case(
        clip_id=f"validate-{name}",
        reference=frames[0],
        keypoints=PoseReader(_poses(name, length)),
        fps=Fraction(25),
        width=_SIDE,
        height=_SIDE,
        num_frames=length,
        driving_frames=None if driving == "none" else seen,
    )


def _frame(name: str, t: int) -> Image:
    """Draw a textured background with a moving disc."""
    y, x = np.mgrid[0:_SIDE, 0:_SIDE].astype(np.float32) / _SIDE
    image = np.stack([120 + 60 * x, 100 + 60 * y, 90 + 40 * np.sin(9 * (x + y))], axis=-1)
    centre = 0.5 + 0.1 * math.sin(t / 3 + len(name))
    image[(x - centre) ** 2 + (y - 0.4) ** 2 < 0.03] = (220, 170, 140)
    return np.asarray(image, np.uint8)


def _poses(name: str, length: int) -> npt.NDArray[np.float32]:
    poses = np.zeros((length, 133, 3), np.float32)
    body = {0: (0.5, 0.3), 5: (0.7, 0.5), 6: (0.3, 0.5), 7: (0.8, 0.7), 8: (0.2, 0.7)}
    for t in range(length):
        sway = 0.05 * math.sin(t / 3 + len(name))
        for index, (x, y) in body.items():
            poses[t, index] = (x + sway, y, 0.9)
    return poses


def _equal(one: Sequence[Image], other: Sequence[Image]) -> bool:
    return all(itertools.starmap(np.array_equal, zip(one, other, strict=True)))
