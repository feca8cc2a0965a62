"""The account of an iteration: frames shown, frames lost, and whether the frame rate is constant."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from fractions import Fraction

# Codecs some of whose packets carry no frame of their own: there a packet without a frame is no loss.
_INVISIBLE_PACKETS = frozenset({"vp8", "mpeg4", "msmpeg4v3", "libdav1d", "av1"})


@dataclass(frozen=True)
class DecodeReport:
    """The account of one iteration that ran to its end.

    `lost_frames` is the container's claim less the frames that came. For a span, and where the container
    makes no claim, it is estimated from packets that gave no good frame, from the duration, and, if there
    is other damage, from gaps between times that are otherwise regular; `lost_is_estimate` then says so.
    Frames that FFmpeg marks corrupt are lost, and so are those that come out of order after damage. FFmpeg
    does not notice all damage, and frames predicted from damaged ones show traces of it: `doubtful_frames`
    counts those from a loss to the next key frame. Frame durations are the steps between presentation
    times, in seconds, None below two frames; a lost frame inside leaves a longer step.
    `variable_frame_rate`: the steps, those over lost frames aside, differ by more than one tick of the time
    base, or by half. `messages` are for people.
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
    """The steps between presentation times, in ticks."""

    def __init__(self) -> None:
        self.count = 0
        self.first = self.last = 0
        self.steps: Counter[int] = Counter()

    def add(self, pts: int) -> None:
        """The next frame is shown at `pts`."""
        if self.count == 0:
            self.first = pts
        else:
            self.steps[pts - self.last] += 1
        self.last = pts
        self.count += 1

    @property
    def mean_step(self) -> Fraction | None:
        """The mean step; None below two frames, or where times do not advance."""
        span = self.last - self.first
        return Fraction(span, self.count - 1) if self.count > 1 and span > 0 else None

    def is_variable(self, *, ignore_gaps: bool) -> bool:
        """Whether steps differ by more than a tick of rounding, those that lost frames explain aside."""
        steps = [step for step in self.steps if not (ignore_gaps and self._frames_in_gap(step))]
        if len(steps) < 2:
            return False
        shortest, longest = min(steps), max(steps)
        return longest - shortest > 1 or 2 * longest >= 3 * shortest

    def frames_in_gaps(self) -> int:
        """Frames missing inside, where nine of ten steps are alike, so a longer step is a gap; else 0."""
        gaps = {step: n for step, n in self.steps.items() if self._frames_in_gap(step)}
        if 10 * sum(gaps.values()) > sum(self.steps.values()):
            return 0
        return sum(n * self._frames_in_gap(step) for step, n in gaps.items())

    def _frames_in_gap(self, step: int) -> int:
        usual = max(self.steps, key=lambda known: (self.steps[known], -known))
        return max(0, round(Fraction(step, usual)) - 1) if usual > 0 else 0


class Account:
    """Counts packets and frames of one iteration over [start_pts, end_pts)."""

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
        """Forget everything: the span is read again from elsewhere."""
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
        """A packet that should give a frame was read."""
        self._packets += self._in_span(pts)

    def damaged(self, pts: int | None) -> None:
        """A packet or a frame is damaged and is not shown."""
        self._damaged += self._in_span(pts)
        self._since_damage = True

    def is_late(self, pts: int) -> bool:
        """Whether a frame at `pts` comes after a later one, as decoders give some after damage."""
        return self._damaged > 0 and self._clock.count > 0 and pts <= self._clock.last

    def read_failed(self) -> None:
        """The container could not be read on at some place."""
        self._read_errors += 1

    def untimed(self) -> None:
        """A frame came without a time and was given one."""
        self._untimed += 1

    def frame_shown(self, pts: int, *, coded_size: tuple[int, int], key_frame: bool, interlaced: bool) -> int:
        """A frame is shown at `pts`; returns its number in the iteration."""
        self._sizes[coded_size] += 1
        self._since_damage &= not key_frame
        self._doubtful += self._since_damage
        self._interlaced |= interlaced
        self._clock.add(pts)
        return self._clock.count - 1

    def file_ended(self, end: int | None) -> None:
        """The file was read to its end; `end` is where the container says its video ends, in ticks."""
        self._file_end = end

    def report(self, notes: tuple[str, ...]) -> DecodeReport:
        """The account; `notes` come first among its messages."""
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
        # A packet may also be one field of an interlaced frame.
        uncountable = self._codec in _INVISIBLE_PACKETS or self._interlaced
        by_packets = self._damaged if uncountable else max(0, self._packets - self._clock.count)
        missing_at_end = self._missing_at_end()
        # Without any sign of damage a gap is taken for what cameras do: a frame that was never recorded.
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
        found = []
        if estimate:
            found.append(f"about {lost} frames lost (estimated from packets, times and duration)")
        elif lost:
            found.append(f"{lost} of {self._claim} frames lost")
        if self._damaged:
            found.append(f"{self._damaged} damaged packets or frames left out")
        if self._doubtful:
            found.append(
                f"{self._doubtful} frames after damage, up to the next key frame, may show traces of it"
            )
        if len(self._sizes) > 1:
            sizes = ", ".join(f"{n} of {width}x{height}" for (width, height), n in self._sizes.items())
            found.append(f"the picture size changes, all frames were scaled to one: {sizes}")
        if self._read_errors:
            found.append(f"the file could not be read on at {self._read_errors} places")
        if self._untimed:
            found.append(
                f"{self._untimed} frames had no time; they follow the frame before at the average rate"
            )
        if not lost and self._clock.frames_in_gaps():
            gaps = self._clock.frames_in_gaps()
            found.append(
                f"gaps of {gaps} frames between regular times: not recorded, or lost without a trace"
            )
        if any(step <= 0 for step in self._clock.steps):
            found.append("presentation times do not increase")
        return tuple(found)
