"""Trimming: the longest spans of a shot in which every filter passes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from curation import filters
from curation.config import Config
from curation.detect.measurements import BoolArray, Shot
from curation.filters import Measurement
from curation.records import Evidence, FilterResult

STEADY = "steady"
_TOLERANCE = 1e-9


@dataclass(frozen=True)
class TrimmedSpan:
    """Span of a shot with its filter results, and the measurements behind them."""

    shot: Shot
    results: tuple[FilterResult, ...]
    measurements: tuple[Measurement, ...] = ()

    @property
    def passed(self) -> bool:
        """True if every filter passes."""
        return all(result.passed for result in self.results)


def parts_of(shot: Shot, config: Config, times: Sequence[float]) -> list[TrimmedSpan]:
    """The whole shot if it passes, else its good spans and the spans between them, in order.

    A good span is as long as possible, at least as long as a clip must be, and passes every filter by itself.
    Conditions that must hold throughout hold for `settle_s` at its start and end, and fail for at most
    `max_gap_s` inside it, so that spans do not flicker around a threshold.

    Args:
        shot: Frames from cut to cut, no longer than the longest clip.
        config: Settings of the run.
        times: Seconds of every frame of the source, and of the end.
    """
    whole = _judged(shot, config)
    if whole.passed or config.trim is None or not shot.samples:
        return [whole]
    parts, position = [], shot.start
    for start, end in sorted(_good_spans(shot, config, times)):
        if start > position:
            parts.append(_judged(shot.part(position, start, times), config, remainder=True))
        parts.append(_judged(shot.part(start, end, times), config))
        position = end
    if not parts:
        return [whole]
    if position < shot.end:
        parts.append(_judged(shot.part(position, shot.end, times), config, remainder=True))
    return parts


def _judged(shot: Shot, config: Config, *, remainder: bool = False) -> TrimmedSpan:
    """Results of a span; a remainder between good spans never passes."""
    measurements = tuple(filters.measure(shot, config.filters).values())
    results = tuple(one.result() for one in measurements)
    if config.trim is None:
        return TrimmedSpan(shot, results, measurements)
    gap, evidence = _longest_gap(measurements, shot, config)
    limit = config.trim.max_gap_s
    broken = gap > limit + _TOLERANCE
    passed = not broken and not (remainder and all(result.passed for result in results))
    steady = FilterResult(
        filter=STEADY,
        step="scan",
        passed=passed,
        measured=round(gap, 6),
        threshold=limit,
        at_least=False,
        unit="s without what should hold",
        reason=None if passed else f"interrupted: {evidence[0].what}" if broken else "good only now and then",
        evidence=evidence if broken else (),
    )
    return TrimmedSpan(shot, (*results, steady), measurements)


def _longest_gap(
    measurements: Sequence[Measurement], shot: Shot, config: Config
) -> tuple[float, tuple[Evidence, ...]]:
    """Longest time in seconds without a condition that must hold steadily, and its filter."""
    runs = _runs(~_steady(measurements, len(shot.samples)))
    if not runs:
        return 0.0, ()
    start, end = max(runs, key=lambda run: run[1] - run[0])
    worst = max(
        (one for one in measurements if _asked(one)), key=lambda one: int((~one.reached[start:end]).sum())
    )
    evidence = Evidence(time_s=round(shot.samples[start].time, 3), what=worst.spec.name)
    return (end - start) / config.sampling.per_second, (evidence,)


def _asked(one: Measurement) -> bool:
    """Return whether a condition must hold steadily."""
    steady = one.required_share > 0.5 if one.spec.steady is None else one.spec.steady
    return one.spec.per == "sample" and steady


def _good_spans(shot: Shot, config: Config, times: Sequence[float]) -> Iterator[tuple[int, int]]:
    """Frames (start, end exclusive) of spans that pass, longest first."""
    search = _Search(shot, config, times)
    waiting = [(0, len(shot.samples))]
    while waiting:
        first, last = waiting.pop()
        found = search.longest(first, last)
        if found is None:
            continue
        a, b = found
        start, end = search.frames(a, b)
        # Some filters depend on where a span begins: a mean face, a window.
        if _judged(shot.part(start, end, times), config).passed:
            yield start, end
        waiting += [(first, a), (b, last)]


class _Search:
    """Search for spans of samples, by prefix sums of what each filter requires."""

    def __init__(self, shot: Shot, config: Config, times: Sequence[float]) -> None:
        assert config.trim is not None
        self._shot, self._times = shot, times
        self._min_s = max(config.min_length_s, config.trim.min_s)
        measurements = tuple(filters.measure(shot, config.filters).values())
        steady = _steady(measurements, len(shot.samples))
        settle = max(math.ceil(config.trim.settle_s * config.sampling.per_second), 1)
        longest_gap = int(config.trim.max_gap_s * config.sampling.per_second + _TOLERANCE)
        self._opens = _holds_for(steady, settle)
        self._closes = _holds_for(steady[::-1], settle)[::-1]
        broken = np.zeros(len(shot.samples), bool)
        for start, end in _runs(~steady):
            broken[start:end] = end - start > longest_gap
        self._broken = _sums(broken)
        self._sums = [
            (_sums(one.reached), one.required_share) for one in measurements if one.spec.per == "sample"
        ]

    def longest(self, first: int, last: int) -> tuple[int, int] | None:
        """Samples (a, b exclusive) of the longest span from `first` to `last`; of equal ones the first."""
        best, length = None, 0.0
        for a in range(first, last):
            if not self._opens[a]:
                continue
            ends = np.arange(a + 1, last + 1)
            good = self._closes[ends - 1] & (self._broken[ends] == self._broken[a])
            for sums, share in self._sums:
                good &= sums[ends] - sums[a] >= share * (ends - a) - _TOLERANCE
            if not good.any():
                continue
            b = int(ends[good][-1])
            start, end = self.frames(a, b)
            seconds = float(self._times[end] - self._times[start])
            if seconds >= self._min_s - _TOLERANCE and seconds > length + _TOLERANCE:
                best, length = (a, b), seconds
        return best

    def frames(self, a: int, b: int) -> tuple[int, int]:
        """Frames between good samples, extended to the shot's ends at its first and last sample."""
        samples = self._shot.samples
        start = self._shot.start if a == 0 else samples[a].index
        end = self._shot.end if b == len(samples) else samples[b - 1].index + 1
        return start, end


def _steady(measurements: Sequence[Measurement], count: int) -> BoolArray:
    """Samples that fulfil every condition that must hold steadily, (N,)."""
    steady = np.ones(count, bool)
    for one in measurements:
        if _asked(one):
            steady &= one.reached
    return steady


def _holds_for(holds: BoolArray, count: int) -> BoolArray:
    """Samples from which on a condition holds for `count` samples, or to the end, (N,)."""
    sums = _sums(holds)
    ends = np.minimum(np.arange(len(holds)) + count, len(holds))
    return np.asarray(sums[ends] - sums[:-1] == ends - np.arange(len(holds)), np.bool_)


def _sums(values: BoolArray) -> npt.NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(values)]).astype(np.int64)


def _runs(values: BoolArray) -> list[tuple[int, int]]:
    """Start and end (exclusive) of runs of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], values.astype(np.int8), [0]])))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]
