"""DWPose (Yang et al., ICCV 2023 workshops): person detector and whole-body model in ONNX, with rtmlib.

The models are those of `yzd-v/DWPose`. `yolox_l.onnx` returns (1, 8400, 85) raw boxes and scores of COCO's 80
classes for a picture of 640 x 640. `dw-ll_ucoco_384.onnx` returns SimCC of 133 points, (1, 133, 576) along x
and (1, 133, 768) along y, for a picture of 288 x 384. Files are given by path and never downloaded.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from importlib.metadata import version as release
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from talkingpose.io.image import Image
from talkingpose.pose.estimator import check_image
from talkingpose.pose.keypoints import NUM_KEYPOINTS, PoseError

_DETECTOR_SIZE = (640, 640)
_POSE_SIZE = (288, 384)
_PERSON = 0  # COCO class
# Values of DWPose's `cv_ox_det.py`.
_MIN_BOX_SCORE, _BOX_OVERLAP = 0.3, 0.45
# Below this overlap with the previous frame's box, a box is another person, or follows a cut.
_SAME_PERSON = 0.3

Box = npt.NDArray[np.float32]


class DWPoseEstimator:
    """DWPose as a `PoseEstimator`, on one CPU thread.

    Frames are processed independently, except for the choice of the person: first the largest, then the one
    with the largest overlap with the previous box, so that a passer-by does not take over. Use one instance
    per video.

    Args:
        detector: path of `yolox_l.onnx`.
        pose: path of `dw-ll_ucoco_384.onnx`.

    Raises:
        PoseError: a file is missing, or onnxruntime cannot read it.
    """

    name = "dwpose"

    def __init__(self, detector: Path, pose: Path) -> None:
        self._models: _Models | None = _models(detector, pose)
        self.version = self._models.version
        self._last: Box | None = None

    def __call__(self, image: Image) -> npt.NDArray[np.float32]:
        """Estimate the keypoints of the person.

        Args:
            image: RGB, uint8 (H, W, 3).

        Returns:
            float32 (133, 3): x, y in [0, 1], confidence in [0, 1] (the smaller of the peaks along x and y).
            Zeros for points outside the picture; all zeros without a person.

        Raises:
            PoseError: the estimator is closed, `image` is invalid, or a model is not DWPose's.
        """
        if self._models is None:
            raise PoseError("pose estimator: closed: create one per video")
        check_image(image)
        bgr = np.ascontiguousarray(image[..., ::-1])  # input format of both models
        box = _choose(self._models.boxes(bgr), self._last)
        if box is None:
            return np.zeros((NUM_KEYPOINTS, 3), np.float32)
        self._last = box
        return _normalised(*self._models.points(bgr, box), image.shape[1], image.shape[0])

    def close(self) -> None:
        """Release the estimator; the models stay loaded for the next video of this process."""
        self._models = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True)
class _Models:
    """Detector and pose model; stateless."""

    detector: Any
    pose: Any
    version: str

    def boxes(self, bgr: Image) -> npt.NDArray[np.float32]:
        """Detect persons: float32 (N, 4), xyxy in pixels."""
        padded, ratio = self.detector.preprocess(bgr)
        (raw, *_) = self.detector.inference(padded)
        if raw.ndim != 3 or raw.shape[2] != 85:
            raise PoseError(f"dwpose: the detector returns {_shapes(raw)}: give DWPose's yolox_l.onnx")
        boxes, classes = self.detector.postprocess(raw, ratio)
        # rtmlib returns objects of every class.
        is_person: npt.NDArray[np.bool_] = np.asarray(classes) == _PERSON
        return np.asarray(boxes, np.float32).reshape(-1, 4)[is_person]

    def points(self, bgr: Image, box: Box) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Estimate points (133, 2) in pixels and their confidence (133,)."""
        picture, centre, scale = self.pose.preprocess(bgr, box)
        output = self.pose.inference(picture)
        width, height = _POSE_SIZE
        expected = [(1, NUM_KEYPOINTS, 2 * width), (1, NUM_KEYPOINTS, 2 * height)]
        if [part.shape for part in output] != expected:
            raise PoseError(f"dwpose: the pose model returns {_shapes(*output)}: give dw-ll_ucoco_384.onnx")
        points, _ = self.pose.postprocess(output, centre, scale)
        # As DWPose; rtmlib takes the mean of both peaks.
        confidence = np.minimum(*(part[0].max(axis=1) for part in output))
        return points[0].astype(np.float64), confidence.astype(np.float64)


@functools.lru_cache(maxsize=1)
def _models(detector: Path, pose: Path) -> _Models:
    """Load both models once per process."""
    from rtmlib import YOLOX, RTMPose

    for path in (detector, pose):
        if not path.is_file():  # rtmlib would try to download it
            raise PoseError(f"dwpose: {path}: no such file: tp-eval weights fetch dwpose-detector dwpose")
    finder = _model(
        YOLOX, detector, _DETECTOR_SIZE, det_mode="multiclass", score_thr=_MIN_BOX_SCORE, nms_thr=_BOX_OVERLAP
    )
    estimator = _model(RTMPose, pose, _POSE_SIZE)
    digests = " ".join(f"{path.name}={_digest(path)}" for path in (detector, pose))
    return _Models(
        finder, estimator, f"rtmlib {release('rtmlib')} onnxruntime {release('onnxruntime')} {digests}"
    )


def _model(kind: Any, path: Path, size: tuple[int, int], **options: Any) -> Any:
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    settings.log_severity_level = 3
    try:
        model = kind(str(path), model_input_size=size, backend="onnxruntime", device="cpu", **options)
        # rtmlib has no option for the number of threads and uses all.
        model.session = onnxruntime.InferenceSession(str(path), settings, ["CPUExecutionProvider"])
    except Exception as error:  # the errors of onnxruntime have no common base class
        reason = " ".join(str(error).split())[:200]
        raise PoseError(f"dwpose: {path}: onnxruntime cannot read it ({reason}): fetch it again") from error
    return model


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


def _choose(boxes: npt.NDArray[np.float32], last: Box | None) -> Box | None:
    """Return the box of the person to follow, None without a person."""
    if not len(boxes):
        return None
    if last is not None:
        overlaps = np.array([_overlap(box, last) for box in boxes])
        if overlaps.max() >= _SAME_PERSON:
            return np.asarray(boxes[int(overlaps.argmax())], np.float32)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return np.asarray(boxes[int(areas.argmax())], np.float32)


def _overlap(a: Box, b: Box) -> float:
    """Return the intersection over union of two boxes, xyxy."""
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    intersection = float(np.prod(np.clip(high - low, 0, None)))
    union = float(np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2])) - intersection
    return intersection / union if union > 0 else 0.0


def _normalised(
    points: npt.NDArray[np.float64], confidence: npt.NDArray[np.float64], width: int, height: int
) -> npt.NDArray[np.float32]:
    xy = points / (width, height)
    seen = ((xy >= 0) & (xy <= 1)).all(axis=1) & (confidence > 0)
    keypoints = np.column_stack([xy, np.clip(confidence, 0, 1)])
    return np.where(seen[:, None], keypoints, 0).astype(np.float32)


def _shapes(*arrays: npt.NDArray[Any]) -> str:
    return " and ".join(str(array.shape) for array in arrays)
