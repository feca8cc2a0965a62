"""Scoring of one clip: every pair of frames passes all metrics once."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from math import nan
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
from benchmark.results import CaseScore
from talkingpose.io.image import Image

if TYPE_CHECKING:
    import pyarrow


class Scoring:
    """Metrics of one clip, fed pair by pair. Memory grows by one float64 per score, not by frames.

    A metric whose features are not available on this machine is not started; its score is `unavailable`, with
    the reason.

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
        self._unavailable: dict[str, str] = {}
        self._states: dict[str, MetricState] = {}
        self._collectors: dict[str, ClipCollector] = {}
        extractors: dict[str, Extractor] = {}
        for metric in metrics:
            try:
                extractors |= self._prepare(metric.spec, case)
            except FeatureError as error:
                self._unavailable[metric.spec.id] = str(error)
                continue
            if isinstance(metric, Metric):
                self._states[metric.spec.id] = metric.start(case)
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
            state = self._states.get(spec.id)
            score = state.update(self.window) if state is not None else None
            if spec.per_frame:
                self.scores[spec.id].append(nan if score is None else score)
        for collector in self._collectors.values():
            collector.update(self.window)

    def finish(self) -> tuple[dict[str, CaseScore], dict[str, Arrays]]:
        """Return metric id -> score of the clip, and collection -> arrays for metrics of all clips."""
        arrays = {name: collector.finish() for name, collector in self._collectors.items()}
        return {spec.id: self._case_score(spec, arrays) for spec in self.specs}, arrays

    def _case_score(self, spec: MetricSpec, arrays: Mapping[str, Arrays]) -> CaseScore:
        reason = self._unavailable.get(spec.id)
        if reason is not None:
            return CaseScore(value=None, n_frames=0, state="unavailable", reason=reason)
        if spec.id in self._states:
            return self._states[spec.id].finish()
        samples = min((len(array) for name in spec.collections for array in arrays[name].values()), default=0)
        return CaseScore(value=None, n_frames=samples, state="ok")

    def frame_table(self) -> pyarrow.Table:
        """Return the scores of the frames, null where a score is infinite or does not exist."""
        import pyarrow

        columns = {"t": pyarrow.array(range(self.window.t + 1), pyarrow.int32())}
        for name, scores in self.scores.items():
            columns[name] = pyarrow.array(np.frombuffer(scores), from_pandas=True)
        return pyarrow.table(columns)


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
