from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from talkingpose.pose import (
    BODY,
    FACE,
    FEET,
    KEYPOINT_NAMES,
    LEFT_HAND,
    MIRROR_PERMUTATION,
    RIGHT_HAND,
    PoseError,
    from_holistic,
    validate,
)
from talkingpose.pose.holistic import FACE_FROM_MESH

# mediapipe's own names of its 33 landmarks, by index.
POSE_LANDMARKS = (
    *("nose", "left_eye_inner", "left_eye", "left_eye_outer", "right_eye_inner", "right_eye"),
    *("right_eye_outer", "left_ear", "right_ear", "mouth_left", "mouth_right", "left_shoulder"),
    *("right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_pinky"),
    *("right_pinky", "left_index", "right_index", "left_thumb", "right_thumb", "left_hip", "right_hip"),
    *("left_knee", "right_knee", "left_ankle", "right_ankle", "left_heel", "right_heel"),
    *("left_foot_index", "right_foot_index"),
)
PARTS = {"pose": 33, "face": 468, "left_hand": 21, "right_hand": 21}


def landmarks(xyv):
    return SimpleNamespace(landmark=[SimpleNamespace(x=x, y=y, visibility=v) for x, y, v in xyv])


def result(**parts):
    """A holistic result with the landmarks given as (N, 3) arrays: x, y, visibility."""
    return SimpleNamespace(
        **{f"{part}_landmarks": landmarks(parts[part]) if part in parts else None for part in PARTS}
    )


def inside(count, seed=0):
    return np.random.default_rng(seed).uniform(0.05, 0.95, (count, 3))


def test_empty_result_is_all_zeros():
    keypoints = from_holistic(result())
    assert keypoints.shape == (133, 3)
    assert keypoints.dtype == np.float32
    assert not keypoints.any()


def test_body_and_feet_take_the_landmark_of_their_name():
    pose = inside(33)
    keypoints = from_holistic(result(pose=pose))
    for row, name in enumerate(KEYPOINT_NAMES[: FEET.stop]):
        name = name.replace("big_toe", "foot_index")
        if name.endswith("small_toe"):
            assert not keypoints[row].any()
        else:
            assert keypoints[row] == pytest.approx(pose[POSE_LANDMARKS.index(name)])
    assert not keypoints[FEET.stop :].any()


def test_landmark_names_match_mediapipe():
    from mediapipe.python.solutions.pose import PoseLandmark

    assert [mark.name.lower() for mark in PoseLandmark] == list(POSE_LANDMARKS)


def test_hands_keep_their_side_and_order():
    left, right = inside(21, seed=1), inside(21, seed=2)
    keypoints = from_holistic(result(left_hand=left, right_hand=right))
    assert np.allclose(keypoints[LEFT_HAND, :2], left[:, :2])
    assert np.allclose(keypoints[RIGHT_HAND, :2], right[:, :2])
    # Hands carry no visibility in mediapipe (the field reads 0): a hand that is there is there in full.
    assert (keypoints[LEFT_HAND.start :, 2] == 1).all()
    assert not keypoints[: LEFT_HAND.start].any()


@pytest.mark.parametrize("count", [468, 478])
def test_face_points_are_vertices_of_the_mesh(count):
    mesh = inside(count)
    keypoints = from_holistic(result(face=mesh))
    assert np.allclose(keypoints[FACE, :2], mesh[list(FACE_FROM_MESH), :2])
    assert (keypoints[FACE, 2] == 1).all()


def test_face_map_follows_mediapipes_contours():
    from mediapipe.python.solutions import face_mesh_connections as mesh

    def vertices(connections):
        return {i for edge in connections for i in edge}

    assert len(set(FACE_FROM_MESH)) == 68
    assert set(FACE_FROM_MESH[:17]) <= vertices(mesh.FACEMESH_FACE_OVAL)
    # iBUG goes from the person's right to the left.
    assert set(FACE_FROM_MESH[17:22]) <= vertices(mesh.FACEMESH_RIGHT_EYEBROW)
    assert set(FACE_FROM_MESH[22:27]) <= vertices(mesh.FACEMESH_LEFT_EYEBROW)
    assert set(FACE_FROM_MESH[27:31]) <= vertices(mesh.FACEMESH_NOSE)
    assert set(FACE_FROM_MESH[36:42]) <= vertices(mesh.FACEMESH_RIGHT_EYE)
    assert set(FACE_FROM_MESH[42:48]) <= vertices(mesh.FACEMESH_LEFT_EYE)
    assert set(FACE_FROM_MESH[48:68]) <= vertices(mesh.FACEMESH_LIPS)


def test_face_map_is_symmetric_on_the_mesh():
    """Mirrored points have mirrored neighbours: the mesh is symmetric, so distances in it agree."""
    from mediapipe.python.solutions.face_mesh_connections import FACEMESH_TESSELATION

    neighbours: dict[int, set[int]] = {}
    for a, b in FACEMESH_TESSELATION:
        neighbours.setdefault(a, set()).add(b)
        neighbours.setdefault(b, set()).add(a)

    def steps_from_chin(vertex):
        seen, front, steps = {152}, {152}, 0
        while vertex not in seen:
            front = {n for v in front for n in neighbours[v]} - seen
            seen |= front
            steps += 1
        return steps

    for i in range(68):
        other = MIRROR_PERMUTATION[FACE.start + i] - FACE.start
        assert steps_from_chin(FACE_FROM_MESH[i]) == steps_from_chin(FACE_FROM_MESH[other])


coordinate = st.floats(-0.5, 1.5, width=32)
score = st.floats(0, 1, width=32)


@settings(max_examples=30)
@given(st.data())
def test_any_result_gives_valid_keypoints_with_zeros_outside_the_picture(data):
    parts = {
        part: np.resize(
            data.draw(st.lists(st.tuples(coordinate, coordinate, score), min_size=5, max_size=5)), (count, 3)
        )
        for part, count in PARTS.items()
        if data.draw(st.booleans())
    }
    keypoints = from_holistic(result(**parts))
    validate(keypoints)
    assert ((keypoints >= 0) & (keypoints <= 1)).all()
    assert not keypoints[keypoints[:, 2] == 0].any()
    for part, rows in (("left_hand", LEFT_HAND), ("right_hand", RIGHT_HAND)):
        if part in parts:
            xy = parts[part][:, :2]
            seen = ((xy >= 0) & (xy <= 1)).all(axis=1)
            assert (keypoints[rows, 2] == seen).all()
        else:
            assert not keypoints[rows].any()
    if "pose" not in parts:
        assert not keypoints[BODY].any()


@pytest.mark.parametrize("part", PARTS)
def test_another_number_of_landmarks_is_refused(part):
    with pytest.raises(PoseError, match=f"^{part.replace('_', ' ')}: 20 landmarks: .*{PARTS[part]}"):
        from_holistic(result(**{part: inside(20)}))
