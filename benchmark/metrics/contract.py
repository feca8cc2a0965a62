"""Contract of metrics: a frozen description, and a state that receives pairs of frames in order of time.

A metric never opens a file and never holds a video. It reads the window of the last pairs, which all metrics
share (`FrameWindow`). Values that several metrics read, or that need weights, are features
(`benchmark/features/contract.py`).

Metrics are entry points of the group `talkingpose.metrics`. The name of the entry point is the family that a
protocol names. The target is a metric class that is created without arguments; a sequence of metrics, such as
one for each region; or a function that takes the deltas of the protocol and returns metrics. All metrics of a
family have one version. Versions of metrics and features and the hashes of their weights are part of the
protocol's hash. `examples/my_metric.py` is a complete metric.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from benchmark.features.contract import Arrays, CaseShape, FrameWindow
from benchmark.results import CaseScore, Direction
from benchmark.rules import Aggregation


@dataclass(frozen=True)
class MetricSpec:
    """Description of a metric.

    Attributes:
        id: as in `run.json`, such as `tje@2`.
        version: raised whenever its numbers change.
        unit: of the value.
        direction: `higher` or `lower` is better, or `none`.
        scope: `frame`, a score for each frame; `pair`, a score for each frame from `lookback` on; `clip`, one
            score for the clip; `set`, one score for all clips together.
        lookback: number of earlier frames it reads.
        definition: formula or text, complete enough to implement it again.
        source: paper or reference implementation.
        blind_spots: errors that it does not detect.
        features: ids of the features it reads.
        collections: ids of the collections it is computed from, for the scope `set`.
        target: value of a perfect result where neither high nor low is better.
        needs_real: it compares with real frames; a cross-identity case has none.
        needs_keypoints: it reads the pose that the contestant was given.
        needs_driver: it compares with frames of the driving clip of another person, which only a
            cross-identity case has.
        title: name of the family in words, for tables.
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
    title: str = ""
    needs_driver: bool = False

    @property
    def reads(self) -> tuple[str, ...]:
        """Ids of all features and collections."""
        return (*self.features, *self.collections)

    @property
    def per_frame(self) -> bool:
        """True for a metric with a curve over time."""
        return self.scope in ("frame", "pair")


class MetricState(Protocol):
    """A metric while it passes through one clip."""

    def update(self, window: FrameWindow) -> float | None:
        """Add the newest pair; return the score of its frame, None where it is infinite or does not exist."""
        ...

    def finish(self) -> CaseScore:
        """Return the score of the clip."""
        ...


@runtime_checkable
class Metric(Protocol):
    """A metric of single clips."""

    @property
    def spec(self) -> MetricSpec:
        """Description."""
        ...

    def start(self, case: CaseShape) -> MetricState:
        """Begin a clip."""
        ...


@dataclass(frozen=True)
class ClipArrays:
    """Arrays of one clip for a set metric: collection -> array name -> float32 (samples, dimensions).

    `group` is the person or recording that the clip shares with others.
    """

    clip_id: str
    group: str
    arrays: dict[str, Arrays]


@dataclass(frozen=True)
class SetScore:
    """Value over all clips, its interval over groups of clips, and a remark in one line."""

    value: float | None
    ci95: tuple[float, float] | None = None
    reason: str | None = None


@runtime_checkable
class SetMetric(Protocol):
    """A metric of all clips together, scope `set`."""

    @property
    def spec(self) -> MetricSpec:
        """Description."""
        ...

    def score(self, clips: Sequence[ClipArrays], rule: Aggregation) -> SetScore:
        """Return the value over at least one clip; the order of the clips does not change it."""
        ...


AnyMetric = Metric | SetMetric
# Target of an entry point.
MetricFamily = type[AnyMetric] | Sequence[AnyMetric] | Callable[[Sequence[int]], Sequence[AnyMetric]]
