"""Square crop of the face in each frame of a clip, placed by its keypoints."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from talkingpose.io.image import Image
from talkingpose.pose.keypoints import FACE, PoseError

FACE_SIDE = 512
# Points below this confidence are ignored.
_CONFIDENCE = 0.3
# Of the 68 points of a face.
_MIN_POINTS = 34
_MARGIN = 1.5


class FaceCrop:
    """Square crop of the face, of one size over the whole clip.

    The centre of a crop is the centre of the bounding box of the 68 face points of its frame. The side is
    1.5 times the median over the clip of the longer side of that box, in pixels. A frame with fewer than 34
    points of confidence 0.3 uses the centre of the frame before it, or of the first frame with a face. Pixels
    outside the frame are black. The crop is resampled linearly to 512x512 pixels.

    Args:
        keypoints: of the clip, floating point (T, 133, 3): x, y in [0, 1] of the frame, confidence.
        height, width: of the frames in pixels.

    Raises:
        PoseError: no frame shows a face.
    """

    def __init__(self, keypoints: npt.NDArray[Any], height: int, width: int) -> None:
        centres: list[npt.NDArray[np.float64] | None] = []
        sides = []
        for points in keypoints[:, FACE].astype(np.float64):
            seen = points[points[:, 2] >= _CONFIDENCE, :2] * (width, height)
            if len(seen) < _MIN_POINTS:
                centres.append(centres[-1] if centres else None)
                continue
            low, high = seen.min(axis=0), seen.max(axis=0)
            centres.append((low + high) / 2)
            sides.append(float((high - low).max()))
        first = next((centre for centre in centres if centre is not None), None)
        side = _MARGIN * float(np.median(sides)) if sides else 0.0
        if first is None or side < 1:
            raise PoseError("face crop: no frame shows the points of a face: use whole frames")
        self._centres = [first if centre is None else centre for centre in centres]
        self._side = side

    def crop(self, image: Image, index: int) -> Image:
        """Return the crop of a frame.

        Args:
            image: uint8 RGB (height, width, 3).
            index: number of the frame in the clip, from 0.

        Returns:
            uint8 RGB (512, 512, 3).
        """
        import cv2

        scale = FACE_SIDE / self._side
        x, y = self._centres[index]
        # Centres of pixels lie at half coordinates.
        place = np.array(
            [[scale, 0, FACE_SIDE / 2 - scale * x], [0, scale, FACE_SIDE / 2 - scale * y]], np.float64
        )
        place[:, 2] += (scale - 1) / 2
        return np.asarray(cv2.warpAffine(image, place, (FACE_SIDE, FACE_SIDE)), np.uint8)
