"""Scoring of one clip: every pair of frames passes all metrics once."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from math import isfinite, nan
from typing import TYPE_CHECKING

import numpy as np

from benchmark.features.contract import (
    Arrays,
    CaseShape,
    ClipCollector,
    Extractor,
    FeatureError,
)
from benchmark.features.registry import load_collection, load_extractors
from benchmark.metrics.contract import AnyMetric, Metric, MetricSpec, MetricState
from benchmark.metrics.window import PairWindow
from benchmark.results import CaseScore, State
from talkingpose.data.contestant_loading import describe
from talkingpose.io.image import Image

if TYPE_CHECKING:
    import pyarrow


class Scoring:
    """Metrics of one clip, fed pair by pair. Memory grows by one float64 per score, not by frames.

    A metric whose features are not available on this machine is not started; its score is `unavailable`, with
    the reason. A metric that raises an exception stops; its score is `failed`, and the others go on.

    Args:
        case: size, rate and length of the clip.
        reference: the portrait, uint8 RGB (H, W, 3).
        metrics: to compute.

    Attributes:
        window: receives the pairs; call `score` after each `window.push`.
        scores: metric id -> score of each frame, NaN where there is none.
    """

    def __init__(self, case: CaseShape, reference: Image | None, metrics: Sequence[AnyMetric]) -> None:
        self.specs = [metric.spec for metric in metrics]
        # Metric id -> score of a metric that cannot be computed.
        self._stopped: dict[str, CaseScore] = {}
        self._states: dict[str, MetricState] = {}
        self._collectors: dict[str, ClipCollector] = {}
        extractors: dict[str, Extractor] = {}
        for metric in metrics:
            try:
                extractors |= self._prepare(metric.spec, case)
                if isinstance(metric, Metric):
                    self._states[metric.spec.id] = metric.start(case)
            except FeatureError as error:
                self._stopped[metric.spec.id] = _without_value("unavailable", str(error))
            except Exception as error:
                self._stopped[metric.spec.id] = _without_value("failed", describe(error))
        self.window = _window(self.specs, reference, extractors)
        self.scores = {spec.id: array("d") for spec in self.specs if spec.per_frame}

    def _prepare(self, spec: MetricSpec, case: CaseShape) -> dict[str, Extractor]:
        """Load the features of a metric and start its collections."""
        collections = {name: load_collection(name) for name in spec.collections}
        extractors = load_extractors(
            [*spec.features, *(name for each in collections.values() for name in each.spec.features)]
        )
        for name, collection in collections.items():
            if name not in self._collectors:
                self._collectors[name] = collection.start(case)
        return extractors

    def score(self) -> None:
        """Score the newest pair of the window."""
        for spec in self.specs:
            score = self._frame_score(spec.id)
            if spec.per_frame:
                self.scores[spec.id].append(score)
        for collector in self._collectors.values():
            collector.update(self.window)

    def _frame_score(self, name: str) -> float:
        if name not in self._states or name in self._stopped:
            return nan
        try:
            score = self._states[name].update(self.window)
            return nan if score is None or not isfinite(score) else float(score)
        except Exception as error:
            reason = f"the metric failed at frame {self.window.t}: {describe(error)}"
            self._stopped[name] = _without_value("failed", reason)
            return nan

    def finish(self) -> tuple[dict[str, CaseScore], dict[str, Arrays]]:
        """Return metric id -> score of the clip, and collection -> arrays for metrics of all clips."""
        arrays = {name: collector.finish() for name, collector in self._collectors.items()}
        return {spec.id: self._case_score(spec, arrays) for spec in self.specs}, arrays

    def _case_score(self, spec: MetricSpec, arrays: Mapping[str, Arrays]) -> CaseScore:
        if spec.id in self._stopped:
            return self._stopped[spec.id]
        if spec.id in self._states:
            try:
                return CaseScore.model_validate(self._states[spec.id].finish())
            except Exception as error:
                return _without_value("failed", f"the metric failed after the last frame: {describe(error)}")
        samples = min((len(array) for name in spec.collections for array in arrays[name].values()), default=0)
        return CaseScore(value=None, n_frames=samples, state="ok")

    def frame_table(self) -> pyarrow.Table:
        """Return the scores of the frames, null where a score is infinite or does not exist."""
        import pyarrow

        columns = {"t": pyarrow.array(range(self.window.t + 1), pyarrow.int32())}
        for name, scores in self.scores.items():
            columns[name] = pyarrow.array(np.frombuffer(scores), from_pandas=True)
        return pyarrow.table(columns)


def _without_value(state: State, reason: str) -> CaseScore:
    return CaseScore(value=None, n_frames=0, state=state, reason=reason)


def _window(
    specs: Sequence[MetricSpec], reference: Image | None, extractors: Mapping[str, Extractor]
) -> PairWindow:
    """Create a window that reaches back as far as any metric and any feature does."""
    further = sum(extractor.spec.lookback for extractor in extractors.values())
    feature_lookback = max((spec.lookback for spec in specs if spec.features), default=0)
    return PairWindow(
        max(feature_lookback + further, *(spec.lookback for spec in specs), 0),
        reference=reference,
        extractors=extractors,
        feature_lookback=feature_lookback,
    )
