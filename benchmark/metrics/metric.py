"""What a metric is: a frozen description, and a state that is fed pairs of frames in the order of time.

Metrics never open files and never hold a video: what they may look back on is a window of the last
`lookback` pairs, shared by all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from benchmark.results import CaseScore, Direction

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class MetricSpec:
    """What a reader must know of a number.

    Attributes:
        id: as in `run.json`, such as `tje@2`.
        version: raised whenever a number moves.
        unit: of the value.
        direction: which way is better.
        scope: `frame`, one score per frame; `pair`, one score per frame from `lookback` on; `clip`, only one
            for the whole clip.
        lookback: how many frames before the present one it reads.
        definition: in words or a formula, complete enough to write it anew.
        source: paper or reference implementation.
        blind_spots: what it cannot see.
    """

    id: str
    version: int
    unit: str
    direction: Direction
    scope: Literal["frame", "pair", "clip"]
    lookback: int
    definition: str
    source: str
    blind_spots: str

    @property
    def per_frame(self) -> bool:
        """Whether there is a curve over time."""
        return self.scope != "clip"


@dataclass(frozen=True)
class CaseShape:
    """What a metric may know of a clip before its first frame: size in pixels, rate, number of frames."""

    clip_id: str
    fps: Fraction
    width: int
    height: int
    num_frames: int


class PairWindow:
    """The last `lookback + 1` pairs of real and generated frames, uint8 RGB (H, W, 3), newest first.

    Attributes:
        t: index of the newest pair, -1 before the first.
    """

    def __init__(self, lookback: int) -> None:
        self.t = -1
        self._pairs: list[tuple[Image, Image] | None] = [None] * (lookback + 1)

    def push(self, real: Image, generated: Image) -> None:
        """Add the next pair; the oldest is forgotten once the window is full. Arrays are kept, not copied."""
        self.t += 1
        self._pairs[self.t % len(self._pairs)] = (real, generated)

    def real(self, back: int = 0) -> Image:
        """The real frame `back` steps ago."""
        return self._pair(back)[0]

    def generated(self, back: int = 0) -> Image:
        """The generated frame `back` steps ago."""
        return self._pair(back)[1]

    def _pair(self, back: int) -> tuple[Image, Image]:
        pair = self._pairs[(self.t - back) % len(self._pairs)] if 0 <= back <= self.t else None
        if pair is None or back >= len(self._pairs):
            raise IndexError(f"no pair {back} steps before {self.t} in a window of {len(self._pairs)}")
        return pair


class MetricState(Protocol):
    """A metric on its way through one clip."""

    def update(self, window: PairWindow) -> float | None:
        """Take the newest pair; return the score of its frame, None where there is none or it is infinite."""
        ...

    def finish(self) -> CaseScore:
        """The score of the whole clip."""
        ...


class Metric(Protocol):
    """A metric: what it is, and how it begins a clip."""

    @property
    def spec(self) -> MetricSpec:
        """What a reader must know of it."""
        ...

    def start(self, case: CaseShape) -> MetricState:
        """A fresh state for one clip."""
        ...
