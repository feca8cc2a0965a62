"""State of metrics whose value is the mean of the scores of the frames."""

from __future__ import annotations

from collections.abc import Callable

from benchmark.features.contract import FrameWindow
from benchmark.metrics.contract import MetricSpec
from benchmark.results import CaseScore


class FrameMean:
    """Running mean of the scores from frame `lookback` on.

    Args:
        spec: of the metric.
        score: returns the score of the newest pair, None where it does not exist.
        without: reason to give where no frame has a score.
        covers: frames without a score lower the coverage.
    """

    def __init__(
        self,
        spec: MetricSpec,
        score: Callable[[FrameWindow], float | None],
        *,
        without: str,
        covers: bool = False,
    ) -> None:
        self._lookback, self._score, self._without, self._covers = spec.lookback, score, without, covers
        self._sum = 0.0
        self._scored = self._frames = 0

    def update(self, window: FrameWindow) -> float | None:
        """Return the score of the newest pair, None for the first `lookback` frames."""
        if window.t < self._lookback:
            return None
        self._frames += 1
        score = self._score(window)
        if score is not None:
            self._sum += score
            self._scored += 1
        return score

    def finish(self) -> CaseScore:
        """Return the mean over the frames that have a score."""
        if not self._scored:
            return CaseScore(value=None, n_frames=0, state="unavailable", reason=self._without)
        return CaseScore(
            value=self._sum / self._scored,
            n_frames=self._scored,
            coverage=self._scored / self._frames if self._covers else None,
            state="ok",
        )
