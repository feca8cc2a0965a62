"""TJE skill: how much better than a frozen video the change over a distance in time is."""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.metrics.metric import CaseShape, MetricSpec
from benchmark.metrics.window import PairWindow
from benchmark.results import CaseScore

VERSION = 1


@dataclass(frozen=True)
class TjeSkill:
    """Skill of TJE at `delta` frames against the frozen video."""

    delta: int

    @property
    def spec(self) -> MetricSpec:
        """What a reader must know of it."""
        return MetricSpec(
            id=f"tje_skill@{self.delta}",
            version=VERSION,
            unit="1",
            direction="higher",
            scope="clip",
            lookback=self.delta,
            definition=(
                f"1 - TJE / TJE(frozen), both at D = {self.delta} frames; a frozen video's TJE is the mean "
                "of |r[t+D] - r[t]| over t, pixels and channels, whatever frame it shows. 1: the real "
                "video's changes; 0: no better than a video that does not move; below 0: worse."
            ),
            source="own; the skill score of forecasting, with persistence as its reference",
            blind_spots="as TJE, but for the frozen video: a constant offset, and a slow drift at small D",
        )

    def start(self, case: CaseShape) -> TjeSkillState:
        """A fresh state for one clip."""
        return TjeSkillState(self.delta)


class TjeSkillState:
    """Exact running sums of the error and of the real motion."""

    def __init__(self, delta: int) -> None:
        self._delta = delta
        self._error = self._motion = self._pairs = 0

    def update(self, window: PairWindow) -> float | None:
        """Add the newest frame and the one `delta` before; there is no score of a frame."""
        import cv2

        if window.t < self._delta:
            return None
        real = cv2.absdiff(window.real(), window.real(self._delta))
        generated = cv2.absdiff(window.generated(), window.generated(self._delta))
        self._error += round(cv2.norm(real, generated, cv2.NORM_L1))
        self._motion += round(cv2.norm(real, cv2.NORM_L1))
        self._pairs += 1
        return None

    def finish(self) -> CaseScore:
        """Skill over all pairs."""
        if not self._motion:
            reason = f"the real video has no two frames {self._delta} apart that differ"
            return CaseScore(value=None, n_frames=0, state="unavailable", reason=reason)
        return CaseScore(value=1 - self._error / self._motion, n_frames=self._pairs, state="ok")
