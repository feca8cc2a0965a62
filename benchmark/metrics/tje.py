"""TJE: temporal jittering error at a distance in time, and its skill against a frozen video."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.features.contract import CaseShape, FrameWindow
from benchmark.metrics.contract import MetricSpec
from benchmark.results import CaseScore


@dataclass(frozen=True)
class Tje:
    """Temporal jittering error at `delta` frames, or its skill against a frozen video."""

    delta: int
    skill: bool = False

    @property
    def spec(self) -> MetricSpec:
        """Description."""
        if self.skill:
            return MetricSpec(
                id=f"tje_skill@{self.delta}",
                title="Skill of TJE against a frozen video",
                version=1,
                unit="1",
                direction="higher",
                scope="clip",
                lookback=self.delta,
                definition=(
                    f"1 - TJE / TJE(frozen), both at D = {self.delta} frames. The TJE of a frozen video is "
                    "the mean of |r[t+D] - r[t]| over t, pixels and channels, whatever frame it shows. 1: "
                    "the changes of the real video; 0: equal to a video that does not move; below 0: worse."
                ),
                source="own; the skill score of forecasting, with persistence as its reference",
                blind_spots=(
                    "as TJE, except for the frozen video: a constant offset, and a slow drift at small D"
                ),
            )
        return MetricSpec(
            id=f"tje@{self.delta}",
            title="Temporal jittering error over D frames",
            version=1,
            unit="level",
            direction="lower",
            scope="pair",
            lookback=self.delta,
            definition=(
                "Mean over t, pixels and RGB channels of ||r[t+D] - r[t]| - |g[t+D] - g[t]||, r real, g "
                f"generated, uint8 values, D = {self.delta} frames. The score of frame t+D is the mean over "
                "its pixels. Range 0 to 255."
            ),
            source="Javanmardi et al., WACV 2026 (arXiv 2512.00909); tools/tje_error.py there, at D = 2",
            blind_spots=(
                "a slow drift of colour or sharpness at small D; a constant offset at any D; a frozen video "
                "scores the mean motion of the real one, often less than the re-encoded real video"
            ),
        )

    def start(self, case: CaseShape) -> TjeState:
        """Begin a clip."""
        return TjeState(self.delta, self.skill)


class TjeState:
    """Exact running sums of error and real motion over all pairs of frames `delta` apart."""

    def __init__(self, delta: int, skill: bool) -> None:
        self._delta, self._skill = delta, skill
        self._error = self._motion = self._count = self._pairs = 0

    def update(self, window: FrameWindow) -> float | None:
        """Return the mean error of the newest frame; None for the first `delta` frames, and for the skill."""
        import cv2

        if window.t < self._delta:
            return None
        real = cv2.absdiff(window.real(), window.real(self._delta))
        generated = cv2.absdiff(window.generated(), window.generated(self._delta))
        error = round(cv2.norm(real, generated, cv2.NORM_L1))
        self._error += error
        self._count += real.size
        self._pairs += 1
        if not self._skill:
            return error / float(real.size)
        self._motion += round(cv2.norm(real, cv2.NORM_L1))
        return None

    def finish(self) -> CaseScore:
        """Return the mean over all pairs, or the skill; `n_frames` is the number of pairs."""
        if self._skill and self._motion:
            return CaseScore(value=1 - self._error / self._motion, n_frames=self._pairs, state="ok")
        if self._pairs and not self._skill:
            return CaseScore(value=self._error / self._count, n_frames=self._pairs, state="ok")
        reason = f"the {'real video' if self._skill else 'clip'} has no two frames {self._delta} apart"
        reason += " that differ" if self._skill else ""
        return CaseScore(value=None, n_frames=0, state="unavailable", reason=reason)


def errors(deltas: Sequence[int]) -> list[Tje]:
    """Return the error at each distance."""
    return [Tje(delta) for delta in deltas]


def skills(deltas: Sequence[int]) -> list[Tje]:
    """Return the skill at each distance."""
    return [Tje(delta, skill=True) for delta in deltas]
