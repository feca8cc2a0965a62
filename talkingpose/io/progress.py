"""Progress of long work: one interface for every command and every function of the API."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

# Seconds between two lines where stderr is not a terminal.
_LINE_EVERY_S = 60.0


class Progress:
    """Receiver of progress. This base class ignores everything; override what you need.

    A function calls `start` once it knows the amount of work, `advance` as work is done, and `message` for
    lines to read. `advance` is cheap enough for every frame.
    """

    def message(self, text: str) -> None:
        """Take one line of text."""

    def start(self, label: str, total: int | None, unit: str = "") -> None:
        """Begin work of `total` steps, None if unknown. `unit` names a step; "B" is shown in megabytes."""

    def advance(self, steps: int = 1) -> None:
        """Count finished steps."""


SILENT = Progress()


class ConsoleProgress(Progress):
    """Progress on stderr: a bar with time left on a terminal, one line a minute otherwise.

    Use it as a context manager.
    """

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True, highlight=False)
        self._bar: RichProgress | None = None
        self._task: TaskID | None = None
        self._label = ""
        self._unit = ""
        self._total: int | None = None
        self._done = 0
        self._begun = self._last_line = time.monotonic()
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        """Show the display."""
        if self._console.is_terminal:
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                TextColumn("{task.fields[count]}"),
                TimeRemainingColumn(),
                console=self._console,
                transient=True,
                redirect_stdout=False,  # results on stdout stay there
            )
            self._bar.start()
        else:
            threading.Thread(target=self._lines, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the display."""
        self._ended.set()
        if self._bar is not None:
            self._bar.stop()

    def message(self, text: str) -> None:
        """Print one line on stderr, above the bar."""
        if self._bar is not None:
            self._bar.console.print(text, markup=False, soft_wrap=True)
        else:
            from talkingpose.io.console import note

            note(text)

    def start(self, label: str, total: int | None, unit: str = "") -> None:
        """Replace the display with a new piece of work."""
        self._label, self._total, self._unit, self._done = label, total, unit, 0
        self._begun = self._last_line = time.monotonic()
        if self._bar is not None:
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._task = self._bar.add_task(label, total=total, count=self._count())

    def advance(self, steps: int = 1) -> None:
        """Count finished steps."""
        self._done += steps
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, advance=steps, count=self._count())

    def _lines(self) -> None:
        """Print a line a minute, also while a long step has not advanced."""
        while not self._ended.wait(max(self._last_line + _LINE_EVERY_S - time.monotonic(), 0.01)):
            now = time.monotonic()
            if now - self._last_line >= _LINE_EVERY_S:
                self._last_line = now
                if self._label:
                    self.message(self._line(now))

    def _count(self) -> str:
        scale, digits, unit = (1e6, 1, "MB") if self._unit == "B" else (1, 0, self._unit)
        of = "" if self._total is None else f" of {self._total / scale:.{digits}f}"
        return f"{self._done / scale:.{digits}f}{of} {unit}".rstrip()

    def _line(self, now: float) -> str:
        line = f"{self._label}: {self._count()}"
        if self._total is None or not self._done:
            return line
        left = (now - self._begun) / self._done * max(self._total - self._done, 0)
        return f"{line}, about {_duration(left)} left"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
