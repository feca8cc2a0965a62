"""What a metric is: a frozen description, and a state that is fed pairs of frames in the order of time.

Metrics never open files and never hold a video. All they may read is the window of the last pairs, shared by
all of them (`benchmark/metrics/window.py`):

    window.real(back), window.generated(back)   frames, back up to the metric's `lookback`
    window.keypoints(back)                      the pose that the contestant was given for the frame
    window.reference                            the portrait
    window.feature(name, side, back)            computed once per frame however many metrics read it

**Features.** What several metrics read, or what needs weights (boxes of faces, optical flow, masks), is a
feature: one file in `benchmark/features/`, entered in `EXTRACTORS` there. A metric names those it reads in
`MetricSpec.features`. They are loaded once per process, when the first case begins. Where one cannot be
had, the metric is not started: its score of the case is `unavailable`, with the reason and the command that
fetches what is missing. Nothing is downloaded.

**Sets.** A metric of scope `set` (FID, FVD) has no score of a clip. It names the collections it is computed
from in `MetricSpec.collections` (`COLLECTIONS` in `benchmark/features/`); each gathers arrays from a clip,
once for all metrics, which are stored as RUN/features/CLIP.npz under `COLLECTION/ARRAY`, with their hash in
the case. `SetMetric.score` gets them back, clip by clip: so it can be bootstrapped and computed anew.

**A new metric** is a file here with a class that has `spec` and `start` (or `score`), an entry in `FAMILIES`
(`benchmark/metrics/__init__.py`), and a line in the protocols that use it. Its version, its features'
versions and their weights' hashes are part of the protocol's hash.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from benchmark.features.feature import Arrays
from benchmark.metrics.window import Image, PairWindow
from benchmark.results import CaseScore, Direction

if TYPE_CHECKING:
    from benchmark.rules import Aggregation

__all__ = ["CaseShape", "ClipArrays", "Image", "Metric", "MetricSpec", "MetricState", "SetMetric", "SetScore"]


@dataclass(frozen=True)
class MetricSpec:
    """What a reader must know of a number.

    Attributes:
        id: as in `run.json`, such as `tje@2`.
        version: raised whenever a number moves.
        unit: of the value.
        direction: which way is better.
        scope: `frame`, one score per frame; `pair`, one score per frame from `lookback` on; `clip`, only one
            for the whole clip; `set`, one for all clips together.
        lookback: how many frames before the present one it reads.
        definition: in words or a formula, complete enough to write it anew.
        source: paper or reference implementation.
        blind_spots: what it cannot see.
        features: ids of the features it reads.
        collections: ids of the collections it is computed from; of scope `set` alone.
        target: the value of a perfect result where neither high nor low is better.
        needs_real: whether it compares with real frames; a case of two identities has none.
        needs_keypoints: whether it reads the pose that the contestant was given.
    """

    id: str
    version: int
    unit: str
    direction: Direction
    scope: Literal["frame", "pair", "clip", "set"]
    lookback: int
    definition: str
    source: str
    blind_spots: str
    features: tuple[str, ...] = ()
    collections: tuple[str, ...] = ()
    target: float | None = None
    needs_real: bool = True
    needs_keypoints: bool = False

    @property
    def reads(self) -> tuple[str, ...]:
        """Everything in `benchmark/features/` that it names."""
        return (*self.features, *self.collections)

    @property
    def per_frame(self) -> bool:
        """Whether there is a curve over time."""
        return self.scope in ("frame", "pair")


@dataclass(frozen=True)
class CaseShape:
    """What a metric may know of a clip before its first frame: size in pixels, rate, number of frames.

    `num_frames` is None where the frames come from an iterator of unknown length. `window` is the number of
    frames that the contestant generates together, None where that is unknown.
    """

    clip_id: str
    fps: Fraction
    width: int
    height: int
    num_frames: int | None
    window: int | None = None


class MetricState(Protocol):
    """A metric on its way through one clip."""

    def update(self, window: PairWindow) -> float | None:
        """Take the newest pair; return the score of its frame, None where there is none or it is infinite."""
        ...

    def finish(self) -> CaseScore:
        """The score of the whole clip."""
        ...


@runtime_checkable
class Metric(Protocol):
    """A metric of clips: what it is, and how it begins a clip."""

    @property
    def spec(self) -> MetricSpec:
        """What a reader must know of it."""
        ...

    def start(self, case: CaseShape) -> MetricState:
        """A fresh state for one clip."""
        ...


@dataclass(frozen=True)
class ClipArrays:
    """What a set metric knows of one clip: collection -> array name -> float32 (samples, dimensions)."""

    clip_id: str
    cluster: str
    arrays: dict[str, Arrays]


@dataclass(frozen=True)
class SetScore:
    """The value over all clips, its interval (over clusters), and what must be known of it in one line."""

    value: float | None
    ci95: tuple[float, float] | None = None
    reason: str | None = None


@runtime_checkable
class SetMetric(Protocol):
    """A metric of all clips together, scope `set`."""

    @property
    def spec(self) -> MetricSpec:
        """What a reader must know of it."""
        ...

    def score(self, clips: Sequence[ClipArrays], rule: Aggregation) -> SetScore:
        """The value over these clips, at least one; the order of the clips does not move it."""
        ...
