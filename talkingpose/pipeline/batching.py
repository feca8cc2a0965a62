"""The driving poses of several clips in lockstep, cut into windows of time steps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from talkingpose.pipeline.inputs import PipelineError, as_array

_END = object()


@dataclass(frozen=True)
class TimeStep:
    """One frame of every clip that still runs.

    Attributes:
        index: k, the frame, from 0.
        running: positions of the clips, ascending.
        pictures: their pose pictures, uint8 (H, W, 3).
    """

    index: int
    running: tuple[int, ...]
    pictures: tuple[np.ndarray, ...]


def time_steps(clips: Sequence[Iterable[object]], first: int = 0) -> Iterator[TimeStep]:
    """Yield time steps until the last clip has ended; a picture is taken when its time step is asked for.

    Args:
        clips: the pose pictures of each clip, PIL or uint8 (H, W, 3), all of one size.
        first: index of the first time step.

    Raises:
        PipelineError: a clip is empty, or a picture is no picture or of another size than the first.
    """
    iterators = [iter(clip) for clip in clips]
    running, index, size = tuple(range(len(iterators))), first, None
    while running:
        taken = [(clip, next(iterators[clip], _END)) for clip in running]
        ended = [clip for clip, picture in taken if picture is _END]
        if ended and index == first == 0:
            raise PipelineError(
                f"poses: clip {ended[0]}, picture 0: there is none: give at least one picture"
            )
        running = tuple(clip for clip in running if clip not in ended)
        pictures = []
        for clip, picture in taken:
            if picture is not _END:
                array = as_array(picture, f"poses: clip {clip}, picture {index}", size)
                size = array.shape[0], array.shape[1]
                pictures.append(array)
        if running:
            yield TimeStep(index, running, tuple(pictures))
        index += 1


def windows(steps: Iterable[TimeStep], length: int) -> Iterator[list[TimeStep]]:
    """Yield up to `length` time steps in which the same clips run; none is taken before it is due."""
    window: list[TimeStep] = []
    for step in steps:
        if window and step.running != window[0].running:
            yield window
            window = []
        window.append(step)
        if len(window) == length:
            yield window
            window = []
    if window:
        yield window
