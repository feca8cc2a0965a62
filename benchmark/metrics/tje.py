"""TJE: the temporal jittering error at one distance in time."""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.metrics.metric import CaseShape, MetricSpec
from benchmark.metrics.window import PairWindow
from benchmark.results import CaseScore

VERSION = 1


@dataclass(frozen=True)
class Tje:
    """Temporal jittering error at `delta` frames."""

    delta: int

    @property
    def spec(self) -> MetricSpec:
        """What a reader must know of it."""
        return MetricSpec(
            id=f"tje@{self.delta}",
            version=VERSION,
            unit="level",
            direction="lower",
            scope="pair",
            lookback=self.delta,
            definition=(
                "Mean over t, pixels and RGB channels of ||r[t+D] - r[t]| - |g[t+D] - g[t]||, r real, g "
                f"generated, uint8 values, D = {self.delta} frames; the score of frame t+D is the mean over "
                "its pixels. Range 0 to 255."
            ),
            source="Javanmardi et al., WACV 2026 (arXiv 2512.00909); tools/tje_error.py there, at D = 2",
            blind_spots=(
                "a slow drift of colour or sharpness at small D; a constant offset at any; a frozen video "
                "scores the mean motion of the real one, often less than a plain re-encode of a lively one"
            ),
        )

    def start(self, case: CaseShape) -> TjeState:
        """A fresh state for one clip."""
        return TjeState(self.delta)


class TjeState:
    """Exact running sum over all pairs of frames `delta` apart."""

    def __init__(self, delta: int) -> None:
        self._delta = delta
        self._sum = 0
        self._count = 0
        self._pairs = 0

    def update(self, window: PairWindow) -> float | None:
        """Mean error of the newest frame and the one `delta` before, None for the first `delta` frames."""
        import cv2

        if window.t < self._delta:
            return None
        real = cv2.absdiff(window.real(), window.real(self._delta))
        generated = cv2.absdiff(window.generated(), window.generated(self._delta))
        error = round(cv2.norm(real, generated, cv2.NORM_L1))
        self._sum += error
        self._count += real.size
        self._pairs += 1
        return error / float(real.size)

    def finish(self) -> CaseScore:
        """Mean over all pairs; `n_frames` is their number."""
        if not self._pairs:
            reason = f"the clip has no two frames {self._delta} apart"
            return CaseScore(value=None, n_frames=0, state="unavailable", reason=reason)
        return CaseScore(value=self._sum / self._count, n_frames=self._pairs, state="ok")
