"""Identity features of the main face by ArcFace."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from benchmark.features.contract import FeatureError, FeatureSpec, FrameWindow, Side
from benchmark.features.sface import unit
from talkingpose.io.image import Image
from talkingpose.weights import find, read_member

MEMBER = "w600k_r50.onnx"
SIDE = 112
# Positions of the eyes, the nose and the corners of the mouth in the training pictures of ArcFace.
TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)


class ArcFace:
    """ArcFace of InsightFace's buffalo_l, for non-commercial use only."""

    spec = FeatureSpec(
        id="identity-arcface",
        version=1,
        definition=(
            "w600k_r50.onnx of InsightFace's buffalo_l. The main face (found by YuNet) is rotated, scaled "
            "and translated onto ArcFace's five points by least squares, 112x112, bilinear, RGB, (v - 127.5) "
            "/ 127.5. The 512 features are divided by their length."
        ),
        weights=("arcface",),
        features=("face",),
    )

    def __init__(self) -> None:
        import onnxruntime

        path = find("arcface", needed_by="csim-arcface")
        try:
            model = read_member(path, MEMBER)
            self._session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has no common class of errors
            raise FeatureError(
                f"arcface: {path.name} onnxruntime cannot read its {MEMBER}: "
                "tp-eval weights fetch arcface --accept-licence"
            ) from error
        self._input = self._session.get_inputs()[0].name

    def extract(self, window: FrameWindow, side: Side, back: int) -> npt.NDArray[np.float64] | None:
        """Return features of unit length, float64 (512,), None for a frame without a face."""
        face = window.feature("face", side, back)
        if face is None:
            return None
        aligned = align(window.image(side, back), face[4:14].reshape(5, 2))
        planes = ((aligned.astype(np.float32) - 127.5) / 127.5).transpose(2, 0, 1)[None]
        return unit(self._session.run(None, {self._input: planes})[0][0])


def align(image: Image, landmarks: npt.NDArray[np.float32]) -> Image:
    """Cut a face out of an RGB picture so that its landmarks (5, 2), in pixels, lie on `TEMPLATE`.

    Returns:
        uint8 (112, 112, 3); black beyond the border of the picture.
    """
    import cv2

    x, y = landmarks.astype(np.float64).T
    zero, one = np.zeros(5), np.ones(5)
    # Unknowns of [[a, -b, c], [b, a, d]]: rotation, scale and translation, without reflection.
    equations = np.concatenate([np.stack([x, -y, one, zero], 1), np.stack([y, x, zero, one], 1)])
    a, b, c, d = np.linalg.lstsq(equations, TEMPLATE.T.ravel(), rcond=None)[0]
    return np.asarray(cv2.warpAffine(image, np.array([[a, -b, c], [b, a, d]]), (SIDE, SIDE)), np.uint8)
