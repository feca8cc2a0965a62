"""Pose of the portrait: the first driving pose if it is that of the portrait, else what a detector finds."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from talkingpose.io.image import Image
from talkingpose.pose import FACE, HolisticEstimator
from talkingpose.warp.skeleton import present

Keypoints = npt.NDArray[np.float32]

# mediapipe finds faces and hands of a small picture only when it is enlarged.
_WORK_SIDE = 512
# Two detections of one person in one place differ by less, as a median over points and a share of the frame.
_SAME_PLACE = 0.03
_MIN_COMMON = 8


def portrait_pose(portrait: Image, first: Keypoints) -> Keypoints:
    """Return the keypoints of a portrait, (133, 3), for the driving poses that begin with `first`.

    In self-reenactment the portrait is the first driving frame; then `first` is its pose, by the detector of
    the driving poses. That is recognised by a detection in the portrait that is close to `first`, or by the
    lack of any detection.

    Args:
        portrait: uint8 RGB (H, W, 3).
        first: the first driving pose, (133, 3).
    """
    return choose_pose(detected_pose(portrait), first)


def detected_pose(portrait: Image) -> Keypoints:
    """Return the keypoints that mediapipe finds in a portrait, (133, 3); zeros without a person."""
    height, width = portrait.shape[:2]
    scale = _WORK_SIDE / max(height, width)
    if scale > 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        portrait = np.asarray(cv2.resize(portrait, size, interpolation=cv2.INTER_CUBIC), np.uint8)
    with HolisticEstimator(static_image_mode=True) as estimate:
        return estimate(portrait)


def choose_pose(found: Keypoints, first: Keypoints) -> Keypoints:
    """Return `first` where a detection does not contradict it, else the detection; (133, 3) each."""
    both = present(found) & present(first)
    # The face moves rigidly and says little about the arms: it counts like one point of the body.
    both[FACE.start + 1 : FACE.stop] = False
    if not present(found).any():
        return first
    if both.sum() < _MIN_COMMON and both.sum() < present(found)[: FACE.start].sum() / 2:
        return found
    away = np.linalg.norm(found[both, :2] - first[both, :2], axis=1)
    return first if float(np.median(away)) < _SAME_PLACE else found
