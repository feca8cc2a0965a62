"""Motion ratio: motion of the generated video over that of the real one."""

from __future__ import annotations

from benchmark.features.contract import CaseShape, FrameWindow
from benchmark.metrics.contract import MetricSpec
from benchmark.results import CaseScore

# Mean change, in levels, below which a pair of real frames counts as still.
_STILL = 0.1


class MotionRatio:
    """Mean change of the generated video over that of the real one."""

    spec = MetricSpec(
        id="motion_ratio",
        title="Motion relative to the real video",
        version=1,
        unit="1",
        direction="none",
        scope="pair",
        lookback=1,
        definition=(
            "Sum over t of mean|g[t] - g[t-1]| over the sum over t of mean|r[t] - r[t-1]|, means over pixels "
            "and RGB channels. A frozen video has 0, the real video 1, jitter and exaggerated motion more. "
            "The score of a frame is the ratio of its two means; a frame whose real mean is below 0.1 level "
            "has none."
        ),
        source="own; a check on the errors of change, which reward a video that does not move",
        blind_spots="place, time and direction of the motion: lag, jitter and true motion count alike",
        target=1.0,
    )

    def start(self, case: CaseShape) -> MotionRatioState:
        """Begin a clip."""
        return MotionRatioState()


class MotionRatioState:
    """Exact running sums of both motions."""

    def __init__(self) -> None:
        self._real = self._generated = self._pairs = 0

    def update(self, window: FrameWindow) -> float | None:
        """Return the ratio of the newest two changes, None where the real video does not move."""
        import cv2

        if window.t < 1:
            return None
        real = round(cv2.norm(window.real(), window.real(1), cv2.NORM_L1))
        generated = round(cv2.norm(window.generated(), window.generated(1), cv2.NORM_L1))
        self._real += real
        self._generated += generated
        self._pairs += 1
        return generated / real if real >= _STILL * window.real().size else None

    def finish(self) -> CaseScore:
        """Return the ratio of the sums."""
        if not self._real:
            return CaseScore(
                value=None, n_frames=0, state="unavailable", reason="the real video does not move at all"
            )
        return CaseScore(value=self._generated / self._real, n_frames=self._pairs, state="ok")
