"""FVD of the first, the middle and the last third of the clips: whether a model wears off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from benchmark.features.i3d import DIMENSIONS
from benchmark.metrics.frechet import INTERVAL, SAMPLES_PER_DIMENSION, frechet_score
from benchmark.metrics.fvd import COLLECTION
from benchmark.metrics.metric import ClipArrays, MetricSpec, SetScore
from benchmark.rules import Aggregation

Third = Literal["first", "middle", "last"]
THIRDS: tuple[Third, ...] = ("first", "middle", "last")
LEAST = SAMPLES_PER_DIMENSION * DIMENSIONS


@dataclass(frozen=True)
class FvdThird:
    """Frechet video distance over one third of the windows of each clip."""

    third: Third

    @property
    def spec(self) -> MetricSpec:
        """What a reader must know of it."""
        return MetricSpec(
            id=f"fvd_third.{self.third}",
            version=1,
            unit="1",
            direction="lower",
            scope="set",
            lookback=0,
            definition=(
                f"As fvd, over the {self.third} third of the windows of each clip: of n, floor(n / 3) at "
                "the beginning, as many at the end, and as many about the middle. Unavailable below "
                f"{LEAST} windows in the third: the bias would hide what happens over time. {INTERVAL}."
            ),
            source="own; the recipe of fvd",
            blind_spots=(
                "as fvd; thirds are comparable with one another where they hold as many windows; what people "
                "do at the beginning and the end of a clip differs in real videos too"
            ),
            collections=(COLLECTION,),
        )

    def score(self, clips: Sequence[ClipArrays], rule: Aggregation) -> SetScore:
        """The distance over this third of these clips."""
        kept = [
            replace(clip, arrays={COLLECTION: {s: self._of(a) for s, a in clip.arrays[COLLECTION].items()}})
            for clip in clips
        ]
        number = sum(len(clip.arrays[COLLECTION]["generated"]) for clip in kept)
        if number < LEAST:
            return SetScore(
                None, reason=f"{number} windows of 16 frames in this third: {LEAST} are the least"
            )
        return frechet_score(kept, COLLECTION, rule, "windows of 16 frames")

    def _of(self, windows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        each = len(windows) // 3
        start = {"first": 0, "middle": (len(windows) - each) // 2, "last": len(windows) - each}[self.third]
        return windows[start : start + each]
