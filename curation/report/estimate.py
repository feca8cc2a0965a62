"""Estimate of the yield and cost of a run, from a sample of its sources."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from curation.download.source_list import RemoteSource
from curation.orchestrator import Inputs
from curation.protocols import long_clips
from curation.records import SourceRecord
from curation.report.ratio_estimator import EstimatedTotal, ratio_total
from curation.sources import LocalSource
from talkingpose.io.errors import UserError
from talkingpose.media import MediaError, probe

_GB = 1e9


class EstimateError(UserError):
    """The sample does not allow an estimate."""


@dataclass(frozen=True)
class SourceSample:
    """Random sample of sources, with the size of all sources.

    Attributes:
        chosen: the sample.
        count: number of all sources.
        seconds: duration of each local source by name, and of all together under None; empty where sources
            have to be fetched, because their durations are unknown: then all sources have the same weight.
        unreadable: local sources that cannot be opened; they are excluded.
    """

    chosen: Inputs
    count: int
    seconds: dict[str | None, float]
    unreadable: tuple[str, ...]


@dataclass(frozen=True)
class Estimate:
    """Estimates for all sources: hours of footage, CPU hours of curation, gigabytes of clips.

    `long_clips` are those that tp-long takes.
    """

    sources: int
    sampled: int
    by: str
    hours_in: float | None
    hours_kept: EstimatedTotal
    clips: EstimatedTotal
    long_clips: EstimatedTotal
    cpu_hours: EstimatedTotal
    gigabytes: EstimatedTotal
    errors: int
    unreadable: tuple[str, ...]
    level: float

    def document(self) -> dict[str, Any]:
        """Return JSON values."""
        return asdict(self)

    def lines(self) -> Iterator[str]:
        """Yield lines of text."""
        footage = "" if self.hours_in is None else f", {self.hours_in:.4g} hours"
        yield f"{self.sources} sources{footage}; {self.sampled} of them judged ({self.by})"
        rows = (
            ("hours kept", self.hours_kept),
            ("clips", self.clips),
            ("long clips", self.long_clips),
            ("CPU hours", self.cpu_hours),
            ("gigabytes", self.gigabytes),
        )
        for name, one in rows:
            if one.low is None or one.high is None:
                bounds = "no interval: judge at least 2 sources (--sample)"
            else:
                bounds = f"{self.level:.0%} interval {one.low:.4g} to {one.high:.4g}"
            yield f"{name:<12}{one.value:>12.4g}   {bounds}"
        if self.errors:
            yield f"{self.errors} sampled sources could not be judged and count as rejected"
        if self.unreadable:
            yield f"{len(self.unreadable)} sources cannot be opened and are excluded: {self.unreadable[0]}, …"


def sample_sources(chosen: Inputs, size: int, seed: int) -> SourceSample:
    """Sample sources at random; the same arguments give the same sample.

    Raises:
        EstimateError: no source can be used.
    """
    seconds: dict[str | None, float] = {}
    unreadable = []
    if not chosen.remote:
        for found in chosen.local:
            try:
                seconds[found.name] = _duration(found.path)
            except MediaError:
                unreadable.append(found.name)
        seconds[None] = sum(seconds.values())
    usable = [found for found in chosen.local if chosen.remote or found.name in seconds]
    everything: list[LocalSource | RemoteSource] = [*usable, *chosen.remote]
    if not everything:
        raise EstimateError("sources: none of them can be opened: give videos, folders of them, or ids")
    drawn = random.Random(seed).sample(everything, min(size, len(everything)))
    local = tuple(one for one in drawn if isinstance(one, LocalSource))
    wanted = tuple(one for one in drawn if not isinstance(one, LocalSource))
    return SourceSample(Inputs(local, wanted, ()), len(everything), seconds, tuple(unreadable))


def estimate_totals(
    sample: SourceSample, records: Sequence[SourceRecord], *, level: float = 0.95
) -> Estimate:
    """Estimate totals for all sources from the records of the sample.

    Raises:
        EstimateError: no source of the sample could be judged, or none has a duration.
    """
    if not records:
        raise EstimateError("sample: none of its sources could be fetched: try others, or a larger --sample")
    errors = [(record.name, error) for record in records for error in record.errors[:1]]
    if len(errors) == len(records):
        name, error = errors[0]
        raise EstimateError(
            f"sample: none of its {len(records)} sources could be judged ({name}: {error}): correct the "
            "cause, or give a larger --sample"
        )
    by_length = bool(sample.seconds)
    sizes = [sample.seconds.get(record.name, 0.0) if by_length else 1.0 for record in records]
    total = sample.seconds[None] if by_length else float(sample.count)
    if sum(sizes) <= 0:
        raise EstimateError("sample: its videos have no duration: give others, or a larger --sample")

    def all_of(quantity: Callable[[SourceRecord], float]) -> EstimatedTotal:
        return ratio_total([quantity(r) for r in records], sizes, total, sample.count, level=level)

    return Estimate(
        sources=sample.count,
        sampled=len(records),
        by="totals by length" if by_length else "totals by number: lengths are unknown before fetching",
        hours_in=sample.seconds[None] / 3600 if by_length else None,
        hours_kept=all_of(lambda r: sum(clip.end_s - clip.start_s for clip in r.clips) / 3600),
        clips=all_of(lambda r: len(r.clips)),
        long_clips=all_of(lambda r: long_clips(r.clips)),
        cpu_hours=all_of(lambda r: sum(r.seconds.values()) / 3600),
        gigabytes=all_of(lambda r: sum(clip.num_bytes for clip in r.clips) / _GB),
        errors=sum(bool(record.errors) for record in records),
        unreadable=sample.unreadable,
        level=level,
    )


def _duration(path: Path) -> float:
    """Return the duration in seconds by the container, or by its number of frames.

    Raises:
        MediaError: the file cannot be opened.
    """
    info = probe(path)
    if info.duration_s:
        return info.duration_s
    return float(info.num_frames / info.fps) if info.num_frames else 0.0
