"""What was measured of a shot: plain data that the filters judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


class Box(NamedTuple):
    """Corners, normalised by the picture's width and height; may reach beyond the picture."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def width(self) -> float:
        """Share of the picture's width."""
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        """Share of the picture's height."""
        return self.y1 - self.y0

    @property
    def area(self) -> float:
        """Share of the picture."""
        return max(self.width, 0.0) * max(self.height, 0.0)

    def overlap(self, other: Box) -> float:
        """Area that both cover."""
        return Box(
            max(self.x0, other.x0), max(self.y0, other.y0), min(self.x1, other.x1), min(self.y1, other.y1)
        ).area


WHOLE = Box(0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True)
class FrameSample:
    """One frame that was looked at.

    Attributes:
        index: of the frame in the source, from 0.
        faces: every face found.
        keypoints: float32 (133, 3) of the main person, COCO-WholeBody, x, y, confidence in [0, 1]; None
            where no face was found, so that nobody was searched.
        time: in seconds of the source.
        face: of the main person; None where there is none.
        face_luma: median brightness of the face, 0 to 255; None without a face.
        face_sharpness, hand_sharpness: see `detect.sharpness`; hands left and right, None where not found.
        others: area of people beside the main one, as a share of the main person's box.
        change: of the person in the last second, see `detect.person_motion`; None where it is not known.
        picture: what lies inside borders.
        text: burnt-in text.
        luma: (18, 32) uint8, brightness of the picture, small.
        colours: float32 (N,), histogram of the colours, sums to 1.
        identity: float32 (512,) of unit length, of the main face; None where no identity model runs.
        looked_at: frame at which what changes slowly was looked at (others, change, picture, text, identity);
            None for this one.
        compared_with: frame before with which that one was compared, for `text` and `change`; None where
            there was none.
    """

    index: int
    faces: tuple[Box, ...]
    keypoints: npt.NDArray[np.float32] | None
    time: float = 0.0
    face: Box | None = None
    face_luma: float | None = None
    face_sharpness: float | None = None
    hand_sharpness: tuple[float | None, float | None] = (None, None)
    others: float = 0.0
    change: float | None = None
    picture: Box = WHOLE
    text: tuple[Box, ...] = ()
    luma: npt.NDArray[np.uint8] | None = None
    colours: npt.NDArray[np.float32] | None = None
    identity: npt.NDArray[np.float32] | None = None
    looked_at: int | None = None
    compared_with: int | None = None


@dataclass(frozen=True)
class Shot:
    """Frames `start` to `end` (exclusive) of a source, with the samples among them.

    `width` and `height` are the source's, in pixels, as shown.
    """

    start: int
    end: int
    duration_s: float
    width: int
    height: int
    samples: tuple[FrameSample, ...]

    @cached_property
    def picture(self) -> Box:
        """What lies inside borders: a border is one that all samples show, a dark corner comes and goes."""
        corners = np.array([sample.picture for sample in self.samples] or [WHOLE], np.float64)
        low, high = corners[:, :2].min(axis=0), corners[:, 2:].max(axis=0)
        return Box(*map(float, (*low, *high)))

    @property
    def shorter_side(self) -> float:
        """Of the picture inside its borders, in pixels."""
        return max(min(self.picture.width * self.width, self.picture.height * self.height), 1.0)

    @classmethod
    def between(
        cls, start: int, end: int, duration_s: float, size: tuple[int, int], samples: Sequence[FrameSample]
    ) -> Shot:
        """A shot that knows nothing of the one before it.

        What is looked at only now and then is carried from sample to sample, also over a cut: until the
        shot's own first look, what that one saw counts.

        Args:
            size: width and height of the source.
            samples: of the whole source.
        """
        inside = [sample for sample in samples if start <= sample.index < end]
        first = next((one for one in inside if _own(one.looked_at, start)), None)
        second = next((one for one in inside if _compared_within(one, start)), None)
        own = []
        for sample in inside:
            if not _own(sample.looked_at, start):
                sample = _with(sample, first, ("others", "picture", "identity"))
            if not _compared_within(sample, start):
                sample = _with(sample, second, ("text", "change", "looked_at", "compared_with"))
            own.append(sample)
        return cls(start, end, duration_s, *size, tuple(own))

    @property
    def num_frames(self) -> int:
        """How many frames the shot has."""
        return self.end - self.start

    def part(self, start: int, end: int, times: Sequence[float]) -> Shot:
        """Some of its frames, with the samples among them.

        Args:
            start, end: frames of the source, end exclusive.
            times: in seconds, of every frame of the source, and of the end.
        """
        inside = tuple(sample for sample in self.samples if start <= sample.index < end)
        return replace(
            self, start=start, end=end, duration_s=float(times[end] - times[start]), samples=inside
        )


def _own(index: int | None, start: int) -> bool:
    return index is None or index >= start


def _compared_within(sample: FrameSample, start: int) -> bool:
    if sample.looked_at is None:
        return True
    return sample.compared_with is not None and sample.compared_with >= start


def _with(sample: FrameSample, other: FrameSample | None, names: Sequence[str]) -> FrameSample:
    """A sample with some of what another saw; as if nothing was seen where there is no other."""
    nothing = {field.name: field.default for field in fields(FrameSample)}
    return replace(sample, **{n: getattr(other, n) if other else nothing[n] for n in names})
