"""Models that measure frames: one analyser for samples, one pose estimator for every frame of a clip."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any, Protocol

import numpy as np

from curation.detect import face_embedding, transnet
from curation.detect.bystanders import Bystanders
from curation.detect.contrast import distinguishable_levels
from curation.detect.letterbox import inside_letterbox
from curation.detect.measurements import Box, Bystander, FrameSample, Keypoints, Luma
from curation.detect.person_motion import PersonMotion
from curation.detect.sharpness import sharpness
from curation.detect.text_overlay import TextFinder
from talkingpose.io.image import Image
from talkingpose.media import LazyFrame, VideoInfo
from talkingpose.pose import FACE, LEFT_HAND, RIGHT_HAND, PoseEstimator

# Default of both face detectors of mediapipe.
_MIN_FACE_SCORE = 0.5
_SHORT_RANGE, _FULL_RANGE = 0, 1
# Seconds between measurements of slow properties: letterbox, text, bystanders, identity.
_SLOW_S = 1.0
_COLOUR_BINS = (16, 4, 8)  # hue, saturation, value
# Faces below this share of the main one's height are audience or background.
_MIN_RELATIVE_FACE = 0.5
# A hand is at least this share of the face's height from wrist to fingertip, even foreshortened.
_MIN_HAND_SIZE = 0.3
_MIN_PALM_SCORE = 0.5
# Wrists in mediapipe's body: left, right.
_WRISTS = (15, 16)
# Less confident points are guesses; DWPose's drawing leaves them out as well.
_MIN_CONFIDENCE = 0.3


class Analyser(Protocol):
    """Measures frames of one video, in order."""

    def __call__(self, frame: LazyFrame, small: Image) -> FrameSample:
        """Measure a frame; `small` is the same frame, uint8 (H, W, 3) RGB, about 256 pixels wide."""

    def close(self) -> None:
        """Release the models."""


class FaceFinder(Protocol):
    """Decides whether a picture shows a face."""

    def __call__(self, image: Image) -> bool:
        """Return whether there is a face; `image` is uint8 (H, W, 3) RGB."""

    def close(self) -> None:
        """Release the models."""


@dataclass(frozen=True)
class Detectors:
    """Factories of the models; every part can be pickled. Models are made per video or clip.

    Attributes:
        analyser: Makes the analyser of a video; the second argument is the longer side, in pixels, at which
            bodies are searched.
        estimator: Makes a pose estimator for one clip.
        versions: Names and versions of everything that changes results.
        faces: Makes the face finder for key frames.
        identity: Method that tells persons apart.
        finds_transitions: Whether a network looks for transitions in what is about to be kept.
    """

    analyser: Callable[[VideoInfo, int], Analyser]
    estimator: Callable[[], PoseEstimator]
    versions: Callable[[], Mapping[str, str]]
    faces: Callable[[], FaceFinder]
    identity: Callable[[], str] = face_embedding.method
    finds_transitions: Callable[[], bool] = transnet.installed


def sample_size(info: VideoInfo, longer_side: int) -> tuple[int, int]:
    """Width and height of a sample, never larger than the source."""
    scale = min(longer_side / max(info.width, info.height), 1)
    return max(round(info.width * scale), 1), max(round(info.height * scale), 1)


class MediapipeFaces:
    """Both face detectors of mediapipe.

    The short-range model misses faces farther than two metres away, the full-range model close and tilted
    faces.
    """

    def __init__(self) -> None:
        from mediapipe.python.solutions import face_detection

        self._near, self._far = (
            face_detection.FaceDetection(model_selection=model, min_detection_confidence=_MIN_FACE_SCORE)
            for model in (_SHORT_RANGE, _FULL_RANGE)
        )

    def find(self, image: Image) -> tuple[tuple[Box, ...], tuple[Box, ...]]:
        """Faces of the full-range model, and, only if it finds none, those of the short-range model."""
        image = np.ascontiguousarray(image)
        far = _boxes(self._far.process(image))
        return far, () if far else _boxes(self._near.process(image))

    def close(self) -> None:
        """Release the models."""
        self._near.close()
        self._far.close()


class MediapipeKeyframeFaces:
    """Face finder that requires landmarks; they are searched only if a detector finds a face."""

    def __init__(self) -> None:
        self._faces = MediapipeFaces()
        self._holistic: Any = None

    def __call__(self, image: Image) -> bool:
        """See `FaceFinder`."""
        faces, near = self._faces.find(image)
        if not faces and not near:
            return False
        from mediapipe.python.solutions import holistic

        if self._holistic is None:
            self._holistic = holistic.Holistic(static_image_mode=True, model_complexity=1)
        found = self._holistic.process(np.ascontiguousarray(image))
        return found.face_landmarks is not None

    def close(self) -> None:
        """See `FaceFinder`."""
        self._faces.close()
        if self._holistic is not None:
            self._holistic.close()


class MediapipeAnalyser:
    """Analyser with mediapipe's models: faces first; landmarks only if there is a face.

    Only faces of the full-range model are counted, because the short-range model finds faces in prints and
    folds of clothes. Faces and hands are measured at the resolution of the source, the rest downscaled.
    """

    def __init__(self, info: VideoInfo, longer_side: int) -> None:
        from mediapipe.python.solutions import hands, holistic

        self._info = info
        self._size = sample_size(info, longer_side)
        self._faces = MediapipeFaces()
        self._holistic = holistic.Holistic(static_image_mode=True, model_complexity=1)
        self._hands: Any = hands.Hands(
            static_image_mode=True, max_num_hands=2, min_detection_confidence=_MIN_PALM_SCORE
        )
        self._bystanders = Bystanders()
        self._text = TextFinder()
        self._motion = PersonMotion()
        self._identify = face_embedding.identifier()
        self._slow: dict[str, Any] = {"measured_at": None}
        self._due: float | None = None
        self._bystander: Bystander | None = None
        self._doubt = False

    def __call__(self, frame: LazyFrame, small: Image) -> FrameSample:
        """See `Analyser`."""
        image = np.ascontiguousarray(frame.downscaled(self._size))
        faces, near = self._faces.find(image)
        sample = FrameSample(frame.index, faces, None, float(frame.time), face=_largest(faces or near))
        if sample.face is not None:
            sample = self._with_keypoints(sample, image)
        if self._due is None or frame.time >= self._due:
            self._due = float(frame.time) + _SLOW_S
            self._slow = self._measure_slow(frame, image, small, sample)
            self._look_for_others(image, sample)
        elif self._doubt:
            self._look_for_others(image, sample)
        return replace(sample, **self._details(frame, sample), **_appearance(small), **self._slow)

    def close(self) -> None:
        """See `Analyser`."""
        for model in (self._faces, self._holistic, self._hands, self._bystanders):
            model.close()

    def _with_keypoints(self, sample: FrameSample, image: Image) -> FrameSample:
        """Add keypoints and the confidence of the hands.

        Holistic searches hands near the wrists of the body. A raised hand whose wrist is outside the picture
        is found by the palm detector, which runs only if holistic finds no hand.
        """
        from talkingpose.pose import from_holistic

        found = self._holistic.process(image)
        keypoints = from_holistic(found)
        face = points_box(keypoints[FACE]) or sample.face
        confidence: list[float | None] = [None, None]
        if found.pose_landmarks is not None:
            confidence = [float(found.pose_landmarks.landmark[wrist].visibility) for wrist in _WRISTS]
        if face is not None and not any(keypoints[rows, 2].any() for rows in (LEFT_HAND, RIGHT_HAND)):
            for side, points, score in self._palms(image, face):
                keypoints[(LEFT_HAND, RIGHT_HAND)[side]] = points
                confidence[side] = score
        return replace(sample, keypoints=keypoints, face=face, hand_confidence=(confidence[0], confidence[1]))

    def _palms(self, image: Image, face: Box) -> Iterator[tuple[int, Keypoints, float]]:
        """Hands found by their palms: side (0 left, 1 right), keypoints (21, 3), score."""
        found = self._hands.process(image)
        for hand, sides in zip(found.multi_hand_landmarks or (), found.multi_handedness or (), strict=True):
            points = np.array([(p.x, p.y, 1.0) for p in hand.landmark], np.float32)
            size = np.ptp(points[:, :2], axis=0) * (image.shape[1], image.shape[0])
            if float(np.hypot(*size)) < _MIN_HAND_SIZE * face.height * image.shape[0]:
                continue
            points[~((points[:, :2] >= 0) & (points[:, :2] <= 1)).all(axis=1)] = 0
            label = sides.classification[0]
            # The label is that of a mirrored picture.
            yield int(label.label == "Left"), points, float(label.score)

    def _look_for_others(self, image: Image, sample: FrameSample) -> None:
        """Look for a bystander; the first sighting counts once the next sample confirms it."""
        seen = None
        person = None if sample.keypoints is None else points_box(sample.keypoints)
        if person is not None and sample.face is not None:
            main = max([face.height for face in sample.faces] or [sample.face.height])
            seen = self._bystanders(image, person, _MIN_RELATIVE_FACE * main)
        known = self._doubt or self._bystander is not None
        self._doubt = seen is not None and not known
        self._bystander = seen if known else None
        self._slow |= {"others": 0.0, "bystander": None}
        if self._bystander is not None:
            self._slow |= {"others": self._bystander.area, "bystander": self._bystander}

    def _measure_slow(
        self, frame: LazyFrame, image: Image, small: Image, sample: FrameSample
    ) -> dict[str, Any]:
        luma = frame.luma()
        person = None if sample.keypoints is None else points_box(sample.keypoints)
        found: dict[str, Any] = {
            "measured_at": frame.index,
            "compared_with": self._slow["measured_at"],
            "picture": inside_letterbox(luma),
            "text": self._text(luma),
            "change": self._motion(_gray(small), person),
            "identity": None,
        }
        if sample.keypoints is not None and self._identify is not None:
            found["identity"] = self._identify(image, sample.keypoints)
        return found

    def _details(self, frame: LazyFrame, sample: FrameSample) -> dict[str, Any]:
        """Brightness, contrast and sharpness of the face, sharpness of the hands."""
        if sample.face is None:
            return {}
        face = frame.luma(self._pixels(sample.face))
        hands: list[float | None] = [None, None]
        if sample.keypoints is not None:
            for side, rows in enumerate((LEFT_HAND, RIGHT_HAND)):
                box = points_box(sample.keypoints[rows], 0.1)
                if box is not None:
                    hands[side] = sharpness(frame.luma(self._pixels(box)))
        return {
            "face_luma": float(np.median(face)) if face.size else None,
            "face_contrast": distinguishable_levels(face) if face.size else None,
            "face_sharpness": sharpness(face),
            "hand_sharpness": (hands[0], hands[1]),
        }

    def _pixels(self, box: Box) -> tuple[int, int, int, int]:
        width, height = self._info.width, self._info.height
        return (
            int(np.floor(box.x0 * width)),
            int(np.floor(box.y0 * height)),
            int(np.ceil(box.x1 * width)),
            int(np.ceil(box.y1 * height)),
        )


def points_box(points: Keypoints, margin: float = 0.0) -> Box | None:
    """Box around confident points (N, 3), widened by a share of its sides; None without any."""
    known = points[points[:, 2] >= _MIN_CONFIDENCE, :2].astype(float)
    if not len(known):
        return None
    low, high = known.min(axis=0), known.max(axis=0)
    edge = margin * (high - low)
    return Box(*map(float, (*(low - edge), *(high + edge))))


def _largest(faces: tuple[Box, ...]) -> Box | None:
    return max(faces, key=lambda face: face.area, default=None)


def _appearance(small: Image) -> dict[str, Any]:
    """Brightness and colours of the whole picture."""
    import cv2

    gray = _gray(small)
    hsv = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2HSV), np.uint8)
    colours = cv2.calcHist([hsv], [0, 1, 2], None, list(_COLOUR_BINS), [0, 180, 0, 256, 0, 256])
    return {
        "luma": np.asarray(cv2.resize(gray, (32, 18), interpolation=cv2.INTER_AREA), np.uint8),
        "colours": np.asarray(colours, np.float32).ravel() / gray.size,
    }


def _gray(image: Image) -> Luma:
    import cv2

    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)


def _boxes(result: Any) -> tuple[Box, ...]:
    boxes = (found.location_data.relative_bounding_box for found in result.detections or ())
    return tuple(Box(b.xmin, b.ymin, b.xmin + b.width, b.ymin + b.height) for b in boxes)


def _refined_estimator() -> PoseEstimator:
    from talkingpose.pose import RefinedHolisticEstimator

    return RefinedHolisticEstimator()


def sample_versions() -> Mapping[str, str]:
    """Versions of the models that measure samples."""
    return {"mediapipe": version("mediapipe"), **face_embedding.versions(), **transnet.versions()}


def _mediapipe_versions() -> Mapping[str, str]:
    from talkingpose.pose.refined import REVISION

    return {**sample_versions(), "hands": REVISION}


MEDIAPIPE = Detectors(MediapipeAnalyser, _refined_estimator, _mediapipe_versions, MediapipeKeyframeFaces)
