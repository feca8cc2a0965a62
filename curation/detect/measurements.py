"""Measurements of a shot: plain data for the filters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
# Brightness, uint8 (H, W).
Luma = npt.NDArray[np.uint8]
# COCO-WholeBody points, float32 (133, 3) or (N, 3): x, y and confidence in [0, 1].
Keypoints = npt.NDArray[np.float32]
# Features of a face, float32 (512,) of unit length.
Embedding = npt.NDArray[np.float32]


class Box(NamedTuple):
    """Corners, normalised by the picture's width and height; may exceed the picture."""

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
        """Area of the intersection."""
        return Box(
            max(self.x0, other.x0), max(self.y0, other.y0), min(self.x1, other.x1), min(self.y1, other.y1)
        ).area


WHOLE = Box(0.0, 0.0, 1.0, 1.0)


class Bystander(NamedTuple):
    """Person beside the main one.

    Attributes:
        box: Place in the picture.
        area: Area as a share of the main person's box.
        evidence: `face`, `joints` or `shape`, see `detect.bystanders`.
    """

    box: Box
    area: float
    evidence: str


@dataclass(frozen=True)
class FrameSample:
    """Measurements of one frame.

    Some properties change slowly and are measured about once a second: `others`, `bystander`, `change`,
    `picture`, `text` and `identity`. Samples in between repeat them.

    Attributes:
        index: Index of the frame in the source, from 0.
        faces: All faces found.
        keypoints: Keypoints of the main person; None if no face was found.
        time: Seconds in the source.
        face: Face of the main person; None if there is none.
        face_luma: Median brightness of the face, 0-255; None without a face.
        face_contrast: Distinguishable levels of brightness of the face, see `detect.contrast`; None without a
            face.
        face_sharpness: See `detect.sharpness`; None without a face.
        hand_sharpness: The same for the left and the right hand; None for a hand that was not found.
        hand_confidence: Confidence that the left and the right hand are there, 0-1; None: that of the wrist.
        others: Area of people beside the main one, as a share of the main person's box.
        bystander: The same person, with place and evidence; None if the main person is alone.
        change: Change of the person in the last second, see `detect.person_motion`; None if unknown.
        picture: Picture inside the letterbox.
        text: Letters of burnt-in text.
        luma: (18, 32), brightness of the downscaled picture.
        colours: float32 (N,), colour histogram, sums to 1.
        identity: Embedding of the main face; None without an identity model.
        measured_at: Frame at which the slow properties were measured; None for this one.
        compared_with: Earlier frame that `text` and `change` were compared with; None if there was none.
    """

    index: int
    faces: tuple[Box, ...]
    keypoints: Keypoints | None
    time: float = 0.0
    face: Box | None = None
    face_luma: float | None = None
    face_contrast: float | None = None
    face_sharpness: float | None = None
    hand_sharpness: tuple[float | None, float | None] = (None, None)
    hand_confidence: tuple[float | None, float | None] = (None, None)
    others: float = 0.0
    bystander: Bystander | None = None
    change: float | None = None
    picture: Box = WHOLE
    text: tuple[Box, ...] = ()
    luma: Luma | None = None
    colours: npt.NDArray[np.float32] | None = None
    identity: Embedding | None = None
    measured_at: int | None = None
    compared_with: int | None = None


@dataclass(frozen=True)
class Shot:
    """Frames `start` to `end` (exclusive) of a source, with the samples among them.

    `width` and `height` are those of the source, in pixels, as displayed.
    """

    start: int
    end: int
    duration_s: float
    width: int
    height: int
    samples: tuple[FrameSample, ...]

    @cached_property
    def picture(self) -> Box:
        """Picture inside the letterbox: only bars that all samples show count, not a dark corner in some."""
        corners = np.array([sample.picture for sample in self.samples] or [WHOLE], np.float64)
        low, high = corners[:, :2].min(axis=0), corners[:, 2:].max(axis=0)
        return Box(*map(float, (*low, *high)))

    @property
    def shorter_side(self) -> float:
        """Shorter side of the picture inside the letterbox, in pixels."""
        return max(min(self.picture.width * self.width, self.picture.height * self.height), 1.0)

    @classmethod
    def between(
        cls, start: int, end: int, duration_s: float, size: tuple[int, int], samples: Sequence[FrameSample]
    ) -> Shot:
        """Build a shot whose samples repeat nothing from the shot before it.

        Slow properties are repeated from sample to sample, also over a cut. Before the first measurement
        inside the shot, the values of that measurement are used instead.

        Args:
            start, end: Frames of the shot, end exclusive.
            duration_s: Seconds.
            size: Width and height of the source.
            samples: Samples of the whole source.
        """
        inside = [sample for sample in samples if start <= sample.index < end]
        first = next((one for one in inside if _measured_from(one, start)), None)
        second = next((one for one in inside if _compared_from(one, start)), None)
        own = []
        for sample in inside:
            if not _measured_from(sample, start):
                sample = _with(sample, first, ("others", "bystander", "picture", "identity"))
            if not _compared_from(sample, start):
                sample = _with(sample, second, ("text", "change", "measured_at", "compared_with"))
            own.append(sample)
        return cls(start, end, duration_s, *size, tuple(own))

    @property
    def num_frames(self) -> int:
        """Number of frames."""
        return self.end - self.start

    def part(self, start: int, end: int, times: Sequence[float]) -> Shot:
        """Part of the shot, with the samples in it.

        Args:
            start, end: Frames of the source, end exclusive.
            times: Seconds of every frame of the source, and of the end.
        """
        inside = tuple(sample for sample in self.samples if start <= sample.index < end)
        return replace(
            self, start=start, end=end, duration_s=float(times[end] - times[start]), samples=inside
        )


def _measured_from(sample: FrameSample, start: int) -> bool:
    return sample.measured_at is None or sample.measured_at >= start


def _compared_from(sample: FrameSample, start: int) -> bool:
    if sample.measured_at is None:
        return True
    return sample.compared_with is not None and sample.compared_with >= start


def _with(sample: FrameSample, other: FrameSample | None, names: Sequence[str]) -> FrameSample:
    """Copy fields of another sample; their defaults if there is none."""
    defaults: dict[str, Any] = {field.name: field.default for field in fields(FrameSample)}
    return replace(sample, **{name: getattr(other, name) if other else defaults[name] for name in names})
