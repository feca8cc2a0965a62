"""Motion ratio: how much the generated video moves, next to the real one."""

from __future__ import annotations

from benchmark.metrics.metric import CaseShape, MetricSpec
from benchmark.metrics.window import PairWindow
from benchmark.results import CaseScore

# Mean change in levels below which a pair of real frames says nothing of motion.
_LEAST = 0.1


class MotionRatio:
    """Mean change of the generated video over that of the real one."""

    spec = MetricSpec(
        id="motion_ratio",
        version=1,
        unit="1",
        direction="none",
        scope="pair",
        lookback=1,
        definition=(
            "Sum over t of mean|g[t] - g[t-1]| over the sum over t of mean|r[t] - r[t-1]|, means over pixels "
            "and RGB channels. A frozen video has 0, the real one 1, jitter and overshooting more. The score "
            "of a frame is the ratio of its own two means, none where the real one is below 0.1 level."
        ),
        source="own; the reason is that every error of change rewards a video that does not move",
        blind_spots="where, when and in which direction it moves: lag, jitter and true motion count alike",
        target=1.0,
    )

    def start(self, case: CaseShape) -> MotionRatioState:
        """A fresh state for one clip."""
        return MotionRatioState()


class MotionRatioState:
    """Exact running sums of both motions."""

    def __init__(self) -> None:
        self._real = self._generated = self._pairs = 0

    def update(self, window: PairWindow) -> float | None:
        """Ratio of the newest two changes, None where the real video does not move."""
        import cv2

        if window.t < 1:
            return None
        real = round(cv2.norm(window.real(), window.real(1), cv2.NORM_L1))
        generated = round(cv2.norm(window.generated(), window.generated(1), cv2.NORM_L1))
        self._real += real
        self._generated += generated
        self._pairs += 1
        return generated / real if real >= _LEAST * window.real().size else None

    def finish(self) -> CaseScore:
        """Ratio of the sums."""
        if not self._real:
            return CaseScore(
                value=None, n_frames=0, state="unavailable", reason="the real video does not move at all"
            )
        return CaseScore(value=self._generated / self._real, n_frames=self._pairs, state="ok")
