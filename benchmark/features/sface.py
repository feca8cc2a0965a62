"""Identity features of the main face, by SFace."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from benchmark.features.feature import FeatureError, FeatureSpec
from talkingpose.weights import find

if TYPE_CHECKING:
    from benchmark.metrics.window import PairWindow, Side


class SFace:
    """SFace through OpenCV, which aligns the face by its five landmarks."""

    spec = FeatureSpec(
        id="identity-sface",
        version=1,
        definition=(
            "SFace (OpenCV FaceRecognizerSF) of the main face, aligned by its alignCrop to 112x112: 128 "
            "features, divided by their length."
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
                f"sface: {path.name} is no network that OpenCV can read: tp-eval weights fetch sface"
            ) from error

    def extract(self, window: PairWindow, side: Side, back: int) -> npt.NDArray[np.float64] | None:
        """Features of unit length, float64 (128,); None where the frame has no face."""
        face = window.feature("face", side, back)
        if face is None:
            return None
        image = np.ascontiguousarray(window.image(side, back)[:, :, ::-1])
        aligned = self._network.alignCrop(image, face)
        return unit(self._network.feature(aligned)[0])


def unit(features: npt.NDArray[np.float32]) -> npt.NDArray[np.float64] | None:
    """Features divided by their length; None where they have none."""
    exact = features.astype(np.float64)
    length = float(np.linalg.norm(exact))
    return exact / length if np.isfinite(length) and length > 0 else None
