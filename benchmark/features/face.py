"""Box and five landmarks of the main face of a frame."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from benchmark.features.contract import FeatureError, FeatureSpec, FrameWindow, Side
from talkingpose.weights import find

SCORE_THRESHOLD = 0.6
NMS_THRESHOLD = 0.3
TOP_K = 5000


class FaceBox:
    """Largest face that YuNet detects."""

    spec = FeatureSpec(
        id="face",
        version=1,
        definition=(
            "YuNet (OpenCV FaceDetectorYN) on the whole frame at its size; score threshold 0.6, non-maximum "
            "suppression 0.3, top 5000. Of several faces, the one with the largest box."
        ),
        weights=("yunet",),
    )

    def __init__(self) -> None:
        import cv2

        path = find("yunet", needed_by="the face detector")
        try:
            self._detector = cv2.FaceDetectorYN.create(
                str(path), "", (320, 320), SCORE_THRESHOLD, NMS_THRESHOLD, TOP_K
            )
        except cv2.error as error:
            raise FeatureError(
                f"yunet: {path.name} OpenCV cannot read it: tp-eval weights fetch yunet"
            ) from error

    def extract(self, window: FrameWindow, side: Side, back: int) -> npt.NDArray[np.float32] | None:
        """Return x, y, width, height, landmarks and score: float32 (15,), pixels; None without a face."""
        image = window.image(side, back)
        self._detector.setInputSize((image.shape[1], image.shape[0]))
        # OpenCV's networks take BGR.
        _, faces = self._detector.detect(np.ascontiguousarray(image[:, :, ::-1]))
        if faces is None or not len(faces):
            return None
        largest = int(np.argmax(faces[:, 2] * faces[:, 3]))
        return np.array(faces[largest], np.float32)
