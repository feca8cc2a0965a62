"""Contestants that turn the driving frames of a case into its video, each case on its own."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence

from talkingpose.contestant import Case, ContestantError, Image, running


def lockstep(
    cases: Sequence[Case], change: Callable[[Iterable[Image]], Iterator[Image]]
) -> Iterator[list[Image]]:
    """Apply `change` to the driving frames of each case, and yield the results one time step at a time.

    `change` takes and gives the frames of one case lazily, as many as it takes.

    Raises:
        ContestantError: a case comes without driving frames, or `change` gives too few.
    """
    videos = [change(_driving(case)) for case in cases]
    for step in itertools.count():
        alive = running(cases, step)
        if not alive:
            return
        yield [_frame(videos[index], cases[index], step) for index in alive]


def _driving(case: Case) -> Iterable[Image]:
    if case.driving_frames is None:
        raise ContestantError(f"clip {case.clip_id}: no driving frames were given: ask for them in `info`")
    return case.driving_frames


def _frame(video: Iterator[Image], case: Case, step: int) -> Image:
    image = next(video, None)
    if image is None:
        raise ContestantError(f"clip {case.clip_id}: {step} of {case.num_frames} frames: curate it again")
    return image
