"""Seams: error or change at the borders of the windows that a contestant generates, next to elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.features.contract import CaseShape, FrameWindow
from benchmark.metrics.contract import MetricSpec
from benchmark.results import CaseScore


@dataclass(frozen=True)
class Seam:
    """Mean at the seams over the mean elsewhere.

    Args:
        compare: of the error of the change (`seam_energy`) instead of the change itself (`seam_change`).
    """

    compare: bool = True

    @property
    def spec(self) -> MetricSpec:
        """Description."""
        if self.compare:
            return MetricSpec(
                id="seam_energy",
                title="Error at the seams between windows",
                version=1,
                unit="1",
                direction="lower",
                scope="clip",
                lookback=1,
                definition=(
                    "Mean TJE at D = 1 of the frames t with t mod W = 0, t > 0, over that of all other "
                    "frames from 1 on. W is the number of frames that the contestant generates together, by "
                    "its own statement (info.window). 1 where there are no seams. Unavailable for W = 1 or "
                    "unknown, and for a clip of one window."
                ),
                source="own",
                blind_spots=(
                    "seams at other places than multiples of W, as with overlapping windows; seams over many "
                    "frames; a wrong statement of the contestant; cuts or jumps of the real video at a seam"
                ),
            )
        return MetricSpec(
            id="seam_change",
            title="Change at the seams between windows",
            version=1,
            unit="1",
            direction="lower",
            scope="clip",
            lookback=1,
            definition=(
                "Mean over pixels and RGB channels of |g[t] - g[t-1]|, averaged over the frames t with t mod "
                "W = 0, t > 0, over its average over all other frames from 1 on; W as for seam_energy. About "
                "1 where there are no seams. Unavailable for W = 1 or unknown, for a clip of one window, and "
                "where nothing moves."
            ),
            source="own; seam_energy without a real video that gives the true motion",
            blind_spots=(
                "as seam_energy; faster driving motion at the seams by chance, which only averages out over "
                "many seams"
            ),
            needs_real=False,
        )

    def start(self, case: CaseShape) -> SeamState:
        """Begin a clip."""
        return SeamState(self.compare, case.window)


class SeamState:
    """Exact running sums elsewhere and at the seams."""

    def __init__(self, compare: bool, period: int | None) -> None:
        self._compare, self._period = compare, period
        self._sums, self._counts = [0, 0], [0, 0]

    def update(self, window: FrameWindow) -> float | None:
        """Add the newest step to one of the two sums; a frame has no score."""
        if window.t < 1 or self._period is None or self._period < 2:
            return None
        seam = window.t % self._period == 0
        self._sums[seam] += self._step(window)
        self._counts[seam] += 1
        return None

    def _step(self, window: FrameWindow) -> int:
        import cv2

        now, before = window.generated(), window.generated(1)
        if not self._compare:
            return round(cv2.norm(now, before, cv2.NORM_L1))
        real, generated = cv2.absdiff(window.real(), window.real(1)), cv2.absdiff(now, before)
        return round(cv2.norm(real, generated, cv2.NORM_L1))

    def finish(self) -> CaseScore:
        """Return the ratio of the two means."""
        reason = self._unavailable()
        if reason is not None:
            return CaseScore(value=None, n_frames=0, state="unavailable", reason=reason)
        inside, seams = (total / count for total, count in zip(self._sums, self._counts, strict=True))
        return CaseScore(value=seams / inside, n_frames=self._counts[1], state="ok")

    def _unavailable(self) -> str | None:
        """Return the reason why there is no ratio, None where there is one."""
        if self._period is None:
            return "the contestant does not state how many frames it generates together"
        if self._period < 2:
            return "the contestant generates frame by frame: it has no seams"
        if not self._counts[1]:
            return f"the clip lies within one window of {self._period} frames"
        if not self._sums[0]:
            return "no error between the seams" if self._compare else "no motion between the seams"
        return None


# Change at the seams, which needs no real video.
CHANGE = (Seam(compare=False),)
