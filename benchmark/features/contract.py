"""Contract of features: values computed once per frame, however many metrics read them.

A metric names the features it reads in `MetricSpec.features` and asks its window for them. An `Extractor`
computes a feature of one frame. A `Collection` gathers arrays over a clip for metrics of all clips together;
they are stored beside the run.

Features are entry points of the group `talkingpose.features`. The target is a class that is created without
arguments, once per process, when a metric first needs it. Where creation raises `WeightsError`, `ImportError`
or `FeatureError`, every metric that reads the feature is `unavailable`, with the message as its reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from talkingpose.io.errors import UserError
from talkingpose.io.image import Image

# COCO-WholeBody, float32 (133, 3): x and y in [0, 1] of the frame, confidence in [0, 1], 0 where absent.
Keypoints = npt.NDArray[np.float32]
# Array name -> float32 (samples, dimensions).
Arrays = Mapping[str, npt.NDArray[np.float32]]
# `driver` is the driving clip of a cross-identity case.
Side = Literal["real", "generated", "reference", "driver"]


class FeatureError(UserError):
    """A feature is not available on this machine: one line with the command that fetches what is missing."""


@dataclass(frozen=True)
class CaseShape:
    """Facts about a clip that are known before its first frame.

    Attributes:
        clip_id: of the clip.
        fps: frame rate.
        width, height: of the frames, in pixels.
        num_frames: None where the frames come from an iterator of unknown length.
        window: number of frames that the contestant generates together; None where unknown.
    """

    clip_id: str
    fps: Fraction
    width: int
    height: int
    num_frames: int | None
    window: int | None = None


class FrameWindow(Protocol):
    """The last frames of a clip, as metrics and features read them. `back` counts frames into the past."""

    @property
    def t(self) -> int:
        """Index of the newest frame, from 0."""
        ...

    @property
    def reference(self) -> Image:
        """The portrait, uint8 RGB (H, W, 3)."""
        ...

    def real(self, back: int = 0) -> Image:
        """Return a real frame, uint8 RGB (H, W, 3). Raises LookupError where the case has none."""
        ...

    def generated(self, back: int = 0) -> Image:
        """Return a generated frame, uint8 RGB (H, W, 3)."""
        ...

    def image(self, side: Side, back: int = 0) -> Image:
        """Return a frame of one side, or the portrait."""
        ...

    def keypoints(self, back: int = 0) -> Keypoints:
        """Return the pose that the contestant was given. Raises LookupError where there is none."""
        ...

    def feature(self, name: str, side: Side, back: int = 0) -> Any:
        """Return a feature of a frame, which the metric or feature must declare in its spec."""
        ...


@dataclass(frozen=True)
class FeatureSpec:
    """Description of a feature. Everything but `definition` enters the hash of a protocol.

    Attributes:
        id: name of its entry point.
        version: raised whenever its values change.
        definition: complete enough to implement it again.
        weights: ids of the weight files it reads, as in `talkingpose/weights/weights.lock.yaml`.
        features: other features it reads.
        lookback: number of earlier frames it reads.
        packages: libraries that carry weights of their own, so that their release changes the values.
    """

    id: str
    version: int
    definition: str
    weights: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    lookback: int = 0
    packages: tuple[str, ...] = ()


class Extractor(Protocol):
    """Computes one feature. It keeps nothing from one frame to the next."""

    @property
    def spec(self) -> FeatureSpec:
        """Description; a class attribute, so that it is readable without creating an extractor."""
        ...

    def extract(self, window: FrameWindow, side: Side, back: int) -> Any:
        """Return the feature of the frame of `side`, `back` frames before the newest."""
        ...


class ClipCollector(Protocol):
    """A collection while it passes through one clip."""

    def update(self, window: FrameWindow) -> None:
        """Add the newest pair."""
        ...

    def finish(self) -> Arrays:
        """Return the arrays of the clip, such as `real` and `generated`, float32 (samples, dimensions)."""
        ...


class Collection(Protocol):
    """Gathers, clip by clip, the arrays that metrics of all clips are computed from."""

    @property
    def spec(self) -> FeatureSpec:
        """Description; a class attribute, so that it is readable without creating a collection."""
        ...

    def start(self, case: CaseShape) -> ClipCollector:
        """Begin a clip."""
        ...
