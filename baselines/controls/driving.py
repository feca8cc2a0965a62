"""Base of controls that transform the driving frames of each case."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence

from talkingpose.data.contestant import Case, ContestantError, ContestantInfo, running
from talkingpose.io.image import Image


def control_info(name: str, **args: str | int | float) -> ContestantInfo:
    """Return the info of a control that reads the driving frames."""
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
    """Transform all cases in lockstep.

    Args:
        cases: the cases.
        change: yields the video of one case, lazily.

    Raises:
        ContestantError: `change` yields too few frames.
    """
    videos = [change(case) for case in cases]
    for step in itertools.count():
        alive = running(cases, step)
        if not alive:
            return
        yield [_frame(videos[index], cases[index], step) for index in alive]


def driving_frames(case: Case) -> Iterable[Image]:
    """Return the driving frames of a case.

    Raises:
        ContestantError: the case has none.
    """
    if case.driving_frames is None:
        raise ContestantError(f"clip {case.clip_id}: no driving frames: set `needs_driving_frames` in `info`")
    return case.driving_frames


def _frame(video: Iterator[Image], case: Case, step: int) -> Image:
    image = next(video, None)
    if image is None:
        raise ContestantError(f"clip {case.clip_id}: {step} of {case.num_frames} frames: curate it again")
    return image
