"""Batches of clips: their driving poses by time step, in windows of time steps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from talkingpose.io.image import Image
from talkingpose.pipeline.inputs import PipelineError, as_array

_END = object()


@dataclass(frozen=True)
class TimeStep:
    """One frame of every running clip.

    Attributes:
        index: k, the frame, from 0.
        running: positions of the clips, ascending.
        pictures: their pose pictures, uint8 (H, W, 3).
    """

    index: int
    running: tuple[int, ...]
    pictures: tuple[Image, ...]


def time_steps(clips: Sequence[Iterable[object]], first: int = 0) -> Iterator[TimeStep]:
    """Yield time steps until the last clip ends; a picture is taken when its time step is requested.

    Args:
        clips: the pose pictures of each clip, PIL or uint8 (H, W, 3), all of one size.
        first: index of the first time step.

    Raises:
        PipelineError: a clip is empty, a picture is of another type, or of another size than the first.
    """
    iterators = [iter(clip) for clip in clips]
    running, index, size = tuple(range(len(iterators))), first, None
    while running:
        taken = [(clip, next(iterators[clip], _END)) for clip in running]
        ended = [clip for clip, picture in taken if picture is _END]
        if ended and index == first == 0:
            raise PipelineError(f"poses: clip {ended[0]}: empty: give at least one picture")
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
    """Yield lists of up to `length` time steps in which the same clips run, as early as possible."""
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
