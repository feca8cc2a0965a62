"""Trimming: good parts are as long as possible, pass by themselves, and are exact to the frame."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from fake_detectors import FACE_BOX, person, sample
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curation.clips.trim import STEADY, parts_of
from curation.config import load_config
from curation.detect.measurements import Box, Shot
from curation.filters import judge

CONFIG = load_config()
FPS, STEP = 25, 5  # frames per second; frames between samples
OTHERS = (FACE_BOX, Box(0.1, 0.2, 0.2, 0.38))


def shot_of(kinds: str, *, start: int = 100) -> tuple[Shot, list[float]]:
    """One letter per sample: g good, h no hands, n nobody, t two people. Also the times of all frames."""
    samples = []
    for i, kind in enumerate(kinds):
        keypoints = None if kind == "n" else person(hands=0 if kind == "h" else 2, raised=0.1 * np.sin(i))
        faces = OTHERS if kind == "t" else None
        samples.append(sample(keypoints, faces, index=start + STEP * i))
    end = start + STEP * len(kinds)
    times = [frame / FPS for frame in range(end + 60)]
    return Shot(start, end, (end - start) / FPS, 1280, 720, tuple(samples)), times


def kept(kinds: str, config=CONFIG) -> list[tuple[int, int]]:
    shot, times = shot_of(kinds)
    parts = parts_of(shot, config, times)
    assert parts[0].shot.start == shot.start and parts[-1].shot.end == shot.end
    assert all(a.shot.end == b.shot.start for a, b in pairwise(parts))
    return [(part.shot.start, part.shot.end) for part in parts if part.passed]


def test_a_good_shot_is_kept_whole_to_the_frame():
    assert kept("g" * 40) == [(100, 300)]


def test_the_good_half_is_kept():
    # Frames between the last good sample and the next bad one are left out.
    assert kept("n" * 30 + "g" * 30) == [(250, 400)]
    assert kept("g" * 30 + "n" * 30) == [(100, 246)]


def test_two_good_parts_are_kept_and_the_rest_has_a_reason():
    shot, times = shot_of("g" * 20 + "t" * 20 + "g" * 30)
    parts = parts_of(shot, CONFIG, times)
    assert [(p.shot.start, p.shot.end, p.passed) for p in parts] == [
        (100, 196, True),
        (196, 300, False),
        (300, 450, True),
    ]
    reasons = [f.reason for f in parts[1].results if not f.passed]
    assert "more than one person" in reasons


def test_short_parts_are_not_kept():
    assert kept("n" * 20 + "g" * 10 + "n" * 20) == []
    assert kept("n" * 20 + "g" * 12 + "n" * 20) == [(200, 256)]


def test_short_failures_are_tolerated_and_long_ones_are_not():
    assert kept("g" * 20 + "n" * 3 + "g" * 20) == [(100, 315)]
    # Nine tenths of the samples have a face, but 1.4 s have none.
    assert kept("g" * 40 + "n" * 7 + "g" * 40) == [(100, 296), (335, 535)]


def test_a_span_starts_only_after_two_good_samples():
    assert kept("n" * 20 + "gn" + "g" * 30) == [(100 + 22 * STEP, 360)]


def test_hands_may_be_away_for_a_second():
    assert kept("g" * 20 + "h" * 5 + "g" * 20) == [(100, 325)]
    # 1.2 s without hands split a shot, although far more than half of the samples have hands.
    assert kept("g" * 40 + "h" * 6 + "g" * 40) == [(100, 296), (330, 530)]
    # A part without hands at either end is cut off, and a rest that is too short is rejected.
    assert kept("h" * 15 + "g" * 20 + "h" * 15) == [(175, 271)]
    assert kept("g" * 9 + "h" * 15 + "g" * 9) == []


def test_an_interruption_is_named_with_its_time():
    shot, times = shot_of("g" * 9 + "h" * 15 + "g" * 9)
    (part,) = parts_of(shot, CONFIG, times)
    steady = part.results[-1]
    assert steady.filter == STEADY and steady.measured == pytest.approx(3.0)
    assert [(seen.what, seen.time_s) for seen in steady.evidence] == [("hands", 145 / FPS)]


def test_a_part_without_a_steady_span_fails_the_steady_check():
    shot, times = shot_of(("g" * 12 + "n") * 3 + "g" * 12)
    (part,) = parts_of(shot, CONFIG, times)
    assert part.passed and part.results[-1].measured == pytest.approx(0.2)
    gaps = "g" * 70 + "n" * 6 + "g" * 5
    shot, times = shot_of(gaps)
    (result,) = [f for f in parts_of(shot, CONFIG, times)[-1].results if f.filter == STEADY]
    assert (result.passed, result.at_least) == (False, False)


def test_without_trimming_only_whole_shots_are_kept():
    whole = CONFIG.model_copy(update={"trim": None})
    assert kept("n" * 30 + "g" * 30, whole) == []
    assert kept("g" * 30, whole) == [(100, 250)]


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=15)
@given(st.lists(st.tuples(st.sampled_from("gghnt"), st.integers(1, 25)), min_size=1, max_size=5))
def test_every_kept_span_passes_by_itself(runs):
    kinds = "".join(kind * count for kind, count in runs)
    shot, times = shot_of(kinds)
    parts = parts_of(shot, CONFIG, times)
    assert parts[0].shot.start == shot.start and parts[-1].shot.end == shot.end
    for part in parts:
        alone = shot.part(part.shot.start, part.shot.end, times)
        passes = all(result.passed for result in judge(alone, CONFIG.filters))
        if part.passed:
            assert passes and alone.duration_s >= CONFIG.min_length_s
    if "n" not in kinds and "t" not in kinds and "h" not in kinds:
        assert [part.passed for part in parts] == [len(kinds) >= 10]
