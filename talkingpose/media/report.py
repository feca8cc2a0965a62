"""The account of an iteration: frames shown, frames lost, and whether the frame rate is constant."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

# Codecs some of whose packets carry no frame of their own: there a packet without a frame is no loss.
_INVISIBLE_PACKETS = frozenset({"vp8", "mpeg4", "msmpeg4v3", "libdav1d", "av1"})


@dataclass(frozen=True)
class DecodeReport:
    """The account of one iteration that ran to its end.

    `lost_frames` is the container's claim less the frames that came. For a span, and where the container
    makes no claim, it is what was read and gave no good frame, and what is missing at the end by duration
    and rate; `lost_is_estimate` then says so. Frames that FFmpeg marks corrupt are lost; frames predicted
    from lost ones may show damage without being marked. Frame durations are the steps between presentation
    times, in seconds, None below two frames; a lost frame inside leaves a longer step.
    `variable_frame_rate`: the times fit no constant rate to within one tick of the time base, or the
    longest step is half as long again as the shortest. `messages` are for people.
    """

    num_frames: int
    lost_frames: int
    lost_is_estimate: bool
    variable_frame_rate: bool
    min_frame_duration: Fraction | None
    max_frame_duration: Fraction | None
    messages: tuple[str, ...]


class FrameClock:
    """The steps between presentation times, in ticks, and whether one constant rate explains them.

    Times are a constant rate rounded to ticks when some step T has |pts_k - pts_0 - k T| <= 1 for all k:
    each frame narrows the interval in which T can lie.
    """

    def __init__(self) -> None:
        self.count = 0
        self.first = self.last = 0
        self.shortest: int | None = None
        self.longest: int | None = None
        self._low = Fraction(0)
        self._high: Fraction | None = None

    def add(self, pts: int) -> None:
        """The next frame is shown at `pts`."""
        if self.count == 0:
            self.first = pts
        else:
            step = pts - self.last
            self.shortest = step if self.shortest is None else min(step, self.shortest)
            self.longest = step if self.longest is None else max(step, self.longest)
            span = pts - self.first
            self._low = max(self._low, Fraction(span - 1, self.count))
            high = Fraction(span + 1, self.count)
            self._high = high if self._high is None else min(self._high, high)
        self.last = pts
        self.count += 1

    @property
    def is_variable(self) -> bool:
        """Whether no constant rate fits."""
        if self.shortest is None or self.longest is None or self._high is None:
            return False
        return self._low > self._high or 2 * self.longest >= 3 * self.shortest > 2 * self.shortest

    @property
    def mean_step(self) -> Fraction | None:
        """The mean step in ticks; None below two frames."""
        return Fraction(self.last - self.first, self.count - 1) if self.count > 1 else None


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
        self._packets = 0
        self._damaged = 0
        self._untimed = 0
        self._read_errors = 0
        self._interlaced = False
        self._file_end: int | None = None

    def packet_read(self, pts: int | None) -> None:
        """A packet that should give a frame was read."""
        self._packets += self._in_span(pts)

    def damaged(self, pts: int | None) -> None:
        """A packet or a frame is damaged and is not shown."""
        self._damaged += self._in_span(pts)

    def read_failed(self) -> None:
        """The container could not be read on at some place."""
        self._read_errors += 1

    def untimed(self) -> None:
        """A frame came without a time and was given one."""
        self._untimed += 1

    def frame_shown(self, pts: int, *, interlaced: bool) -> int:
        """A frame is shown at `pts`; returns its number in the iteration."""
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
        return DecodeReport(
            num_frames=clock.count,
            lost_frames=lost,
            lost_is_estimate=estimate,
            variable_frame_rate=clock.is_variable,
            min_frame_duration=None if clock.shortest is None else clock.shortest * self._time_base,
            max_frame_duration=None if clock.longest is None else clock.longest * self._time_base,
            messages=notes + self._messages(lost, estimate),
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
        inside = self._damaged if uncountable else max(0, self._packets - self._clock.count)
        return inside + self._missing_at_end()

    def _missing_at_end(self) -> int:
        if self._file_end is None or self._clock.count == 0:
            return 0
        end = self._file_end if self._end_pts is None else min(self._file_end, self._end_pts)
        step = self._clock.mean_step or 1 / (self._fps * self._time_base)
        if step <= 0:
            return 0
        # A tenth of a frame absorbs the rounding of times and durations.
        inside = max(0, self._packets - self._clock.count)
        return max(0, int((end - self._clock.last) / step - 1 + Fraction(1, 10)) - inside)

    def _messages(self, lost: int, estimate: bool) -> tuple[str, ...]:
        found = []
        if estimate:
            found.append(f"about {lost} frames lost (estimated: unreadable packets, duration and rate)")
        elif lost:
            found.append(f"{lost} of {self._claim} frames lost")
        if self._damaged:
            found.append(f"{self._damaged} damaged packets or frames left out")
        if self._read_errors:
            found.append(f"the file could not be read on at {self._read_errors} places")
        if self._untimed:
            found.append(
                f"{self._untimed} frames had no time; they follow the frame before at the average rate"
            )
        if self._clock.shortest is not None and self._clock.shortest <= 0:
            found.append("presentation times do not increase")
        return tuple(found)
