"""Dissolves, fades and jump cuts of drawn speakers; no alarms where there are none."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from curation.detect import transnet
from curation.detect.transitions import Transition, TransitionDetector, edges_of
from curation.synthetic.identity import draw_identity
from curation.synthetic.motion import Motion
from curation.synthetic.render import Scene

FPS = Fraction(25)
needs_network = pytest.mark.skipif(not transnet.installed(), reason="needs the extra `shots`")


def speaker(person: int, motion: int, count: int) -> list[np.ndarray]:
    scene, moves = Scene(draw_identity(person), 128), Motion(motion)
    return [scene.render(moves.at(index))[0] for index in range(count)]


@pytest.fixture(scope="module")
def clips() -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """Two speakers, and the first one in another pose."""
    return speaker(7001, 7001, 40), speaker(7002, 7002, 40), speaker(7001, 7205, 40)


def mixed(one, other, length: int) -> list[np.ndarray]:
    weights = (np.arange(length) + 1) / (length + 1)
    between = [
        np.uint8((1 - w) * a + w * b + 0.5)
        for a, b, w in zip(one[-length:], other[:length], weights, strict=True)
    ]
    return [*one[:-length], *between, *other[length:]]


def detect(frames, cuts=()) -> list[Transition]:
    detector = TransitionDetector(FPS)
    for frame in frames:
        detector.feed(frame)
    return detector.finish(cuts)


def test_a_dissolve_is_found_where_it_is(clips):
    one, other, _ = clips
    (found,) = detect(mixed(one, other, 8))
    assert found.kind == "dissolve"
    assert abs(found.start - 32) <= 6 and abs(found.end - 40) <= 6


def test_a_fade_through_black_is_one_transition(clips):
    one, other, _ = clips
    weights = np.linspace(1, 0, 12)
    out = [np.uint8(w * frame) for w, frame in zip(weights, one[-12:], strict=True)]
    back = [np.uint8(w * frame) for w, frame in zip(weights[::-1], other[:12], strict=True)]
    (found,) = detect([*one[:-12], *out, *back, *other[12:]])
    assert found.kind == "fade"
    assert abs(found.start - 28) <= 3 and abs(found.end - 52) <= 3


def test_a_jump_cut_of_one_person_is_found_to_the_frame(clips):
    one, _, again = clips
    assert detect([*one, *again]) == [Transition(40, 40, "jump")]


def test_a_cut_that_is_known_is_not_reported_again(clips):
    one, _, again = clips
    assert detect([*one, *again], cuts=[40]) == []


def test_clips_without_a_transition_have_none(clips):
    for clip in clips:
        assert detect(clip) == []


def test_repeated_frames_are_no_jump_cuts(clips):
    stuttering = [frame for frame in clips[0][::6] for _ in range(6)]
    assert detect(stuttering) == []


def test_lost_frames_are_no_jump_cuts(clips):
    """A speaker who moves on by a few frames, as footage does that lost them in a conversion."""
    cases = [(clip, start, lost) for clip in clips for start in range(8, 28, 2) for lost in (2, 3, 4)]
    alarms = [case[1:] for case in cases if detect([*case[0][: case[1]], *case[0][sum(case[1:]) :]])]
    # 25 of 90 without the comparison with the motion around.
    assert len(alarms) <= 12


def test_spans_end_before_a_dissolve_and_at_a_jump():
    found = [Transition(100, 110, "dissolve"), Transition(200, 200, "jump"), Transition(298, 305, "fade")]
    assert edges_of(found, FPS, 300) == [92, 118, 200, 290]  # 0.3 s


def test_windows_of_doubt_are_joined_and_stay_inside():
    assert transnet.doubtful_windows([5, 60, 80, 300], 0, 200) == [(0, 30), (35, 105)]
    assert transnet.doubtful_windows([5], 10, 20) == []


@needs_network
def test_the_network_finds_a_dissolve_and_nothing_in_one_take(clips):
    one, other, _ = clips
    import cv2

    def small(frames):
        return np.stack([cv2.resize(frame, transnet.SIZE, interpolation=cv2.INTER_AREA) for frame in frames])

    found = transnet.transitions(small(mixed(one, other, 10)))
    assert len(found) == 1 and abs((found[0].start + found[0].end) / 2 - 35) <= 6
    assert transnet.transitions(small(one)) == []
    assert len(transnet.probabilities(small(one[:7]))) == 7
