"""Identity features of the main face by SFace."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from benchmark.features.contract import FeatureError, FeatureSpec, FrameWindow, Side
from talkingpose.weights import find


class SFace:
    """SFace by OpenCV, which aligns the face by its five landmarks."""

    spec = FeatureSpec(
        id="identity-sface",
        version=1,
        definition=(
            "SFace (OpenCV FaceRecognizerSF) of the main face, aligned by its alignCrop to 112x112. The 128 "
            "features are divided by their length."
        ),
        weights=("sface",),
        features=("face",),
    )

    def __init__(self) -> None:
        import cv2

        path = find("sface", needed_by="csim")
        try:
            self._network = cv2.FaceRecognizerSF.create(str(path), "")
        except cv2.error as error:
            raise FeatureError(
                f"sface: {path.name} OpenCV cannot read it: tp-eval weights fetch sface"
            ) from error

    def extract(self, window: FrameWindow, side: Side, back: int) -> npt.NDArray[np.float64] | None:
        """Return features of unit length, float64 (128,), None for a frame without a face."""
        face = window.feature("face", side, back)
        if face is None:
            return None
        image = np.ascontiguousarray(window.image(side, back)[:, :, ::-1])
        aligned = self._network.alignCrop(image, face)
        return unit(self._network.feature(aligned)[0])


def unit(features: npt.NDArray[np.float32]) -> npt.NDArray[np.float64] | None:
    """Return features divided by their length, None where the length is zero or not finite."""
    exact = features.astype(np.float64)
    length = float(np.linalg.norm(exact))
    return exact / length if np.isfinite(length) and length > 0 else None
