"""What a feature is: something computed of a frame once, however many metrics read it.

A metric names the features it reads (`MetricSpec.features`) and asks its window for them; see
`benchmark.metrics.metric`. What has to outlast the clip, because a metric is computed over many clips
together, is gathered by a collection and stored beside the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from benchmark.metrics.metric import CaseShape
    from benchmark.metrics.window import PairWindow, Side

Arrays = Mapping[str, npt.NDArray[np.float32]]


class FeatureError(ValueError):
    """A feature cannot be had here: one line, with the command that fetches what is missing."""


@dataclass(frozen=True)
class FeatureSpec:
    """What a reader must know of a feature; all of it but the words enters the hash of a protocol.

    Attributes:
        id: as metrics name it.
        version: raised whenever it comes out otherwise.
        definition: in words, complete enough to write it anew.
        weights: ids of the weight files it reads, as in `talkingpose/weights/weights.lock.yaml`.
        features: other features it reads.
        lookback: how many frames before its own it reads.
        packages: libraries that carry the weights it uses, whose release therefore moves it.
    """

    id: str
    version: int
    definition: str
    weights: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    lookback: int = 0
    packages: tuple[str, ...] = ()


class Extractor(Protocol):
    """Computes one feature. It is made without arguments, once per process, when a metric first needs it.

    Making it raises WeightsError (from `talkingpose.weights.find`), ImportError or FeatureError where it
    cannot work here. It keeps nothing from one frame to the next.
    """

    @property
    def spec(self) -> FeatureSpec:
        """What a reader must know of it; readable on the class, without making one."""
        ...

    def extract(self, window: PairWindow, side: Side, back: int) -> Any:
        """The feature of one frame of the window: that of `side`, `back` steps before the newest."""
        ...


class Collecting(Protocol):
    """A collection on its way through one clip."""

    def update(self, window: PairWindow) -> None:
        """Take the newest pair."""
        ...

    def finish(self) -> Arrays:
        """What is stored of the clip, such as `real` and `generated`, each float32 (samples, dimensions)."""
        ...


class Collection(Protocol):
    """Gathers, clip by clip, what metrics of a set of clips are computed from; made as an `Extractor` is."""

    @property
    def spec(self) -> FeatureSpec:
        """What a reader must know of it; readable on the class, without making one."""
        ...

    def start(self, case: CaseShape) -> Collecting:
        """Begin a clip."""
        ...
