from __future__ import annotations

import numpy as np
import pytest

from talkingpose.pipeline.batching import time_steps, windows
from talkingpose.pipeline.inputs import PipelineError


def pictures(count: int, taken: list[int] | None = None):
    for number in range(count):
        if taken is not None:
            taken.append(number)
        yield np.full((2, 2, 3), number, np.uint8)


def test_windows_hold_the_same_clips_and_lose_none():
    found = list(windows(time_steps([pictures(5), pictures(3), pictures(8)]), 2))
    assert [[step.index for step in window] for window in found] == [[0, 1], [2], [3, 4], [5, 6], [7]]
    assert [window[0].running for window in found] == [(0, 1, 2), (0, 1, 2), (0, 2), (2,), (2,)]
    for window in found:
        for step in window:
            assert step.running == window[0].running
            assert [picture[0, 0, 0] for picture in step.pictures] == [step.index] * len(step.running)


@pytest.mark.parametrize("length", [1, 3])
def test_nothing_is_taken_early(length):
    taken: list[int] = []
    stream = windows(time_steps([pictures(10, taken)]), length)
    for number in range(1, 3):
        next(stream)
        assert len(taken) == number * length


def test_counting_can_start_later_and_may_yield_nothing():
    assert [step.index for step in time_steps([pictures(2)], first=7)] == [7, 8]
    assert list(time_steps([pictures(0)], first=7)) == []
    with pytest.raises(PipelineError, match="clip 1: empty"):
        next(time_steps([pictures(1), pictures(0)]))
