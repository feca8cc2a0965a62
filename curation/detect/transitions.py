"""Transitions that keep the colours of a picture: dissolves, fades and jump cuts within one room.

All tests read fine detail (a high-pass filter), block by block, because motion and mixing differ there.
Half-way through a dissolve the detail of a block is the mean of both ends and has half of their energy;
moving detail keeps its energy and is no mean. At a jump cut many blocks lose their detail between two frames,
and none do in the frames around.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from curation.detect.measurements import BoolArray, FloatArray
from talkingpose.io.image import Image

_Plane = npt.NDArray[np.float32]

_WIDTH, _SIDE = 128, 4  # of the picture and of a block, in pixels
# Lengths of dissolves in seconds; a window may be up to half longer or shorter than the dissolve.
_LENGTHS_S = (0.2, 0.3, 0.45, 0.7, 1.0)
# RMS of detail, in levels: below it a block has no texture, only noise of the codec.
_MIN_DETAIL = 3.0
# A block shows a mix where the middle is this close to the mean of the ends, relative to their difference (0
# for a mix, 0.5 for blur, 0.87 for motion and noise), and has at most this share of their energy (0.5, 1).
_MAX_RESIDUAL, _MAX_ENERGY = 0.36, 0.75
# Correlation of the detail of a block that did not change.
_UNCHANGED = 0.5
# Share of all blocks that must change (a head and its shoulders), and share of those that must show a mix. In
# talks, signs and drawn speakers without a transition at most 0.30 of the changed blocks look mixed, in
# dissolves 0.3 to 0.8. From the last value on a window is in doubt: the network of the extra `shots` decides.
_MIN_CHANGED, _MIN_MIXED, _DOUBT_MIXED = 0.1, 0.45, 0.28
# Jump cut: share of the blocks with texture that lose their detail, and ratio to the frames around.
# (1 to 2 in gestures). From the second pair on a frame is in doubt.
_MIN_JUMP, _JUMP_RATIO = 0.06, 2.5
_DOUBT_JUMP, _DOUBT_RATIO = 0.04, 1.7
_AROUND = 3
# Footage that lost frames in a conversion jumps as far as people move in this time, which is no cut.
_DROPPED_S = 0.2
# Frames that repeat the one before differ by less than this, in levels; a jump after them is a stutter.
_REPEATED = 0.25
# Contrast of an empty picture, in levels, and the longest fade in seconds.
_EMPTY, _LONGEST_FADE_S = 6.0, 2.0
# Kept spans end this long before a dissolve or fade, in seconds.
MARGIN_S = 0.3


@dataclass(frozen=True)
class Transition:
    """Frames `start` to `end` (exclusive) that belong to no shot; both are equal at a jump cut."""

    start: int
    end: int
    kind: str


@dataclass(frozen=True)
class _Frame:
    detail: _Plane
    energy: _Plane


class TransitionDetector:
    """Detector of dissolves, fades and jump cuts, fed with the frames of one video in order."""

    def __init__(self, fps: Fraction) -> None:
        self._fps = float(fps)
        steps = {max(round(length * self._fps / 2), 2) for length in _LENGTHS_S}
        self._steps = sorted(steps)
        self._recent: deque[_Frame] = deque(maxlen=2 * self._steps[-1] + 1)
        self._mixed: list[Transition] = []
        self._doubts: set[int] = set()
        self._contrast: list[float] = []
        self._lost: list[float] = []
        self._differs: list[float] = []
        self._dropped = max(round(_DROPPED_S * self._fps), 1)
        self._moved: list[float] = []  # as `_lost`, over `_dropped` frames
        self._last: npt.NDArray[np.uint8] | None = None

    def feed(self, image: Image) -> None:
        """Process the next frame, uint8 (H, W, 3) RGB; all frames have the same size."""
        import cv2

        height, width = image.shape[:2]
        if width > _WIDTH:
            size = (_WIDTH, max(round(height * _WIDTH / width), 1))
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        gray = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
        plane = gray.astype(np.float32)
        detail = np.asarray(plane - cv2.GaussianBlur(plane, (0, 0), 1.0), np.float32)
        frame = _Frame(detail, _blocks(detail * detail))
        self._contrast.append(float(plane.std()))
        self._lost.append(_lost(self._recent[-1], frame) if self._recent else 0.0)
        far = len(self._recent) >= self._dropped
        self._moved.append(_lost(self._recent[-self._dropped], frame) if far else 0.0)
        self._differs.append(0.0 if self._last is None else float(cv2.absdiff(gray, self._last).mean()))
        self._last = gray
        self._recent.append(frame)
        index = len(self._contrast) - 1
        for step in self._steps:
            if len(self._recent) > 2 * step and index % max(step // 4, 1) == 0:
                ends, middle = (self._recent[-1 - 2 * step], frame), self._recent[-1 - step]
                changed, mixed = _mix(ends[0], middle, ends[1])
                if changed >= _MIN_CHANGED and mixed >= _MIN_MIXED:
                    self._mixed.append(Transition(index - 2 * step, index + 1, "dissolve"))
                elif changed >= _MIN_CHANGED and mixed >= _DOUBT_MIXED:
                    self._doubts.add(index - step)

    def finish(self, cuts: Sequence[int] = ()) -> list[Transition]:
        """Transitions in order, without those that a detected cut explains."""
        hard = sorted(cuts)
        mixed = [one for one in _merged(self._mixed) if not _contains(hard, one)]
        fades = self._fades()
        taken = [*fades, *(one for one in mixed if not any(_overlap(one, fade) for fade in fades))]
        jumps = [
            Transition(index, index, "jump")
            for index in self._jumps(_MIN_JUMP, _JUMP_RATIO)
            if not any(abs(index - cut) <= _AROUND for cut in hard)
            and not any(one.start <= index <= one.end for one in taken)
        ]
        return sorted([*taken, *jumps], key=lambda one: one.start)

    def doubts(self) -> list[int]:
        """Frames at which a transition is possible but not certain, in order."""
        return sorted(self._doubts | set(self._jumps(_DOUBT_JUMP, _DOUBT_RATIO)))

    def _jumps(self, least: float, ratio: float) -> list[int]:
        lost, differs = np.array(self._lost), np.array(self._differs)
        found = []
        for index in range(_AROUND, len(lost) - _AROUND):
            around = [*lost[max(index - _AROUND, 1) : index], *lost[index + 1 : index + 1 + _AROUND]]
            # Footage with repeated frames moves in steps, which are no cuts.
            stutters = (differs[max(index - _AROUND, 1) : index] < _REPEATED).any()
            if lost[index] >= max(least, ratio * max(around), self._motion(index)) and not stutters:
                found.append(index)
        return found

    def _motion(self, index: int) -> float:
        """Largest share of lost blocks that the motion just before or after a frame explains."""
        after = index + self._dropped
        return max(self._moved[index - 1], self._moved[after] if after < len(self._moved) else 0.0)

    def _fades(self) -> list[Transition]:
        """Runs of empty frames with the frames in which the contrast falls and rises."""
        contrast = np.array(self._contrast)
        empty = contrast < _EMPTY
        edges = np.flatnonzero(np.diff(np.concatenate([[0], empty.astype(np.int8), [0]])))
        longest = round(_LONGEST_FADE_S * self._fps)
        found = []
        for start, end in edges.reshape(-1, 2):
            first, last = int(start), int(end)
            while first > 0 and start - first < longest and contrast[first - 1] > 1.01 * contrast[first]:
                first -= 1
            while (
                last < len(contrast) and last - end < longest and contrast[last] > 1.01 * contrast[last - 1]
            ):
                last += 1
            if first < start or last > end:
                found.append(Transition(first, last, "fade"))
        return found


def edges_of(transitions: Sequence[Transition], fps: Fraction, num_frames: int) -> list[int]:
    """Frames at which shots end and begin: `MARGIN_S` around dissolves and fades, exactly at jump cuts."""
    margin = round(MARGIN_S * float(fps))
    edges: set[int] = set()
    for one in transitions:
        around = 0 if one.start == one.end else margin
        edges |= {one.start - around, one.end + around}
    return sorted(edge for edge in edges if 0 < edge < num_frames)


def _blocks(plane: _Plane) -> _Plane:
    """Means of blocks."""
    import cv2

    height, width = plane.shape
    size = (max(width // _SIDE, 1), max(height // _SIDE, 1))
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.float32)


def _lost(before: _Frame, now: _Frame) -> float:
    """Share of the blocks with texture whose detail the next frame does not have."""
    textured = np.maximum(before.energy, now.energy) > _MIN_DETAIL**2
    if not textured.any():
        return 0.0
    return float((textured & ~_unchanged(before, now)).sum() / textured.size)


def _unchanged(one: _Frame, other: _Frame) -> BoolArray:
    common = _blocks(one.detail * other.detail)
    return np.asarray(common > _UNCHANGED * np.maximum(one.energy, other.energy), np.bool_)


def _mix(first: _Frame, middle: _Frame, last: _Frame) -> tuple[float, float]:
    """Share of the blocks that differ between first and last, and share of those that show a mix."""
    ends: _Plane = (first.energy + last.energy) / 2
    changed = (ends > _MIN_DETAIL**2) & ~_unchanged(first, last)
    if not changed.any():
        return 0.0, 0.0
    residual = _blocks(np.square(middle.detail - (first.detail + last.detail) / 2))
    difference = _blocks(np.square(last.detail - first.detail))
    mixed = (residual <= _MAX_RESIDUAL**2 * difference) & (middle.energy <= _MAX_ENERGY * ends)
    return float(changed.mean()), float(mixed[changed].mean())


def _merged(found: Sequence[Transition]) -> list[Transition]:
    """Join overlapping transitions; the narrowest window of a group is nearest to the dissolve."""
    groups: list[list[Transition]] = []
    for one in sorted(found, key=lambda one: one.start):
        if groups and one.start < max(other.end for other in groups[-1]):
            groups[-1].append(one)
        else:
            groups.append([one])
    joined = []
    for group in groups:
        # Windows that are too long have pure ends outside the dissolve: the middle half of all windows.
        starts: FloatArray = np.array([one.start for one in group], np.float64)
        ends: FloatArray = np.array([one.end for one in group], np.float64)
        joined.append(Transition(int(np.median(starts)), int(np.ceil(np.median(ends))), group[0].kind))
    return joined


def _contains(cuts: Sequence[int], one: Transition) -> bool:
    place = bisect_left(cuts, one.start)
    return place < len(cuts) and cuts[place] <= one.end


def _overlap(one: Transition, other: Transition) -> bool:
    return one.start < other.end and other.start < one.end
