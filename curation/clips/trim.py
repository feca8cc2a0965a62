"""The good parts of a shot: the longest spans in which every filter passes."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from curation import filters
from curation.config import Config
from curation.detect.measurements import Shot
from curation.filters import Measurement
from curation.records import FilterResult
from curation.settings import TrimSettings

STEADY = "steady"


@dataclass(frozen=True)
class TrimmedSpan:
    """A span of a shot with what the filters say of it."""

    shot: Shot
    findings: tuple[FilterResult, ...]

    @property
    def passed(self) -> bool:
        """Whether every filter lets it stay."""
        return all(finding.passed for finding in self.findings)


def parts_of(shot: Shot, config: Config, times: Sequence[float]) -> list[TrimmedSpan]:
    """A shot as it is where it passes, else its good spans and what lies between them, in order.

    A good span is as long as it can be, at least as long as a clip has to be, and passes every filter when it
    is judged alone. It begins and ends where everything that should hold throughout holds for a while
    (`settle_s`), and goes on through failures up to `max_gap_s`: so it does not flicker around a threshold.

    Args:
        shot: frames from cut to cut, no longer than the longest clip.
        times: in seconds, of every frame of the source, and of the end.
    """
    whole = _judged(shot, config)
    if whole.passed or config.trim is None or not shot.samples:
        return [whole]
    spans = sorted(_good_spans(shot, config, times))
    if not spans:
        return [whole]
    parts, reached = [], shot.start
    for start, end in spans:
        if start > reached:
            parts.append(_judged(shot.part(reached, start, times), config, rest=True))
        parts.append(_judged(shot.part(start, end, times), config))
        reached = end
    if reached < shot.end:
        parts.append(_judged(shot.part(reached, shot.end, times), config, rest=True))
    return parts


def _judged(shot: Shot, config: Config, *, rest: bool = False) -> TrimmedSpan:
    findings = filters.judge(shot, config.filters)
    if config.trim is not None:
        gap = longest_gap_s(shot, config)
        limit = config.trim.max_gap_s
        passed = gap <= limit + 1e-9 and not (rest and all(finding.passed for finding in findings))
        reason = None if passed else "good only now and then"
        findings = (
            *findings,
            FilterResult(
                filter=STEADY,
                step="scan",
                passed=passed,
                measured=round(gap, 6),
                threshold=limit,
                at_least=False,
                unit="s without what should hold",
                reason=reason,
            ),
        )
    return TrimmedSpan(shot, findings)


def longest_gap_s(shot: Shot, config: Config) -> float:
    """The longest time at a stretch for which something fails that should hold throughout."""
    steady = _steady(_measure(shot, config), len(shot.samples))
    runs = [(end - start) for start, end in _runs(~steady)]
    return max(runs, default=0) / config.sampling.per_second


def _measure(shot: Shot, config: Config) -> list[Measurement]:
    """Measurements of all filters that judge samples."""
    return [one for one in filters.measure(shot, config.filters).values() if one.spec.per == "sample"]


def _good_spans(shot: Shot, config: Config, times: Sequence[float]) -> Iterator[tuple[int, int]]:
    """Frames (start, end exclusive) of spans that pass, the longest first."""
    assert config.trim is not None
    search = _Search(shot, _measure(shot, config), config.trim, config, times)
    waiting = [(0, len(shot.samples))]
    while waiting:
        first, last = waiting.pop()
        found = search.longest(first, last)
        if found is None:
            continue
        a, b = found
        start, end = search.frames(a, b)
        # What a filter makes of a span may depend on where it begins: a mean face, a window.
        if _judged(shot.part(start, end, times), config).passed:
            yield start, end
        waiting += [(first, a), (b, last)]


class _Search:
    """Spans of samples, by sums over what each filter asks of them."""

    def __init__(
        self,
        shot: Shot,
        levels: list[Measurement],
        trim: TrimSettings,
        config: Config,
        times: Sequence[float],
    ) -> None:
        self._shot, self._times = shot, times
        self._min_s = max(config.min_length_s, trim.min_s)
        count = len(shot.samples)
        steady = _steady(levels, count)
        settle = max(math.ceil(trim.settle_s * config.sampling.per_second), 1)
        borne = int(trim.max_gap_s * config.sampling.per_second + 1e-9)
        self._opens = _holds_for(steady, settle)
        self._closes = _holds_for(steady[::-1], settle)[::-1]
        broken = np.zeros(count, bool)
        for start, end in _runs(~steady):
            broken[start:end] = end - start > borne
        self._broken = _sums(broken)
        self._sums = [(_sums(one.reached), one.required_share) for one in levels]

    def longest(self, first: int, last: int) -> tuple[int, int] | None:
        """Samples (a, b exclusive) of the longest span among `first` to `last`; of equal ones the first."""
        best, length = None, 0.0
        for a in range(first, last):
            if not self._opens[a]:
                continue
            ends = np.arange(a + 1, last + 1)
            good = self._closes[ends - 1] & (self._broken[ends] == self._broken[a])
            for sums, share in self._sums:
                good &= sums[ends] - sums[a] >= share * (ends - a) - 1e-9
            for b in ends[good][::-1]:
                start, end = self.frames(a, int(b))
                seconds = float(self._times[end] - self._times[start])
                if seconds >= self._min_s - 1e-9 and seconds > length + 1e-9:
                    best, length = (a, int(b)), seconds
                break
        return best

    def frames(self, a: int, b: int) -> tuple[int, int]:
        """Only frames between good samples; up to the shot's ends where its first or last sample is in."""
        samples = self._shot.samples
        start = self._shot.start if a == 0 else samples[a].index
        end = self._shot.end if b == len(samples) else samples[b - 1].index + 1
        return start, end


def _steady(levels: Collection[Measurement], count: int) -> npt.NDArray[np.bool_]:
    """Where everything holds that should hold throughout: in more than half of the samples."""
    steady = np.ones(count, bool)
    for one in levels:
        if one.required_share > 0.5:
            steady &= one.reached
    return steady


def _holds_for(holds: npt.NDArray[np.bool_], count: int) -> npt.NDArray[np.bool_]:
    """Where something holds for this and the next samples, `count` in all, as far as there are any."""
    sums = _sums(holds)
    ends = np.minimum(np.arange(len(holds)) + count, len(holds))
    return sums[ends] - sums[:-1] == ends - np.arange(len(holds))


def _sums(values: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(values)]).astype(np.int64)


def _runs(values: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Where runs of True begin and end."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], values.astype(np.int8), [0]])))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]
