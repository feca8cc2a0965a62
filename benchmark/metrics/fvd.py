"""FVD: distance of generated from real windows of 16 frames, over all clips and over each third of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from benchmark.features.i3d import DIMENSIONS
from benchmark.metrics.contract import ClipArrays, MetricSpec, SetScore
from benchmark.metrics.frechet import INTERVAL, SAMPLES_PER_DIMENSION, frechet_score
from benchmark.rules import Aggregation

COLLECTION = "i3d"
WINDOWS = "windows of 16 frames"

Third = Literal["first", "middle", "last"]
THIRDS: tuple[Third, ...] = ("first", "middle", "last")
MIN_WINDOWS = SAMPLES_PER_DIMENSION * DIMENSIONS


class Fvd:
    """Frechet video distance between generated and real windows of 16 frames."""

    spec = MetricSpec(
        id="fvd",
        title="Frechet distance of windows of 16 frames",
        version=1,
        unit="1",
        direction="lower",
        scope="set",
        lookback=0,
        definition=(
            "Recipe i3d-400-224-16x16: Frechet distance of two Gaussians, with mean and unbiased covariance "
            "of the 400 I3D logits of real and of generated windows of 16 frames, stride 16, shorter side to "
            f"224, centre crop, of all clips together, in float64. {INTERVAL}."
        ),
        source=(
            "Unterthiner et al. 2018, with the TorchScript I3D of StyleGAN-V; the distance is own (Dowson "
            "and Landau 1982)"
        ),
        blind_spots=(
            "change over more than 16 frames; the sides that the crop removes; it prefers good frames to "
            "good motion (Ge et al. 2024); windows of one video are not independent; biased upwards for few "
            "windows; clips of other frame rates show other lengths of time"
        ),
        collections=(COLLECTION,),
    )

    def score(self, clips: Sequence[ClipArrays], rule: Aggregation) -> SetScore:
        """Return the distance over these clips."""
        return frechet_score(clips, COLLECTION, rule, WINDOWS)


@dataclass(frozen=True)
class FvdThird:
    """Frechet video distance over one third of the windows of each clip."""

    third: Third

    @property
    def spec(self) -> MetricSpec:
        """Description."""
        return MetricSpec(
            id=f"fvd_third.{self.third}",
            title="Frechet distance of windows in one third of the clips",
            version=1,
            unit="1",
            direction="lower",
            scope="set",
            lookback=0,
            definition=(
                f"As fvd, over the {self.third} third of the windows of each clip: of n windows, floor(n / "
                f"3) at the beginning, in the middle and at the end. Unavailable below {MIN_WINDOWS} windows "
                f"in the third, where the bias hides the change over time. {INTERVAL}."
            ),
            source="own; the recipe of fvd",
            blind_spots=(
                "as fvd; thirds are comparable with each other where they hold equally many windows; persons "
                "behave differently at the beginning and the end of real clips too"
            ),
            collections=(COLLECTION,),
        )

    def score(self, clips: Sequence[ClipArrays], rule: Aggregation) -> SetScore:
        """Return the distance over this third of these clips."""
        kept = [
            replace(clip, arrays={COLLECTION: {s: self._of(a) for s, a in clip.arrays[COLLECTION].items()}})
            for clip in clips
        ]
        number = sum(len(clip.arrays[COLLECTION]["generated"]) for clip in kept)
        if number < MIN_WINDOWS:
            return SetScore(
                None, reason=f"{number} {WINDOWS} in this third: at least {MIN_WINDOWS} are needed"
            )
        return frechet_score(kept, COLLECTION, rule, WINDOWS)

    def _of(self, windows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        size = len(windows) // 3
        start = {"first": 0, "middle": (len(windows) - size) // 2, "last": len(windows) - size}[self.third]
        return windows[start : start + size]


# Distance over each third of the clips.
THIRD_METRICS = tuple(FvdThird(third) for third in THIRDS)
