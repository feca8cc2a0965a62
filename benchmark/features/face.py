"""The main face of a frame: its box and five landmarks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from benchmark.features.feature import FeatureError, FeatureSpec
from talkingpose.weights import find

if TYPE_CHECKING:
    from benchmark.metrics.window import PairWindow, Side

SCORE_THRESHOLD = 0.6
NMS_THRESHOLD = 0.3
TOP_K = 5000


class FaceBox:
    """The largest face that YuNet finds."""

    spec = FeatureSpec(
        id="face",
        version=1,
        definition=(
            "YuNet (OpenCV FaceDetectorYN) on the whole frame at its size, score 0.6 or more, non-maximum "
            "suppression 0.3, top 5000; of several faces the one with the largest box."
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
                f"yunet: {path.name} is no network that OpenCV can read: tp-eval weights fetch yunet"
            ) from error

    def extract(self, window: PairWindow, side: Side, back: int) -> npt.NDArray[np.float32] | None:
        """Box (x, y, width, height), five landmarks and score: float32 (15,), pixels; None without a face."""
        image = window.image(side, back)
        self._detector.setInputSize((image.shape[1], image.shape[0]))
        # OpenCV's networks take BGR.
        _, faces = self._detector.detect(np.ascontiguousarray(image[:, :, ::-1]))
        if faces is None or not len(faces):
            return None
        largest = int(np.argmax(faces[:, 2] * faces[:, 3]))
        return np.array(faces[largest], np.float32)
