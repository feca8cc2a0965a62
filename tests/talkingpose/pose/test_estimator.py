from __future__ import annotations

import os
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from talkingpose.pose import (
    FACE,
    KEYPOINT_NAMES,
    LEFT_HAND,
    RIGHT_HAND,
    HolisticEstimator,
    PoseError,
    PoseEstimator,
    validate,
)
from talkingpose.pose.estimator import quiet_stderr

FOOTAGE = Path(__file__).parents[4] / "shared" / "footage"
TALK = FOOTAGE / "upper_body_hands" / "stage_talk_1.mp4"
RENDER = FOOTAGE / "pose_renders" / "stage_talk_1.mp4"
needs_footage = pytest.mark.skipif(not TALK.is_file(), reason="needs ../shared/footage, which is not here")
BLANK = np.zeros((120, 160, 3), np.uint8)


def read_frames(path: Path, count: int) -> list[np.ndarray]:
    import av

    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in islice(container.decode(video=0), count)]


def estimate(frames: list[np.ndarray], **options) -> np.ndarray:
    with HolisticEstimator(**options) as estimator:
        return np.stack([estimator(frame) for frame in frames])


def test_blank_frame_has_no_keypoints():
    estimator: PoseEstimator = HolisticEstimator()
    for _ in range(2):
        keypoints = estimator(BLANK)
        assert keypoints.shape == (133, 3)
        assert keypoints.dtype == np.float32
        assert not keypoints.any()
    estimator.close()


def test_version_depends_on_the_settings():
    import mediapipe

    stream, static = HolisticEstimator(), HolisticEstimator(static_image_mode=True)
    assert stream.name == "mediapipe-holistic"
    assert stream.version.startswith(mediapipe.__version__)
    assert stream.version != static.version


def test_mediapipes_log_stays_off_stderr(capfd):
    estimate([BLANK])
    assert capfd.readouterr().err == ""


def test_other_lines_on_stderr_are_passed_on(capfd):
    with quiet_stderr():
        os.write(2, b"W0000 00:00:1795448285.211432   27011 some_calculator.cc:186] Using NORM_RECT\n")
        os.write(2, b"E0000 00:00:1795448285.211432   27011 some_calculator.cc:186] no model\n")
        os.write(2, b"progress 10 %")
    os.write(2, b", 20 %\n")
    err = capfd.readouterr().err
    assert err == (
        "E0000 00:00:1795448285.211432   27011 some_calculator.cc:186] no model\nprogress 10 %, 20 %\n"
    )


def test_stderr_comes_back_after_an_error(capfd):
    with pytest.raises(RuntimeError), quiet_stderr():
        raise RuntimeError("broken")
    os.write(2, b"still here\n")
    assert capfd.readouterr().err == "still here\n"


def test_closed_estimator_refuses_frames():
    with HolisticEstimator() as estimator:
        estimator(BLANK)
    estimator.close()
    with pytest.raises(PoseError, match="closed"):
        estimator(BLANK)


def test_a_failure_of_mediapipe_is_one_line(monkeypatch):
    from mediapipe.python.solutions import holistic

    class Broken:
        def __init__(self, **options):
            pass

        def process(self, image):
            raise RuntimeError("Graph has errors:\nno memory")

        def close(self):
            raise RuntimeError("Graph has errors")

    monkeypatch.setattr(holistic, "Holistic", Broken)
    with HolisticEstimator() as estimator:
        with pytest.raises(PoseError, match=r"^mediapipe: Graph has errors: no memory: check") as caught:
            estimator(BLANK)
        assert "\n" not in str(caught.value)
        with pytest.raises(PoseError, match="closed"):
            estimator(BLANK)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (BLANK.astype(np.float32), "float32: give a uint8"),
        (BLANK[..., 0], r"shape \(120, 160\)"),
        (np.zeros((8, 8, 4), np.uint8), r"shape \(8, 8, 4\)"),
        (np.zeros((0, 8, 3), np.uint8), r"shape \(0, 8, 3\)"),
        ("frame.png", "str: give a uint8"),
    ],
)
def test_invalid_image_is_refused(image, message):
    with HolisticEstimator() as estimator, pytest.raises(PoseError, match=f"^frame: {message}"):
        estimator(image)


