"""Stand-ins for the models: the mean colour of a picture determines what they find."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from curation.detect.detectors import Detectors, Image, Keypoints
from curation.detect.measurements import Box, FrameSample
from talkingpose.media import LazyFrame, VideoInfo
from talkingpose.pose import FACE, LEFT_HAND, NUM_KEYPOINTS, RIGHT_HAND

# Mean colours of synthetic shots, RGB.
SPEAKER = (60, 180, 60)
NOBODY = (180, 60, 60)
NO_HANDS = (60, 60, 180)
CRASH = (180, 180, 40)
RAISE = (40, 180, 180)
HANG = (120, 40, 180)
KINDS = (SPEAKER, NOBODY, NO_HANDS, CRASH, RAISE, HANG)


def person(
    *, hands: int = 2, face: bool = True, shoulders: bool = True, width: float = 0.3, raised: float = 0.0
) -> Keypoints:
    """Keypoints of a person in the middle of the picture; `width` is the shoulder width."""
    keypoints = np.zeros((NUM_KEYPOINTS, 3), np.float32)
    keypoints[0] = (0.5, 0.3, 1)
    if shoulders:
        keypoints[5], keypoints[6] = (0.5 + width / 2, 0.5, 1), (0.5 - width / 2, 0.5, 1)
    if face:
        angle = np.linspace(0, 2 * np.pi, 68)
        keypoints[FACE] = np.stack([0.5 + 0.05 * np.cos(angle), 0.3 + 0.1 * np.sin(angle), 0 * angle + 1], 1)
        # Eyes, nose, mouth and chin of a frontal face.
        for point, x, y in ((30, 0.0, 0.0), (8, 0.0, 0.1), (36, -0.04, -0.05), (45, 0.04, -0.05)):
            keypoints[FACE.start + point, :2] = (0.5 + x, 0.3 + y)
        for point, x in ((48, -0.027), (54, 0.027)):
            keypoints[FACE.start + point, :2] = (0.5 + x, 0.345)
    for hand, wrist, x in [(LEFT_HAND, 9, 0.6), (RIGHT_HAND, 10, 0.4)][:hands]:
        keypoints[hand] = (x, 0.8 - raised, 1)
        keypoints[wrist] = (x, 0.78 - raised, 1)
    return keypoints


FACE_BOX = Box(0.45, 0.2, 0.55, 0.4)


def sample(
    keypoints: Keypoints | None = None, faces: tuple[Box, ...] | None = None, index: int = 0, **known: object
) -> FrameSample:
    """Sample of a frame with this person; `known` overrides fields."""
    faces = faces if faces is not None else ((FACE_BOX,) if keypoints is not None else ())
    found = {
        "time": index / 25,
        "face": max(faces, key=lambda face: face.area, default=None),
        "luma": np.full((18, 32), 120, np.uint8),
        "colours": np.ones(8, np.float32) / 8,
        "change": 0.5,
    }
    if faces:
        found |= {"face_luma": 120.0, "face_contrast": 100.0, "face_sharpness": 0.3}
    if keypoints is not None:
        found["hand_sharpness"] = tuple(
            0.2 if keypoints[hand, 2].any() else None for hand in (LEFT_HAND, RIGHT_HAND)
        )
    return FrameSample(index, faces, keypoints, **found | known)  # type: ignore[arg-type]


class FakeAnalyser:
    """Analyser by colour; an environment variable slows it down so that a test can interrupt."""

    def __init__(self, info: VideoInfo | None = None, longer_side: int = 0) -> None:
        pass

    def __call__(self, frame: LazyFrame, small: Image) -> FrameSample:
        time.sleep(float(os.environ.get("TEST_SLOW_S", "0")))
        kind = _kind(small)
        if kind == CRASH:
            os.abort()
        if kind == RAISE:
            raise RuntimeError("made to fail")
        if kind == HANG:
            time.sleep(3600)
        found = None
        if kind != NOBODY:
            found = person(hands=0 if kind == NO_HANDS else 2, raised=0.1 * np.sin(frame.index / 10))
        return sample(found, index=frame.index, time=float(frame.time))

    def close(self) -> None:
        pass


class KnowingAnalyser(FakeAnalyser):
    """Analyser that also finds a face embedding, of the same person in every picture."""

    def __call__(self, frame: LazyFrame, small: Image) -> FrameSample:
        features = np.ones(512) + 0.1 * np.sin(np.arange(512) * (1 + frame.index % 7))
        return replace(
            super().__call__(frame, small), identity=(features / np.linalg.norm(features)).astype(np.float32)
        )


class FakeFaces:
    """Face finder that finds a face in every picture except those of nobody."""

    def __call__(self, image: Image) -> bool:
        return _kind(image) != NOBODY

    def close(self) -> None:
        pass


class FakeEstimator:
    """Pose estimator of a person who sways with the frame number."""

    name = "fake"
    version = "1"

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, image: Image) -> Keypoints:
        time.sleep(float(os.environ.get("TEST_SLOW_S", "0")) / 10)
        keypoints = person()
        keypoints[keypoints[:, 2] > 0, 0] += 0.05 * np.sin(self._count / 10)
        self._count += 1
        return keypoints

    def close(self) -> None:
        pass


def versions() -> Mapping[str, str]:
    return {"fake": "1"}


def known_by() -> str:
    return "face track"


FAKE = Detectors(FakeAnalyser, FakeEstimator, versions, FakeFaces, known_by)
KNOWS_FACES = replace(FAKE, analyser=KnowingAnalyser)


def _kind(image: Image) -> tuple[int, int, int]:
    mean = image.reshape(-1, 3).mean(axis=0)
    return min(KINDS, key=lambda kind: float(np.abs(mean - kind).sum()))
