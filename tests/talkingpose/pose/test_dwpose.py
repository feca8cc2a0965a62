"""DWPose through rtmlib and onnxruntime as they are, with small models in the format of the real ones."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from dwpose_stand_ins import CHAIR, write_detector, write_pose

from talkingpose.pose import DWPoseEstimator, PoseError, PoseEstimator, validate
from talkingpose.pose.dwpose import _choose

PERSON = 0


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("dwpose")
    # A chair stands where it is larger than the person; 640 x 480 pixels of the square hold a 4:3 picture.
    boxes = [(240.0, 240.0, 160.0, 300.0, PERSON), (500.0, 300.0, 250.0, 350.0, CHAIR)]
    return write_detector(folder / "yolox_l.onnx", boxes), write_pose(folder / "pose.onnx")


def picture(x: float, y: float, *, width: int = 320, height: int = 240) -> np.ndarray:
    """Grey, with one spot of blue at a place in [0, 1]."""
    image = np.full((height, width, 3), 40, np.uint8)
    column, row = round(x * width), round(y * height)
    image[row - 2 : row + 3, column - 2 : column + 3] = (0, 0, 255)
    return image


def test_points_are_found_where_they_are_in_the_picture(models):
    estimator: PoseEstimator = DWPoseEstimator(*models)
    for x, y in ((0.4, 0.5), (0.35, 0.7)):
        keypoints = estimator(picture(x, y))
        validate(keypoints)
        assert keypoints.shape == (133, 3) and keypoints.dtype == np.float32
        # The model finds the first brightest of half a pixel's steps, the spot's nearer edge.
        assert np.abs(keypoints[:, :2] - (x, y)).max() < 0.015
        assert (keypoints[:, 2] > 0.5).all() and (keypoints[:, 2] <= 1).all()
    estimator.close()


def test_channel_order(models):
    with DWPoseEstimator(*models) as estimator:
        blue, red = estimator(picture(0.4, 0.5)), estimator(picture(0.4, 0.5)[..., ::-1])
    assert blue[0, 2] > red[0, 2] + 0.3


def test_no_person_gives_no_point(models):
    with DWPoseEstimator(*models) as estimator:
        assert not estimator(np.zeros((240, 320, 3), np.uint8)).any()


def test_other_classes_are_ignored(models, tmp_path):
    detector = write_detector(tmp_path / "chair.onnx", [(300.0, 240.0, 200.0, 300.0, CHAIR)])
    with DWPoseEstimator(detector, models[1]) as estimator:
        assert not estimator(picture(0.4, 0.5)).any()


def test_the_person_is_followed_not_the_largest_box():
    boxes = np.array([[0, 0, 10, 20], [50, 0, 70, 30]], np.float32)
    first = _choose(boxes, None)
    assert first is not None and first[0] == 50
    grown = np.array([[0, 0, 40, 40], [52, 1, 71, 30]], np.float32)
    assert _choose(grown, first)[0] == 52
    gone = np.array([[0, 0, 40, 40]], np.float32)
    assert _choose(gone, first)[0] == 0
    assert _choose(np.empty((0, 4), np.float32), first) is None


def test_models_use_one_thread_and_version_names_them(models, tmp_path):
    estimator = DWPoseEstimator(*models)
    for tool in (estimator._models.detector, estimator._models.pose):
        assert tool.session.get_session_options().intra_op_num_threads == 1
    other = DWPoseEstimator(write_detector(tmp_path / "yolox_l.onnx", []), models[1])
    assert "rtmlib" in estimator.version and estimator.version != other.version


def test_a_model_that_is_not_there_is_not_downloaded(models, tmp_path, monkeypatch):
    monkeypatch.setattr("rtmlib.tools.base.download_checkpoint", lambda *a, **k: pytest.fail("network"))
    with pytest.raises(PoseError, match=r"no such file: tp-eval weights fetch dwpose-detector dwpose"):
        DWPoseEstimator(tmp_path / "missing.onnx", models[1])


def test_invalid_models_are_refused(models, tmp_path):
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(PoseError, match=r"text\.onnx: onnxruntime cannot read it"):
        DWPoseEstimator(tmp_path / "text.onnx", models[1])
    with (
        DWPoseEstimator(models[0], write_pose(tmp_path / "body.onnx", points=17)) as estimator,
        pytest.raises(PoseError, match=r"\(1, 17, 576\)"),
    ):
        estimator(picture(0.4, 0.5))


def test_closed_estimator_and_invalid_image(models):
    estimator = DWPoseEstimator(*models)
    with pytest.raises(PoseError, match="uint8"):
        estimator(picture(0.4, 0.5).astype(np.float32))
    estimator.close()
    with pytest.raises(PoseError, match="closed"):
        estimator(picture(0.4, 0.5))