def test_size_is_fixed_except_in_static_mode():
    other = np.zeros((64, 64, 3), np.uint8)
    with HolisticEstimator() as estimator:
        estimator(BLANK)
        with pytest.raises(PoseError, match="64x64 after 160x120"):
            estimator(other)
        estimator(BLANK)
    assert not estimate([BLANK, other], static_image_mode=True).any()


@pytest.mark.parametrize(("complexity", "message"), [(3, "choose 0, 1 or 2"), (-1, "choose 0, 1 or 2")])
def test_no_such_model_complexity(complexity, message):
    with pytest.raises(PoseError, match=message):
        HolisticEstimator(model_complexity=complexity)


def test_a_model_that_mediapipe_lacks_is_not_downloaded(tmp_path, monkeypatch):
    import mediapipe

    monkeypatch.setattr(mediapipe, "__file__", str(tmp_path / "__init__.py"))
    with pytest.raises(PoseError, match=r"pose_landmark_heavy\.tflite: choose 1"):
        HolisticEstimator(model_complexity=2)


@needs_footage
def test_real_frames_agree_with_dwpose(capfd):
    frames, renders = read_frames(TALK, 8), read_frames(RENDER, 8)
    # Blank first, because mediapipe logs at the first face.
    keypoints = estimate([np.zeros_like(frames[0]), *frames])[1:]
    assert capfd.readouterr().err == ""
    validate(keypoints)
    assert (keypoints[:, FACE, 2] == 1).all()
    points = dict(zip(KEYPOINT_NAMES, keypoints[-1, :, 0], strict=True))
    assert points["right_shoulder"] < points["left_shoulder"]  # she faces the camera
    for side, hand in (("left", LEFT_HAND), ("right", RIGHT_HAND)):
        wrist = keypoints[:, KEYPOINT_NAMES.index(f"{side}_wrist"), :2]
        other = keypoints[:, KEYPOINT_NAMES.index({"left": "right", "right": "left"}[side] + "_wrist"), :2]
        seen = keypoints[:, hand.start, 2] == 1
        assert seen.sum() >= 4
        root = keypoints[:, hand.start, :2]
        near, far = np.linalg.norm(root - wrist, axis=1), np.linalg.norm(root - other, axis=1)
        assert (near < far)[seen].all()
    # DWPose draws the face as white discs and the hands as blue ones.
    white = np.array([(render > 200).all(axis=2) for render in renders])
    blue = np.array([(render[..., 2] > 180) & (render[..., :2] < 90).all(axis=2) for render in renders])
    for part, discs in ((FACE, white), (LEFT_HAND, blue), (RIGHT_HAND, blue)):
        assert median_distance(keypoints[:, part], discs) < 4


def median_distance(keypoints: np.ndarray, masks: np.ndarray) -> float:
    """Median distance of the present points to the nearest pixel of their frame's mask, in pixels."""
    import cv2

    distances = []
    for points, mask in zip(keypoints, masks, strict=True):
        to_mask = cv2.distanceTransform(np.uint8(~mask), cv2.DIST_L2, 5)
        x, y = (points[points[:, 2] > 0, :2] * mask.shape[::-1]).astype(int).T
        distances.append(to_mask[y, x])
    return float(np.median(np.concatenate(distances)))


@needs_footage
def test_same_frames_give_same_keypoints():
    frames = read_frames(TALK, 3)
    np.testing.assert_array_equal(estimate(frames), estimate(frames))
    single = estimate(frames[1:], static_image_mode=True)
    np.testing.assert_array_equal(single[1], estimate(frames[2:])[0])
