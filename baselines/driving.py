"""Controls that turn the driving frames of a case into its video, each case on its own."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence

from talkingpose.data.contestant import Case, ContestantError, ContestantInfo, Image, running


def control_info(name: str, **args: str | int | float) -> ContestantInfo:
    """What a board needs to know of a control that sees the driving frames and has no weights."""
    return ContestantInfo(
        name=name,
        revision="1",
        parameters=0,
        licence="Apache-2.0",
        window=1,
        batch_size=4,
        needs_driving_frames=True,
        control=True,
        args=args,
    )


def lockstep(cases: Sequence[Case], change: Callable[[Case], Iterator[Image]]) -> Iterator[list[Image]]:
    """Run `change`, which makes the video of one case lazily, on every case, one time step at a time.

    Raises:
        ContestantError: `change` gives too few frames.
    """
    videos = [change(case) for case in cases]
    for step in itertools.count():
        alive = running(cases, step)
        if not alive:
            return
        yield [_frame(videos[index], cases[index], step) for index in alive]


def driving_frames(case: Case) -> Iterable[Image]:
    """The driving frames of a case.

    Raises:
        ContestantError: it comes without.
    """
    if case.driving_frames is None:
        raise ContestantError(f"clip {case.clip_id}: no driving frames were given: ask for them in `info`")
    return case.driving_frames


def _frame(video: Iterator[Image], case: Case, step: int) -> Image:
    image = next(video, None)
    if image is None:
        raise ContestantError(f"clip {case.clip_id}: {step} of {case.num_frames} frames: curate it again")
    return image
