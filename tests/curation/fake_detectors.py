"""Stand-ins for the models: they read from the colour of a picture what there is to be found in it."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

import numpy as np

from curation.detectors import Detectors, Image, Keypoints
from curation.measurement import Box
from talkingpose.pose import FACE, LEFT_HAND, NUM_KEYPOINTS, RIGHT_HAND

# Mean colours of made-up shots, RGB.
SPEAKER = (60, 180, 60)
NOBODY = (180, 60, 60)
NO_HANDS = (60, 60, 180)
CRASH = (180, 180, 40)
RAISE = (40, 180, 180)


def person(*, hands: int = 2, face: bool = True, shoulders: bool = True, width: float = 0.3) -> Keypoints:
    """Keypoints of a person in the middle of the picture, shoulders `width` apart."""
    keypoints = np.zeros((NUM_KEYPOINTS, 3), np.float32)
    keypoints[0] = (0.5, 0.3, 1)
    if shoulders:
        keypoints[5], keypoints[6] = (0.5 + width / 2, 0.5, 1), (0.5 - width / 2, 0.5, 1)
    if face:
        angle = np.linspace(0, 2 * np.pi, 68)
        keypoints[FACE] = np.stack([0.5 + 0.05 * np.cos(angle), 0.3 + 0.1 * np.sin(angle), 0 * angle + 1], 1)
    for hand, x in [(LEFT_HAND, 0.6), (RIGHT_HAND, 0.4)][:hands]:
        keypoints[hand] = (x, 0.8, 1)
    return keypoints


FACE_BOX = Box(0.45, 0.2, 0.55, 0.4)


class FakeAnalyser:
    """Sees what the colour says; an environment variable slows it down so that a test can interrupt."""

    def __call__(self, image: Image) -> tuple[tuple[Box, ...], Keypoints | None]:
        time.sleep(float(os.environ.get("TEST_SLOW_S", "0")))
        kind = _kind(image)
        if kind == CRASH:
            os.abort()
        if kind == RAISE:
            raise RuntimeError("made to fail")
        if kind == NOBODY:
            return (), None
        return (FACE_BOX,), person(hands=0 if kind == NO_HANDS else 2)

    def close(self) -> None:
        pass


class FakeEstimator:
    """A person who sways by the number of the frame."""

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


FAKE = Detectors(FakeAnalyser, FakeEstimator, versions)


def _kind(image: Image) -> tuple[int, int, int]:
    mean = image.reshape(-1, 3).mean(axis=0)
    return min((SPEAKER, NOBODY, NO_HANDS, CRASH, RAISE), key=lambda kind: float(np.abs(mean - kind).sum()))
