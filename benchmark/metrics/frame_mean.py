"""The state of most metrics: each frame has a score, or none, and the clip has their mean."""

from __future__ import annotations

from collections.abc import Callable

from benchmark.metrics.metric import MetricSpec
from benchmark.metrics.window import PairWindow
from benchmark.results import CaseScore


class FrameMean:
    """Running mean of the scores that `score` gives from frame `lookback` on.

    Args:
        spec: of the metric.
        score: the score of the newest pair, None where there is none.
        without: reason to give where no frame has a score.
        covers: whether frames without a score are to be told as missing coverage.
    """

    def __init__(
        self,
        spec: MetricSpec,
        score: Callable[[PairWindow], float | None],
        *,
        without: str,
        covers: bool = False,
    ) -> None:
        self._lookback, self._score, self._without, self._covers = spec.lookback, score, without, covers
        self._sum = 0.0
        self._scored = 0
        self._frames = 0

    def update(self, window: PairWindow) -> float | None:
        """The score of the newest pair, None for the first `lookback` frames and where there is none."""
        if window.t < self._lookback:
            return None
        self._frames += 1
        score = self._score(window)
        if score is not None:
            self._sum += score
            self._scored += 1
        return score

    def finish(self) -> CaseScore:
        """Mean over the frames that have a score."""
        if not self._scored:
            return CaseScore(value=None, n_frames=0, state="unavailable", reason=self._without)
        return CaseScore(
            value=self._sum / self._scored,
            n_frames=self._scored,
            coverage=self._scored / self._frames if self._covers else None,
            state="ok",
        )
