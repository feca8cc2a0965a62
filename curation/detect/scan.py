"""Single full decode of a source: shot boundaries and samples from the same frames."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from curation.detect.detectors import Analyser
from curation.detect.measurements import FrameSample, Shot
from curation.detect.shots import ShotDetector, spans
from curation.detect.transitions import TransitionDetector, edges_of
from curation.settings import SamplingSettings, ShotsSettings
from talkingpose.media import DecodeReport, VideoInfo, VideoReader


@dataclass(frozen=True)
class Scan:
    """Result of one pass over a source.

    Attributes:
        info: Size, frame rate and time base of the source.
        report: Lost frames and variable frame rate.
        pts: Presentation time of every frame, in ticks of the time base.
        end_pts: End of the last frame, in ticks.
        cuts: First frame of every shot but the first. A dissolve or fade is a shot of its own.
        shots: Spans to be judged, with their samples.
        doubts: Frames at which a transition is possible but not certain.
    """

    info: VideoInfo
    report: DecodeReport
    pts: tuple[int, ...]
    end_pts: int
    cuts: tuple[int, ...]
    shots: tuple[Shot, ...]
    doubts: tuple[int, ...] = ()

    def pts_of(self, index: int) -> int:
        """Presentation time of a frame in ticks; the end of the source for the index after the last one."""
        return self.pts[index] if index < len(self.pts) else self.end_pts

    @cached_property
    def times(self) -> tuple[float, ...]:
        """Seconds of every frame, and of the end."""
        return tuple(float(pts * self.info.time_base) for pts in (*self.pts, self.end_pts))


def scan(
    reader: VideoReader,
    shots: ShotsSettings,
    sampling: SamplingSettings,
    analyser: Analyser,
    wanted: Sequence[tuple[float, float]] = (),
) -> Scan:
    """Decode a source once: every frame goes to shot detection, some to the analyser.

    Args:
        reader: Source to decode.
        shots: Settings of shot detection.
        sampling: Settings of sampling.
        analyser: Measures the samples.
        wanted: (start, end) in seconds. Shots end there and frames outside are left out. Empty: everything.

    Raises:
        MediaError: The source cannot be decoded.
    """
    info = reader.info
    detector, transitions = ShotDetector(shots, info.fps), TransitionDetector(info.fps)
    interval = 1 / Fraction(sampling.per_second).limit_denominator(1000)
    width = min(shots.width, info.width)
    small_size = (width, max(round(info.height * width / info.width), 1))
    samples: list[FrameSample] = []
    pts: list[int] = []
    next_sample: Fraction | None = None
    for frame in reader.lazy_frames():
        small = frame.downscaled(small_size)
        detector.feed(small)
        transitions.feed(small)
        pts.append(frame.pts)
        if next_sample is None or frame.time >= next_sample:
            next_sample = _after(frame.time if next_sample is None else next_sample, frame.time, interval)
            if not wanted or any(begin <= frame.time < end for begin, end in wanted):
                samples.append(analyser(frame, small))
    end_pts = pts[-1] + max(round(1 / info.fps / info.time_base), 1)
    hard = detector.finish()
    cuts = sorted({*hard, *edges_of(transitions.finish(hard), info.fps, len(pts))})
    times = [tick * info.time_base for tick in pts]
    limits = {bisect_left(times, Fraction(edge)) for span in wanted for edge in span} - {0, len(times)}
    found = spans(sorted({*cuts, *limits}), times, end_pts * info.time_base, shots.max_s)
    if wanted:
        found = [shot for shot in found if any(begin <= times[shot[0]] < end for begin, end in wanted)]
    edges = [*pts, end_pts]
    judged = tuple(
        Shot.between(
            start,
            end,
            float((edges[end] - edges[start]) * info.time_base),
            (info.width, info.height),
            samples,
        )
        for start, end in found
    )
    return Scan(info, reader.report, tuple(pts), end_pts, tuple(cuts), judged, tuple(transitions.doubts()))


def _after(due: Fraction, now: Fraction, interval: Fraction) -> Fraction:
    """Next point of the sampling grid after `now`."""
    return due + ((now - due) // interval + 1) * interval
