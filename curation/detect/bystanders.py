"""People beside the main person, also where their faces cannot be seen: heads at the edge, backs, arms."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from curation.detect.measurements import Box

# Narrower strips, as shares of the picture's width, hold nobody who could be told from the main person.
_MIN_STRIP = 0.08
_PERSON = 0.5  # mediapipe's mask is a probability


class Bystanders:
    """mediapipe's selfie segmentation on what lies to the left and to the right of the main person.

    On the whole picture it sees the main person alone; on a strip without that one it sees whoever is there.
    """

    def __init__(self) -> None:
        from mediapipe.python.solutions import selfie_segmentation

        self._model: Any = selfie_segmentation.SelfieSegmentation(model_selection=0)

    def __call__(self, image: npt.NDArray[np.uint8], person: Box) -> float:
        """Area of other people as a share of the main person's box.

        Args:
            image: uint8 (H, W, 3) RGB.
            person: the main person.
        """
        width = image.shape[1]
        margin = 0.05 * person.width
        left, right = round((person.x0 - margin) * width), round((person.x1 + margin) * width)
        pixels = 0
        for strip, inner in ((image[:, : max(left, 0)], -1), (image[:, min(right, width) :], 0)):
            if strip.shape[1] >= _MIN_STRIP * width:
                mask = self._model.process(np.ascontiguousarray(strip)).segmentation_mask > _PERSON
                pixels += _apart(mask, inner)
        return pixels / max(person.area * image.shape[0] * width, 1)

    def close(self) -> None:
        """Release the model."""
        self._model.close()


def _apart(mask: npt.NDArray[np.bool_], inner: int) -> int:
    """Pixels of the mask's parts that do not touch its inner edge: hair and clothes of the main person do."""
    import cv2

    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    touching = set(np.unique(np.asarray(labels)[:, inner]).tolist())
    return sum(int(stats[label, cv2.CC_STAT_AREA]) for label in range(1, count) if label not in touching)
