"""What is kept and what is not, on made-up measurements."""

from __future__ import annotations

import numpy as np
import pytest
from fake_detectors import FACE_BOX, person
from hypothesis import given
from hypothesis import strategies as st

from curation.config import load_config
from curation.filters import FILTERS, judge
from curation.filters.finding import Finding
from curation.measurement import Box, Sample, Shot

SETTINGS = load_config().filter_settings


def shot(samples, *, seconds=10.0, width=1280, height=720):
    return Shot(0, round(seconds * 25), seconds, width, height, tuple(samples))


def sample(keypoints, faces=(FACE_BOX,)):
    return Sample(0, tuple(faces), keypoints)


def reason_of(made: Shot) -> str | None:
    return next((finding.reason for finding in judge(made, SETTINGS) if not finding.passed), None)


GOOD = sample(person())


def test_a_speaker_with_hands_is_kept():
    assert reason_of(shot([GOOD] * 30)) is None


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (shot([GOOD] * 30, seconds=2.8), "too short"),
        (shot([sample(None, ())] * 30), "no face to be seen"),
        (shot([sample(None, ())] * 15 + [GOOD] * 15), "face not visible throughout"),
        (shot([sample(person(face=False))] * 30), "no face to be seen"),
        (shot([sample(None, ())] * 28 + [GOOD] * 2), "no face to be seen"),
        (shot([sample(person(), [FACE_BOX, Box(0.1, 0.2, 0.2, 0.38)])] * 30), "more than one person"),
        (shot([sample(person(shoulders=False))] * 30), "shoulders not visible"),
        (shot([sample(person(width=0.05))] * 30), "person too small"),
        (shot([sample(person(hands=0))] * 30), "no hands to be seen"),
        (shot([sample(person(hands=0))] * 20 + [GOOD] * 10), "hands too often out of sight"),
        (shot([]), "no face to be seen"),
    ],
)
def test_reasons(made, reason):
    assert reason_of(made) == reason


def test_one_hand_is_enough_and_an_audience_does_not_disturb():
    assert reason_of(shot([sample(person(hands=1))] * 30)) is None
    audience = [FACE_BOX, *(Box(x, 0.9, x + 0.03, 0.95) for x in (0.1, 0.3, 0.7))]
    assert reason_of(shot([sample(person(), audience)] * 30)) is None


def test_verdict_does_not_depend_on_resolution():
    for scale in (0.25, 1, 4):
        made = shot([GOOD] * 30, width=round(1280 * scale), height=round(720 * scale))
        assert [finding.measured for finding in judge(made, SETTINGS)] == [
            finding.measured for finding in judge(shot([GOOD] * 30), SETTINGS)
        ]


def test_a_filter_without_settings_is_not_asked():
    assert judge(shot([sample(person(hands=0))]), {**SETTINGS, "hands": None})[-1].filter == "size"


@st.composite
def shots(draw):
    kinds = st.builds(
        lambda hands, face, shoulders, width, searched, faces: sample(
            person(hands=hands, face=face, shoulders=shoulders, width=width) if searched else None,
            [FACE_BOX] * faces,
        ),
        st.integers(0, 2),
        st.booleans(),
        st.booleans(),
        st.floats(0.01, 0.9),
        st.booleans(),
        st.integers(0, 3),
    )
    return shot(draw(st.lists(kinds, min_size=1, max_size=12)), seconds=draw(st.floats(0.04, 100)))


@given(shots())
def test_every_filter_answers_in_range_and_by_its_threshold(made):
    findings = judge(made, SETTINGS)
    assert [finding.filter for finding in findings] == list(FILTERS)
    for finding in findings:
        assert isinstance(finding, Finding)
        assert np.isfinite(finding.measured) and finding.measured >= 0
        assert (finding.reason is None) == finding.passed
        if finding.unit == "share of samples":
            assert finding.measured <= 1


@given(shots(), st.integers(1, 5))
def test_more_good_samples_never_make_a_share_worse(made, more):
    better = Shot(
        made.start, made.end, made.duration_s, made.width, made.height, (*made.samples, *[GOOD] * more)
    )
    for before, after in zip(judge(made, SETTINGS), judge(better, SETTINGS), strict=True):
        if before.unit == "share of samples":
            assert after.measured >= before.measured
