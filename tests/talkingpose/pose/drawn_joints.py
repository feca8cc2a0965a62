"""Body joints read back from DWPose's drawings: each is a disc of its own colour."""

from __future__ import annotations

import cv2
import numpy as np

from talkingpose.pose.draw import COLOURS, OPENPOSE18

# Limbs are drawn at 60 % brightness, and neighbours on the colour wheel differ by 85 in one channel.
_TOLERANCE = 42
# A disc of radius 4 has 49 pixels. One with much less is half hidden, and its middle not the joint.
_LEAST, _MOST, _LONGEST = 30, 80, 13
LEFT_SHOULDER, RIGHT_SHOULDER = 5, 6

# Nose and eyes lie under the white discs of the face, and fingers have nearly the colours of the eyes.
NAMES = {
    None: "neck", 3: "left ear", 4: "right ear", 5: "left shoulder", 6: "right shoulder", 7: "left elbow",
    8: "right elbow", 9: "left wrist", 10: "right wrist", 11: "left hip", 12: "right hip",
}  # fmt: skip


def recover(picture: np.ndarray) -> dict[int | None, np.ndarray]:
    """Joints of a drawing that stand alone: pixel (x, y) by COCO index, None for the neck.

    Args:
        picture: RGB uint8 (H, W, 3), also after lossy encoding.
    """
    found = {}
    # Few pixels are as bright as a disc; only those are compared with the colours.
    rows, columns = np.nonzero(picture.max(axis=2) >= 255 - _TOLERANCE)
    bright = picture[rows, columns].astype(np.int16)
    for coco, colour in zip(OPENPOSE18, COLOURS, strict=True):
        if coco not in NAMES:
            continue
        alike = (np.abs(bright - colour) <= _TOLERANCE).all(axis=1)
        if alike.sum() < _LEAST:
            continue
        mask = np.zeros(picture.shape[:2], np.uint8)
        mask[rows[alike], columns[alike]] = 1
        count, _, stats, centres = cv2.connectedComponentsWithStats(mask)
        discs = [
            centres[i]
            for i in range(1, count)
            if _LEAST <= stats[i, cv2.CC_STAT_AREA] <= _MOST and stats[i, 2:4].max() <= _LONGEST
        ]
        if len(discs) == 1:  # two of one colour: fingers, or a second person
            found[coco] = discs[0]
    return found


def distances(
    keypoints: np.ndarray,
    joints: list[dict[int | None, np.ndarray]],
    width: int,
    height: int,
    least_confidence: float = 0.3,
) -> dict[int | None, list[float]]:
    """Distance of keypoints from the joints of the drawings of the same frames, in % of the shoulder width.

    Args:
        keypoints: (T, 133, 3), normalised.
        joints: what `recover` found in the T drawings.
        width, height: of the drawings, in pixels.

    Returns:
        By COCO index (None: neck); only joints that both have. The shoulder width is the median of the
        drawings' own.
    """
    shoulders = [
        np.hypot(*(j[LEFT_SHOULDER] - j[RIGHT_SHOULDER]))
        for j in joints
        if LEFT_SHOULDER in j and RIGHT_SHOULDER in j
    ]
    unit = float(np.median(shoulders)) / 100
    found: dict[int | None, list[float]] = {}
    for points, drawn in zip(keypoints, joints, strict=True):
        for coco, place in drawn.items():
            used = [LEFT_SHOULDER, RIGHT_SHOULDER] if coco is None else [coco]
            if (points[used, 2] > least_confidence).all():
                # A drawn disc covers whole pixels around the pixel that the joint was cut to.
                pixel = points[used, :2].mean(axis=0) * (width, height) - 0.5
                found.setdefault(coco, []).append(float(np.hypot(*(pixel - place))) / unit)
    return found
