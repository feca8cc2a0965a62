"""Detector of people beside the main person, including backs, arms and heads at the edge."""

from __future__ import annotations

from typing import Any

import numpy as np

from curation.detect.measurements import BoolArray, Box
from talkingpose.io.image import Image

# Strips narrower than this share of the picture's width are too small to tell a person from the main one.
_MIN_STRIP = 0.08
_PERSON = 0.5  # threshold of mediapipe's mask, a probability


class Bystanders:
    """mediapipe's selfie segmentation on the strips to the left and right of the main person.

    On the whole picture the model sees only the main person.
    """

    def __init__(self) -> None:
        from mediapipe.python.solutions import selfie_segmentation

        self._model: Any = selfie_segmentation.SelfieSegmentation(model_selection=0)

    def __call__(self, image: Image, person: Box) -> float:
        """Area of other people as a share of the main person's box.

        Args:
            image: uint8 (H, W, 3) RGB.
            person: Box of the main person.
        """
        width = image.shape[1]
        margin = 0.05 * person.width
        left, right = round((person.x0 - margin) * width), round((person.x1 + margin) * width)
        pixels = 0
        for strip, inner in ((image[:, : max(left, 0)], -1), (image[:, min(right, width) :], 0)):
            if strip.shape[1] >= _MIN_STRIP * width:
                mask = self._model.process(np.ascontiguousarray(strip)).segmentation_mask > _PERSON
                pixels += _separate_pixels(mask, inner)
        return pixels / max(person.area * image.shape[0] * width, 1)

    def close(self) -> None:
        """Release the model."""
        self._model.close()


def _separate_pixels(mask: BoolArray, inner: int) -> int:
    """Count pixels of components that do not touch the inner edge; hair and clothes of the main person do."""
    import cv2

    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    touching = set(np.unique(np.asarray(labels)[:, inner]).tolist())
    return sum(int(stats[label, cv2.CC_STAT_AREA]) for label in range(1, count) if label not in touching)
