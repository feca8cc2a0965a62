"""DWPose (Yang et al., ICCV 2023 workshops): a person detector and a whole-body model in ONNX, by rtmlib.

The models are those of `yzd-v/DWPose`: `yolox_l.onnx` gives (1, 8400, 85) raw boxes and scores of COCO's 80
classes for a picture of 640 x 640, `dw-ll_ucoco_384.onnx` gives SimCC of 133 points, (1, 133, 576) along x
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

from talkingpose.pose.estimator import check_picture
from talkingpose.pose.keypoints import NUM_KEYPOINTS, PoseError

_DETECTOR_SIZE = (640, 640)
_POSE_SIZE = (288, 384)
_PERSON = 0  # of COCO's classes
# Those of DWPose's own `cv_ox_det.py`.
_MIN_BOX_SCORE, _BOX_OVERLAP = 0.3, 0.45
# A box that overlaps that of the frame before by less is another person, or the same after a cut.
_SAME_PERSON = 0.3

Box = npt.NDArray[np.float32]


class DWPoseEstimator:
    """DWPose as a `PoseEstimator`, on one thread of the CPU.

    Every frame is looked at by itself, but for the choice of the person: the largest one, and from then on
    the one whose box overlaps the last one's most, so that nobody who walks by takes over. An instance
    belongs to one video.

    Args:
        detector: path of `yolox_l.onnx`.
        pose: path of `dw-ll_ucoco_384.onnx`.

    Raises:
        PoseError: a file is missing, or no model that onnxruntime can read.
    """

    name = "dwpose"

    def __init__(self, detector: Path, pose: Path) -> None:
        self._models: _Models | None = _models(detector, pose)
        self.version = self._models.version
        self._last: Box | None = None

    def __call__(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Find the person's keypoints.

        Args:
            image: RGB, uint8 (H, W, 3).

        Returns:
            float32 (133, 3): x, y in [0, 1], confidence in [0, 1], the smaller of the peaks along x and y;
            all zeros where no person is found, and zeros for a point outside the picture.

        Raises:
            PoseError: closed, not such a picture, or a model that answers in another shape than DWPose's.
        """
        if self._models is None:
            raise PoseError("pose estimator: closed: make a new one for each video")
        check_picture(image)
        bgr = np.ascontiguousarray(image[..., ::-1])  # as DWPose feeds both models
        box = _choose(self._models.boxes(bgr), self._last)
        if box is None:
            return np.zeros((NUM_KEYPOINTS, 3), np.float32)
        self._last = box
        return _normalised(*self._models.points(bgr, box), image.shape[1], image.shape[0])

    def close(self) -> None:
        """Forget the person; the models stay loaded for the next video of this process."""
        self._models = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True)
class _Models:
    """The two models, which remember nothing from picture to picture."""

    detector: Any
    pose: Any
    version: str

    def boxes(self, bgr: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Persons, float32 (N, 4), xyxy in pixels."""
        padded, ratio = self.detector.preprocess(bgr)
        (raw, *_) = self.detector.inference(padded)
        if raw.ndim != 3 or raw.shape[2] != 85:
            raise PoseError(f"dwpose: the detector answers {_shapes(raw)}: give DWPose's yolox_l.onnx")
        boxes, classes = self.detector.postprocess(raw, ratio)
        # Without the class, rtmlib would give a chair as a person.
        people: npt.NDArray[np.bool_] = np.asarray(classes) == _PERSON
        return np.asarray(boxes, np.float32).reshape(-1, 4)[people]

    def points(
        self, bgr: npt.NDArray[np.uint8], box: Box
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Points (133, 2) in pixels, and their confidence (133,)."""
        picture, centre, scale = self.pose.preprocess(bgr, box)
        answer = self.pose.inference(picture)
        width, height = _POSE_SIZE
        expected = [(1, NUM_KEYPOINTS, 2 * width), (1, NUM_KEYPOINTS, 2 * height)]
        if [part.shape for part in answer] != expected:
            raise PoseError(f"dwpose: the pose model answers {_shapes(*answer)}: give dw-ll_ucoco_384.onnx")
        points, _ = self.pose.postprocess(answer, centre, scale)
        # rtmlib takes the mean of both peaks, DWPose itself the smaller one.
        confidence = np.minimum(*(part[0].max(axis=1) for part in answer))
        return points[0].astype(np.float64), confidence.astype(np.float64)


@functools.lru_cache(maxsize=1)
def _models(detector: Path, pose: Path) -> _Models:
    """Load both models once per process."""
    from rtmlib import YOLOX, RTMPose

    for path in (detector, pose):
        if not path.is_file():  # rtmlib would try to download it
            raise PoseError(f"dwpose: {path}: no such file: tp-eval weights fetch dwpose-detector dwpose")
    finder = _tool(
        YOLOX, detector, _DETECTOR_SIZE, det_mode="multiclass", score_thr=_MIN_BOX_SCORE, nms_thr=_BOX_OVERLAP
    )
    estimator = _tool(RTMPose, pose, _POSE_SIZE)
    digests = " ".join(f"{path.name}={_digest(path)}" for path in (detector, pose))
    return _Models(
        finder, estimator, f"rtmlib {release('rtmlib')} onnxruntime {release('onnxruntime')} {digests}"
    )


def _tool(kind: Any, path: Path, size: tuple[int, int], **options: Any) -> Any:
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    settings.log_severity_level = 3
    try:
        tool = kind(str(path), model_input_size=size, backend="onnxruntime", device="cpu", **options)
        # rtmlib cannot be told how many threads to take, and would take all.
        tool.session = onnxruntime.InferenceSession(str(path), settings, ["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has no common class of its errors
        reason = " ".join(str(error).split())[:200]
        raise PoseError(f"dwpose: {path}: onnxruntime cannot read it ({reason}): fetch it again") from error
    return tool


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


def _choose(boxes: npt.NDArray[np.float32], last: Box | None) -> Box | None:
    """The box of the person to follow; None where there is nobody."""
    if not len(boxes):
        return None
    if last is not None:
        overlaps = np.array([_overlap(box, last) for box in boxes])
        if overlaps.max() >= _SAME_PERSON:
            return np.asarray(boxes[int(overlaps.argmax())], np.float32)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return np.asarray(boxes[int(areas.argmax())], np.float32)


def _overlap(a: Box, b: Box) -> float:
    """Intersection over union of two boxes, xyxy."""
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    common = float(np.prod(np.clip(high - low, 0, None)))
    union = float(np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2])) - common
    return common / union if union > 0 else 0.0


def _normalised(
    points: npt.NDArray[np.float64], confidence: npt.NDArray[np.float64], width: int, height: int
) -> npt.NDArray[np.float32]:
    xy = points / (width, height)
    seen = ((xy >= 0) & (xy <= 1)).all(axis=1) & (confidence > 0)
    keypoints = np.column_stack([xy, np.clip(confidence, 0, 1)])
    return np.where(seen[:, None], keypoints, 0).astype(np.float32)


def _shapes(*arrays: npt.NDArray[Any]) -> str:
    return " and ".join(str(array.shape) for array in arrays)
