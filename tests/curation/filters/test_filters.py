"""Bundled filters on invented measurements."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fake_detectors import FACE_BOX, person, sample
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curation.config import load_config
from curation.detect.measurements import Box, Bystander, Shot
from curation.filters import get, hands, head, identity, judge, measure, names, yaw
from curation.filters.cut import change
from curation.filters.frames import FramesSettings
from curation.records import FilterResult
from talkingpose.pose import FACE

# All filters are on.
SETTINGS = load_config().filters | {"frames": FramesSettings(min_frames=1)}


def shot(samples, *, seconds=10.0, width=1280, height=720):
    return Shot(0, round(seconds * 25), seconds, width, height, tuple(samples))


def speaking(count=30, *, keypoints=None, **known):
    """Samples of a person who moves the hands, five per second."""
    return [
        sample(keypoints if keypoints is not None else person(raised=0.1 * np.sin(i)), index=5 * i, **known)
        for i in range(count)
    ]


def nobody(count=30, **known):
    return [sample(index=5 * i, **known) for i in range(count)]


def reasons_of(made: Shot) -> list[str]:
    return [result.reason for result in judge(made, SETTINGS) if not result.passed]


def test_a_speaker_with_hands_passes():
    assert reasons_of(shot(speaking())) == []


SECOND_FACE = (FACE_BOX, Box(0.1, 0.2, 0.2, 0.38))
LINE = (Box(0.3, 0.28, 0.7, 0.34),)


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (nobody(), "no face to be seen"),
        (nobody(15) + speaking(15), "face not visible throughout"),
        (speaking(keypoints=person(face=False)), "no face to be seen"),
        (nobody(28) + speaking(2), "no face to be seen"),
        (speaking(faces=SECOND_FACE), "more than one person"),
        (speaking(others=0.04), "more than one person"),
        (speaking(keypoints=person(shoulders=False)), "shoulders not visible"),
        (speaking(keypoints=person(width=0.05)), "person too small"),
        (speaking(keypoints=person(hands=0)), "no hands to be seen"),
        (speaking(20, keypoints=person(hands=0)) + speaking(10), "hands too often out of sight or blurred"),
        (speaking(hand_sharpness=(0.004, 0.004)), "no hands to be seen"),
        (speaking(face_contrast=30.0), "too dark"),
        (nobody(luma=np.full((18, 32), 9, np.uint8)), "too dark"),
        (speaking(face_luma=250.0), "too bright"),
        (speaking(face_sharpness=0.004), "face blurred"),
        (speaking(face=Box(0.48, 0.28, 0.51, 0.32)), "face too small"),
        (speaking(picture=Box(0.4, 0.4, 0.8, 0.8)), "mostly borders"),
        (speaking(text=LINE), "text over face or hands"),
        (speaking(change=0.04), "person does not move"),
        ([], "no face to be seen"),
    ],
)
def test_reasons(samples, reason):
    assert reason in reasons_of(shot(samples))


def test_darkness_and_blur_are_reported_before_the_missing_face():
    dark = nobody(face=FACE_BOX, faces=(FACE_BOX,), face_contrast=10.0, face_sharpness=0.3)
    assert reasons_of(shot(dark))[:2] == ["too dark", "no face to be seen"]
    blurred = nobody(face=FACE_BOX, faces=(FACE_BOX,), face_luma=99.0, face_sharpness=0.01)
    assert reasons_of(shot(blurred))[:2] == ["face blurred", "no face to be seen"]


def test_a_lit_picture_without_a_face_is_not_dark():
    framed = np.full((18, 32), 16, np.uint8)
    framed[5:13, 10:22] = 120
    assert "too dark" not in reasons_of(shot(nobody(luma=framed)))


def test_short_spans_are_rejected():
    assert reasons_of(shot(speaking(), seconds=1.8)) == ["too short"]


def test_one_hand_and_a_small_audience_are_accepted():
    one = [sample(person(hands=1, raised=0.1 * np.sin(i)), index=5 * i) for i in range(30)]
    assert reasons_of(shot(one)) == []
    audience = (FACE_BOX, *(Box(x, 0.9, x + 0.03, 0.95) for x in (0.1, 0.3, 0.7)))
    assert reasons_of(shot(speaking(faces=audience))) == []


def test_usability_of_a_hand_is_visibility_times_confidence_times_sharpness():
    keypoints = person()
    keypoints[91:101] = 0  # ten points of the left hand lie outside the picture
    keypoints[10, 2] = 0.5  # confidence of the right wrist
    made = sample(keypoints, hand_sharpness=(0.4, 0.05))
    left, right = hands.usability(made, 0.1)
    assert left == pytest.approx(11 / 21) and right == pytest.approx(0.5 * 0.5)
    assert hands.usability(sample(None), 0.1) == (0, 0)


@pytest.mark.parametrize("degrees", [-70, -30, 0, 20, 45, 80])
def test_yaw_of_a_turned_head(degrees):
    a = np.radians(degrees)
    turn = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    nod = np.array([[1, 0, 0], [0, np.cos(0.3), -np.sin(0.3)], [0, np.sin(0.3), np.cos(0.3)]])
    seen = (yaw._HEAD @ turn.T)[:, :2] * 3 + (400, 300)
    assert yaw.head_yaw_deg(seen) == pytest.approx(abs(degrees), abs=0.1)
    assert yaw.head_yaw_deg((yaw._HEAD @ (nod @ turn).T)[:, :2]) == pytest.approx(abs(degrees), abs=6)


def test_a_profile_is_turned_away():
    keypoints = person()
    keypoints[FACE, 0] = 0.5 + (keypoints[FACE, 0] - 0.5) * 0.1
    keypoints[FACE.start + 30, 0] = 0.57
    assert "turned away" in reasons_of(shot(speaking(keypoints=keypoints)))


def test_a_dissolve_is_a_cut_but_light_and_camera_changes_are_not():
    rng = np.random.default_rng(0)
    scenes = [rng.integers(0, 255, (18, 32)).astype(np.uint8) for _ in range(2)]
    colours = [np.eye(8, dtype=np.float32)[k] for k in (0, 5)]
    made = [sample(person(), luma=scenes[k], colours=colours[k]) for k in (0, 1)]
    assert change(*made) > 0.9
    assert change(sample(luma=scenes[0], colours=colours[0]), sample(luma=scenes[1], colours=colours[0])) == 0
    darker = (scenes[0] * 0.5).astype(np.uint8)
    assert change(sample(luma=scenes[0], colours=colours[0]), sample(luma=darker, colours=colours[1])) < 0.01
    first, second = speaking(15, luma=scenes[0], colours=colours[0]), speaking(30)[15:]
    second = [sample(s.keypoints, index=s.index, luma=scenes[1], colours=colours[1]) for s in second]
    assert reasons_of(shot(first + second)) == ["a cut inside"]


def test_another_person_is_detected_by_embeddings_or_by_a_jump_of_the_face():
    away = Box(0.05, 0.2, 0.15, 0.4)
    taken_over = [
        sample(s.keypoints, index=s.index, face=FACE_BOX if i % 4 < 2 else away)
        for i, s in enumerate(speaking())
    ]
    assert reasons_of(shot(taken_over)) == ["face jumps"]


def embedded(angles, every=5, size=512):
    """Speaker whose face is looked at once a second; the angle between two embeddings tells persons apart.

    Embeddings of 128 numbers are dlib's, whose distances are smaller: 0.6 for a cosine of 0.1.
    """
    radius = 1.0 if size == 512 else 0.447
    faces = [radius * (np.eye(1, size, 0) * np.cos(a) + np.eye(1, size, 1) * np.sin(a)) for a in angles]
    samples = speaking(every * len(angles))
    return shot(
        [
            replace(one, identity=faces[i // every][0].astype(np.float32), measured_at=25 * (i // every))
            for i, one in enumerate(samples)
        ],
        seconds=len(angles),
    )


OTHER = np.arccos(0.1)


@pytest.mark.parametrize("size", [128, 512])
@pytest.mark.parametrize("kept", [2, 5, 8])
def test_a_takeover_is_found_wherever_it_happens(kept, size):
    noise = 0.3 * np.sin(np.arange(10) * 2.1)
    assert reasons_of(embedded(noise, size=size)) == []
    taken_over = embedded(noise + OTHER * (np.arange(10) >= kept), size=size)
    assert reasons_of(taken_over) == ["not one person throughout"]


def test_a_slow_change_of_person_and_a_return_are_found():
    assert reasons_of(embedded(np.linspace(0, 1.2 * OTHER, 20))) == ["not one person throughout"]
    assert reasons_of(embedded(OTHER * (np.arange(12) // 4 == 1))) == ["not one person throughout"]


def test_a_takeover_is_low_only_around_the_change_so_that_trimming_keeps_both_persons():
    low = identity.between_windows(embedded(OTHER * (np.arange(12) >= 6)).samples) < 0.3
    assert np.flatnonzero(low).tolist() == list(range(25, 35))


def test_verdict_does_not_depend_on_resolution():
    made = shot(speaking())
    for scale in (0.25, 1, 4):
        other = shot(speaking(), width=round(1280 * scale), height=round(720 * scale))
        for one, two in zip(judge(made, SETTINGS), judge(other, SETTINGS), strict=True):
            assert two.measured == pytest.approx(one.measured)


def test_a_filter_that_is_off_gives_no_result():
    asked = [f.filter for f in judge(shot(speaking()), {**SETTINGS, "hands": None, "length": None})]
    assert asked == [name for name in SETTINGS if name not in ("hands", "length")]


# Timing checks are off for busy machines.
CALM = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=40)


@st.composite
def shots(draw):
    kinds = st.builds(
        lambda i, hands, face, shoulders, width, searched, faces: sample(
            person(hands=hands, face=face, shoulders=shoulders, width=width) if searched else None,
            (FACE_BOX,) * faces,
            index=5 * i,
        ),
        st.integers(0, 60),
        st.integers(0, 2),
        st.booleans(),
        st.booleans(),
        st.floats(0.01, 0.9),
        st.booleans(),
        st.integers(0, 3),
    )
    made = sorted(draw(st.lists(kinds, min_size=1, max_size=12)), key=lambda s: s.index)
    return shot(made, seconds=draw(st.floats(0.04, 100)))


@CALM
@given(shots())
def test_every_filter_gives_a_result_and_passes_exactly_at_its_threshold(made):
    results = judge(made, SETTINGS)
    assert [result.filter for result in results] == list(SETTINGS)
    for result in results:
        assert isinstance(result, FilterResult)
        assert (result.reason is None) == result.passed
        if result.measured is not None:
            assert np.isfinite(result.measured)
            beyond = result.measured - result.threshold
            reached = beyond if result.at_least else -beyond
            assert result.passed == (reached >= -1e-6)
        if result.share is not None:
            assert 0 <= result.share <= 1
            assert result.passed == (result.share >= result.min_share - 1e-6)


@CALM
@given(shots())
def test_values_and_results_agree(made):
    for name, one in measure(made, SETTINGS).items():
        assert len(one.values) == (1 if name in ("length", "frames") else len(made.samples))
        assert one.result().passed == (one.reached.mean() >= one.required_share - 1e-9)


def test_every_bundled_filter_is_registered_and_knows_its_threshold_without_a_shot():
    assert set(names()) >= set(SETTINGS)
    for name, own in SETTINGS.items():
        spec = get(name).spec
        skipped, judged = spec.not_asked(own), get(name).measure(shot(speaking()), own).result()
        assert spec.name == name and spec.source and skipped.passed is None and skipped.measured is None
        for field in ("threshold", "unit", "at_least", "min_share"):
            assert getattr(skipped, field) == getattr(judged, field)


def test_words_on_a_shirt_do_not_cover_a_part_that_moves_in_front_of_them():
    def moving(away: tuple[int, ...]) -> Shot:
        """Text is measured at every fifth sample; the face is over the words unless it is away."""
        beside = Box(0.05, 0.2, 0.15, 0.4)
        return shot(
            [
                sample(
                    person(), index=5 * i, text=LINE, face=beside if i % 5 in away else FACE_BOX,
                    measured_at=25 * (i // 5),
                )
                for i in range(20)
            ]
        )  # fmt: skip

    assert "text over face or hands" not in reasons_of(moving(away=(0,)))
    assert "text over face or hands" in reasons_of(moving(away=(1, 2, 3, 4)))


def test_too_few_frames_for_a_protocol():
    few = SETTINGS | {"frames": FramesSettings(min_frames=101)}
    assert [one.reason for one in judge(shot(speaking(20), seconds=4.0), few) if one.reason] == [
        "too few frames"
    ]
    assert all(one.passed for one in judge(shot(speaking(21), seconds=4.04), few))


@pytest.mark.parametrize(
    ("x", "y", "inside"), [(0, 0, 1.0), (0, -0.25, 0.75), (-0.5, 0, 0.5), (0, 0.65, 0.0)]
)
def test_share_of_the_head_in_the_picture(x, y, inside):
    """The chin lies at 0.4 and the crown at 0.3 - 0.09 = 0.21 of the height; both move with the head."""
    keypoints = person()
    keypoints[FACE.start + 8, :2], keypoints[FACE.start + 27, :2] = (0.5, 0.4), (0.5, 0.3)
    height, width = 0.19, 0.19 * 720 / 1280 * 0.69
    keypoints[FACE, 0] += (0.5 - width / 2) * np.sign(x) + x * width
    keypoints[FACE, 1] += -0.21 * (y < 0) + y * height if y <= 0 else y
    out = ((keypoints[FACE, :2] < 0) | (keypoints[FACE, :2] > 1)).any(axis=1)
    keypoints[FACE][out] = 0
    assert head.inside(sample(keypoints), shot([])) == pytest.approx(inside, abs=0.01)
    assert head.inside(sample(None), shot([])) is None


def test_the_place_of_another_person_is_part_of_the_result():
    seen = Bystander(Box(0.8, 0.1, 1.0, 0.9), 0.2, "joints")
    made = shot(
        speaking(15)
        + [replace(one, index=one.index + 75) for one in speaking(15, others=0.2, bystander=seen)]
    )
    (result,) = [one for one in judge(made, SETTINGS) if one.filter == "people"]
    assert not result.passed and 1 <= len(result.evidence) <= 8
    assert all((one.what, one.box) == ("joints", (0.8, 0.1, 1.0, 0.9)) for one in result.evidence)
    (result,) = [one for one in judge(shot(speaking(faces=SECOND_FACE)), SETTINGS) if one.filter == "people"]
    assert {one.box for one in result.evidence} == {(0.1, 0.2, 0.2, 0.38)}
