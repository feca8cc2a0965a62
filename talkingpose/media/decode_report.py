"""Decode report: frames decoded, frames lost, and constancy of the frame rate."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from fractions import Fraction

# Codecs with packets that carry no frame of their own: a packet without a frame is not a loss there.
_INVISIBLE_PACKETS = frozenset({"vp8", "mpeg4", "msmpeg4v3", "libdav1d", "av1"})


@dataclass(frozen=True)
class DecodeReport:
    """Report of one complete iteration over a video.

    Attributes:
        num_frames: frames decoded.
        lost_frames: frames claimed by the container minus frames decoded. For a span, or without a claim,
            an estimate from packets without a valid frame, from the duration and, if there is other damage,
            from gaps between otherwise regular times. Frames that FFmpeg marks corrupt, or that arrive out
            of order after damage, are lost.
        lost_is_estimate: True if `lost_frames` is such an estimate.
        variable_frame_rate: steps between frames, except over lost frames, differ by more than one tick of
            the time base, or by half.
        min_frame_duration, max_frame_duration: steps between presentation times in seconds, None below two
            frames. A lost frame leaves a longer step.
        messages: one line each, for the user.
        doubtful_frames: frames from a loss to the next key frame. FFmpeg does not notice all damage, and
            frames predicted from damaged ones show traces of it.
    """

    num_frames: int
    lost_frames: int
    lost_is_estimate: bool
    variable_frame_rate: bool
    min_frame_duration: Fraction | None
    max_frame_duration: Fraction | None
    messages: tuple[str, ...]
    doubtful_frames: int = 0


class FrameClock:
    """Statistics of the steps between presentation times, in ticks."""

    def __init__(self) -> None:
        self.count = 0
        self.first = self.last = 0
        self.steps: Counter[int] = Counter()

    def add(self, pts: int) -> None:
        """Add a frame at `pts`."""
        if self.count == 0:
            self.first = pts
        else:
            self.steps[pts - self.last] += 1
        self.last = pts
        self.count += 1

    @property
    def mean_step(self) -> Fraction | None:
        """Mean step; None below two frames, or if times do not advance."""
        span = self.last - self.first
        return Fraction(span, self.count - 1) if self.count > 1 and span > 0 else None

    def is_variable(self, *, ignore_gaps: bool) -> bool:
        """Return True if steps differ by more than rounding; `ignore_gaps` excludes gaps of lost frames."""
        steps = [step for step in self.steps if not (ignore_gaps and self._frames_in_gap(step))]
        if len(steps) < 2:
            return False
        shortest, longest = min(steps), max(steps)
        return longest - shortest > 1 or 2 * longest >= 3 * shortest

    def frames_in_gaps(self) -> int:
        """Return the number of frames missing in gaps; 0 if more than a tenth of the steps are gaps."""
        gaps = {step: n for step, n in self.steps.items() if self._frames_in_gap(step)}
        if 10 * sum(gaps.values()) > sum(self.steps.values()):
            return 0
        return sum(n * self._frames_in_gap(step) for step, n in gaps.items())

    def _frames_in_gap(self, step: int) -> int:
        usual = max(self.steps, key=lambda known: (self.steps[known], -known))
        return max(0, round(Fraction(step, usual)) - 1) if usual > 0 else 0


class DecodeCounter:
    """Counter of packets and frames of one iteration over [start_pts, end_pts)."""

    def __init__(
        self,
        *,
        claim: int | None,
        codec: str,
        fps: Fraction,
        time_base: Fraction,
        start_pts: int | None = None,
        end_pts: int | None = None,
    ) -> None:
        self._claim = claim if start_pts is None and end_pts is None else None
        self._codec = codec
        self._fps = fps
        self._time_base = time_base
        self._start_pts = start_pts
        self._end_pts = end_pts
        self.restart()

    def restart(self) -> None:
        """Reset all counts before the span is read again from another position."""
        self._clock = FrameClock()
        self._sizes: Counter[tuple[int, int]] = Counter()
        self._packets = 0
        self._damaged = 0
        self._untimed = 0
        self._read_errors = 0
        self._doubtful = 0
        self._since_damage = False
        self._interlaced = False
        self._file_end: int | None = None

    def packet_read(self, pts: int | None) -> None:
        """Count a packet that should give a frame."""
        self._packets += self._in_span(pts)

    def damaged(self, pts: int | None) -> None:
        """Count a damaged packet or frame that is left out."""
        self._damaged += self._in_span(pts)
        self._since_damage = True

    def is_late(self, pts: int) -> bool:
        """Return True if a frame at `pts` follows a later one, as can happen after damage."""
        return self._damaged > 0 and self._clock.count > 0 and pts <= self._clock.last

    def read_failed(self) -> None:
        """Count a read error of the container."""
        self._read_errors += 1

    def untimed(self) -> None:
        """Count a frame without a time."""
        self._untimed += 1

    def frame_shown(self, pts: int, *, coded_size: tuple[int, int], key_frame: bool, interlaced: bool) -> int:
        """Count a frame at `pts` and return its index in the iteration."""
        self._sizes[coded_size] += 1
        self._since_damage &= not key_frame
        self._doubtful += self._since_damage
        self._interlaced |= interlaced
        self._clock.add(pts)
        return self._clock.count - 1

    def file_ended(self, end: int | None) -> None:
        """Record the end of the file; `end` is the end of the video according to the container, in ticks."""
        self._file_end = end

    def report(self, notes: tuple[str, ...]) -> DecodeReport:
        """Return the report; its messages begin with `notes`."""
        lost = self._lost()
        estimate = lost > 0 and self._claim is None
        clock = self._clock
        steps = clock.steps
        return DecodeReport(
            num_frames=clock.count,
            lost_frames=lost,
            lost_is_estimate=estimate,
            variable_frame_rate=clock.is_variable(ignore_gaps=lost > 0),
            min_frame_duration=min(steps) * self._time_base if steps else None,
            max_frame_duration=max(steps) * self._time_base if steps else None,
            messages=notes + self._messages(lost, estimate),
            doubtful_frames=self._doubtful,
        )

    def _in_span(self, pts: int | None) -> bool:
        if pts is None:
            return self._start_pts is None and self._end_pts is None
        after_start = self._start_pts is None or pts >= self._start_pts
        return after_start and (self._end_pts is None or pts < self._end_pts)

    def _lost(self) -> int:
        if self._claim is not None:
            return max(0, self._claim - self._clock.count)
        # A packet may be one field of an interlaced frame.
        uncountable = self._codec in _INVISIBLE_PACKETS or self._interlaced
        by_packets = self._damaged if uncountable else max(0, self._packets - self._clock.count)
        missing_at_end = self._missing_at_end()
        # Without other damage, a gap is a frame that the camera did not record.
        damage = by_packets or self._damaged or self._read_errors or missing_at_end
        return max(by_packets, missing_at_end + (self._clock.frames_in_gaps() if damage else 0))

    def _missing_at_end(self) -> int:
        if self._file_end is None or self._clock.count == 0:
            return 0
        end = self._file_end if self._end_pts is None else min(self._file_end, self._end_pts)
        step = self._clock.mean_step or 1 / (self._fps * self._time_base)
        # A tenth of a frame absorbs the rounding of times and durations.
        return max(0, int((end - self._clock.last) / step - 1 + Fraction(1, 10)))

    def _messages(self, lost: int, estimate: bool) -> tuple[str, ...]:
        messages = []
        if estimate:
            messages.append(f"about {lost} frames lost (estimated from packets, times and duration)")
        elif lost:
            messages.append(f"{lost} of {self._claim} frames lost")
        if self._damaged:
            messages.append(f"{self._damaged} damaged packets or frames skipped")
        if self._doubtful:
            messages.append(
                f"{self._doubtful} frames after damage, up to the next key frame, may show artefacts"
            )
        if len(self._sizes) > 1:
            sizes = ", ".join(f"{n} of {width}x{height}" for (width, height), n in self._sizes.items())
            messages.append(f"the frame size changes, all frames are scaled to one size: {sizes}")
        if self._read_errors:
            messages.append(f"{self._read_errors} read errors")
        if self._untimed:
            messages.append(
                f"{self._untimed} frames without a time follow the previous frame at the average rate"
            )
        if not lost and self._clock.frames_in_gaps():
            gaps = self._clock.frames_in_gaps()
            messages.append(f"gaps of {gaps} frames between regular times: not recorded, or lost")
        if any(step <= 0 for step in self._clock.steps):
            messages.append("presentation times do not increase")
        return tuple(messages)
