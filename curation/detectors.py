"""The models that look at frames, behind two calls: one for samples, one for every frame of a clip."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from curation.measurement import Box
from talkingpose.pose import PoseEstimator

Image = npt.NDArray[np.uint8]
Keypoints = npt.NDArray[np.float32]

# mediapipe's default for both of its face detectors.
_MIN_FACE_SCORE = 0.5
_SHORT_RANGE, _FULL_RANGE = 0, 1


class Analyser(Protocol):
    """Looks at single frames of one video, in order."""

    def __call__(self, image: Image) -> tuple[tuple[Box, ...], Keypoints | None]:
        """Faces and the main person's keypoints (133, 3), None where nobody was searched.

        `image` is uint8 (H, W, 3) RGB.
        """

    def close(self) -> None:
        """Release the models."""


@dataclass(frozen=True)
class Detectors:
    """How to make the models, each anew per video or clip; every part can be pickled.

    `versions` names what changes their answers.
    """

    analyser: Callable[[], Analyser]
    estimator: Callable[[], PoseEstimator]
    versions: Callable[[], Mapping[str, str]]


class MediapipeAnalyser:
    """Faces first, by two detectors; body, face and hands only where one of them sees a face.

    The short-range detector misses faces farther than two metres away, the full-range one close and tilted
    ones; together they see nearly all. Only the full-range one counts faces: the other one sees faces in
    prints and folds of clothes. Whether a face is one is decided by the landmarks, not here.
    """

    def __init__(self) -> None:
        from mediapipe.python.solutions import face_detection, holistic

        self._near, self._far = (
            face_detection.FaceDetection(model_selection=model, min_detection_confidence=_MIN_FACE_SCORE)
            for model in (_SHORT_RANGE, _FULL_RANGE)
        )
        self._holistic = holistic.Holistic(static_image_mode=True, model_complexity=1)

    def __call__(self, image: Image) -> tuple[tuple[Box, ...], Keypoints | None]:
        """See `Analyser`."""
        from talkingpose.pose import from_holistic

        image = np.ascontiguousarray(image)
        faces = _boxes(self._far.process(image))
        if not faces and not _boxes(self._near.process(image)):
            return (), None
        return faces, from_holistic(self._holistic.process(image))

    def close(self) -> None:
        """See `Analyser`."""
        for model in (self._near, self._far, self._holistic):
            model.close()


def _boxes(result: Any) -> tuple[Box, ...]:
    boxes = (found.location_data.relative_bounding_box for found in result.detections or ())
    return tuple(Box(b.xmin, b.ymin, b.xmin + b.width, b.ymin + b.height) for b in boxes)


def _holistic_estimator() -> PoseEstimator:
    from talkingpose.pose import HolisticEstimator

    return HolisticEstimator()


def _mediapipe_versions() -> Mapping[str, str]:
    return {"mediapipe": version("mediapipe")}


MEDIAPIPE = Detectors(MediapipeAnalyser, _holistic_estimator, _mediapipe_versions)
