"""Seam energy: whether errors gather where one window of the contestant ends and the next begins."""

from __future__ import annotations

from benchmark.metrics.metric import CaseShape, MetricSpec
from benchmark.metrics.window import PairWindow
from benchmark.results import CaseScore


class SeamEnergy:
    """TJE at the seams over TJE elsewhere."""

    spec = MetricSpec(
        id="seam_energy",
        version=1,
        unit="1",
        direction="lower",
        scope="clip",
        lookback=1,
        definition=(
            "Mean TJE at D = 1 of the frames t with t mod W = 0, t > 0, over that of all other frames from 1 "
            "on; W is the number of frames that the contestant says it generates together (info.window). 1 "
            "where there are no seams. Unavailable for W = 1 or unknown, and for a clip of one window."
        ),
        source="own",
        blind_spots=(
            "seams at other places than multiples of W (windows that overlap); seams over many frames; "
            "it trusts what the contestant says of itself; where the real video cuts or jumps by chance"
        ),
    )

    def start(self, case: CaseShape) -> SeamEnergyState:
        """A fresh state for one clip."""
        return SeamEnergyState(case.window)


class SeamEnergyState:
    """Exact running sums of the error at the seams and elsewhere."""

    def __init__(self, period: int | None) -> None:
        self._period = period
        self._sums, self._counts = [0, 0], [0, 0]

    def update(self, window: PairWindow) -> float | None:
        """Add the newest frame to one of the two sums; there is no score of a frame."""
        import cv2

        if window.t < 1 or self._period is None or self._period < 2:
            return None
        real = cv2.absdiff(window.real(), window.real(1))
        generated = cv2.absdiff(window.generated(), window.generated(1))
        seam = window.t % self._period == 0
        self._sums[seam] += round(cv2.norm(real, generated, cv2.NORM_L1))
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
        return None if self._sums[0] else "no error between the seams to compare with"
