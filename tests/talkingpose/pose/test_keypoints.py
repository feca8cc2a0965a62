from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from talkingpose import pose
from talkingpose.pose import (
    BODY,
    BODY_EDGES,
    FACE,
    FACE_EDGES,
    FEET,
    FEET_EDGES,
    KEYPOINT_NAMES,
    LEFT_HAND,
    LEFT_HAND_EDGES,
    MIRROR_PERMUTATION,
    NUM_KEYPOINTS,
    RIGHT_HAND,
    RIGHT_HAND_EDGES,
    PoseError,
    mirror,
    validate,
)


def some_keypoints(*frames: int, dtype: type = np.float32) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 1, (*frames, NUM_KEYPOINTS, 3)).astype(dtype)


def test_names_and_slices_cover_the_133_points_in_order():
    assert len(KEYPOINT_NAMES) == len(set(KEYPOINT_NAMES)) == NUM_KEYPOINTS
    parts = [range(NUM_KEYPOINTS)[part] for part in (BODY, FEET, FACE, LEFT_HAND, RIGHT_HAND)]
    assert [i for part in parts for i in part] == list(range(NUM_KEYPOINTS))
    assert KEYPOINT_NAMES[0] == "nose"
    assert KEYPOINT_NAMES[9:11] == ("left_wrist", "right_wrist")
    assert KEYPOINT_NAMES[FEET] == (
        *("left_big_toe", "left_small_toe", "left_heel"),
        *("right_big_toe", "right_small_toe", "right_heel"),
    )
    assert KEYPOINT_NAMES[FACE][0] == "face-0"
    assert KEYPOINT_NAMES[LEFT_HAND][:2] == ("left_hand_root", "left_thumb1")
    assert KEYPOINT_NAMES[RIGHT_HAND][-1] == "right_pinky_finger4"


@pytest.mark.parametrize(
    ("edges", "parts", "count"),
    [
        (BODY_EDGES, (BODY,), 19),
        (FEET_EDGES, (BODY, FEET), 6),
        (FACE_EDGES, (FACE,), 63),
        (LEFT_HAND_EDGES, (LEFT_HAND,), 20),
        (RIGHT_HAND_EDGES, (RIGHT_HAND,), 20),
    ],
)
def test_edges_stay_in_their_part_and_are_symmetric(edges, parts, count):
    inside = {i for part in parts for i in range(NUM_KEYPOINTS)[part]}
    assert len({frozenset(edge) for edge in edges}) == len(edges) == count
    assert {i for edge in edges for i in edge} <= inside
    mirrored = {frozenset(MIRROR_PERMUTATION[i] for i in edge) for edge in edges}
    other = RIGHT_HAND_EDGES if edges == LEFT_HAND_EDGES else LEFT_HAND_EDGES
    same = {frozenset(edge) for edge in (other if edges in (LEFT_HAND_EDGES, RIGHT_HAND_EDGES) else edges)}
    assert mirrored == same


def test_every_finger_is_a_chain_from_the_root():
    names = [(KEYPOINT_NAMES[a], KEYPOINT_NAMES[b]) for a, b in LEFT_HAND_EDGES]
    assert names[4:8] == [
        ("left_hand_root", "left_forefinger1"),
        ("left_forefinger1", "left_forefinger2"),
        ("left_forefinger2", "left_forefinger3"),
        ("left_forefinger3", "left_forefinger4"),
    ]


def test_mirror_permutation_exchanges_the_sides():
    assert sorted(MIRROR_PERMUTATION) == list(range(NUM_KEYPOINTS))
    assert [MIRROR_PERMUTATION[i] for i in MIRROR_PERMUTATION] == list(range(NUM_KEYPOINTS))
    for i, name in enumerate(KEYPOINT_NAMES):
        if name.startswith("left_"):
            assert KEYPOINT_NAMES[MIRROR_PERMUTATION[i]] == name.replace("left_", "right_", 1)
    on_the_midline = {i for i in range(68) if MIRROR_PERMUTATION[FACE.start + i] == FACE.start + i}
    assert on_the_midline == {8, 27, 28, 29, 30, 33, 51, 57, 62, 66}


@settings(max_examples=30)
@given(st.lists(st.booleans(), min_size=NUM_KEYPOINTS, max_size=NUM_KEYPOINTS))
def test_mirroring_twice_gives_the_keypoints_back(present):
    keypoints = some_keypoints(dtype=np.float64) * np.array(present)[:, None]
    mirrored = mirror(keypoints)
    assert np.allclose(mirror(mirrored), keypoints)
    assert (mirrored[~np.array(present)[list(MIRROR_PERMUTATION)]] == 0).all()
    assert np.allclose(mirrored[0, 0], 1 - keypoints[0, 0] if present[0] else 0)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_validate_accepts_keypoints(dtype):
    validate(some_keypoints(dtype=dtype))
    validate(some_keypoints(4, dtype=dtype))
    beyond_the_edge = some_keypoints(dtype=dtype)
    beyond_the_edge[3, :2] = (-0.2, 1.3)
    validate(beyond_the_edge)


@pytest.mark.parametrize(
    ("keypoints", "message"),
    [
        (np.zeros((132, 3)), r"shape \(132, 3\)"),
        (np.zeros((2, 133, 2)), r"shape \(2, 133, 2\)"),
        (np.zeros((1, 2, 133, 3)), "shape"),
        (np.zeros((133, 3), np.int64), "int64"),
        ([[0.0] * 3] * 133, "list"),
    ],
)
def test_validate_refuses_another_shape_or_type(keypoints, message):
    with pytest.raises(PoseError, match=f"^poses.npy: .*{message}.*: give") as caught:
        validate(keypoints, where="poses.npy")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        (0, np.nan, "left_wrist in frame 2 is not finite"),
        (1, -np.inf, "left_wrist in frame 2 is not finite"),
        (2, np.nan, "left_wrist in frame 2 is not finite"),
        (2, 1.5, "confidence 1.5 of left_wrist in frame 2"),
        (2, -0.25, "confidence -0.25 of left_wrist in frame 2"),
    ],
)
def test_validate_names_the_wrong_value(column, value, message):
    keypoints = some_keypoints(4)
    keypoints[2, 9, column] = value
    with pytest.raises(PoseError, match=message):
        validate(keypoints)


def test_import_loads_no_heavy_library():
    code = "import sys, talkingpose.pose; print({'cv2', 'mediapipe', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_public_names_exist():
    for name in pose.__all__:
        assert getattr(pose, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        pose.no_such_name  # noqa: B018
