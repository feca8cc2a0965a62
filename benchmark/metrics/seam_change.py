"""Seam change: whether the picture jumps where one window of the contestant ends and the next begins."""

from __future__ import annotations

from benchmark.metrics.metric import CaseShape, MetricSpec
from benchmark.metrics.window import PairWindow
from benchmark.results import CaseScore


class SeamChange:
    """Change of the generated video at the seams over its change elsewhere."""

    spec = MetricSpec(
        id="seam_change",
        version=1,
        unit="1",
        direction="lower",
        scope="clip",
        lookback=1,
        definition=(
            "Mean over pixels and RGB channels of |g[t] - g[t-1]|, its mean over the frames t with t mod W "
            "= 0, t > 0, over its mean over all other frames from 1 on; W as for seam_energy. About 1 "
            "where there are no seams. Unavailable for W = 1 or unknown, for a clip of one window, and "
            "where nothing moves."
        ),
        source="own; seam_energy without a real video to take the true motion from",
        blind_spots=(
            "as seam_energy; the motion that was asked for may by chance be quicker at the seams, which no "
            "more many seams even out"
        ),
        needs_real=False,
    )

    def start(self, case: CaseShape) -> SeamChangeState:
        """A fresh state for one clip."""
        return SeamChangeState(case.window)


class SeamChangeState:
    """Exact running sums of the change at the seams and elsewhere."""

    def __init__(self, period: int | None) -> None:
        self._period = period
        self._sums, self._counts = [0, 0], [0, 0]

    def update(self, window: PairWindow) -> float | None:
        """Add the newest step to one of the two sums; there is no score of a frame."""
        import cv2

        if window.t < 1 or self._period is None or self._period < 2:
            return None
        seam = window.t % self._period == 0
        self._sums[seam] += round(cv2.norm(window.generated(), window.generated(1), cv2.NORM_L1))
        self._counts[seam] += 1
        return None

    def finish(self) -> CaseScore:
        """Ratio of the two means."""
        reason = self._without()
        if reason is not None:
            return CaseScore(value=None, n_frames=0, state="unavailable", reason=reason)
        inside, seams = (total / count for total, count in zip(self._sums, self._counts, strict=True))
        return CaseScore(value=seams / inside, n_frames=self._counts[1], state="ok")

    def _without(self) -> str | None:
        """Why there is no ratio, None where there is one."""
        if self._period is None:
            return "the contestant does not say how many frames it generates together"
        if self._period < 2:
            return "the contestant generates frame by frame: it has no seams"
        if not self._counts[1]:
            return f"the clip lies within one window of {self._period} frames"
        return None if self._sums[0] else "the generated video does not move between the seams"
