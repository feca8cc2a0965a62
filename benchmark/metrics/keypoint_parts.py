"""Body, face and hands of a pose: their rows, presence of points, and shoulder width."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt

from benchmark.features.contract import CaseShape, FrameWindow, Keypoints
from benchmark.results import CaseScore

# Pose that is expected in the generated frame: detected in the real frame, or the driving pose.
Expected = Literal["real", "pose"]

# Rows of COCO-WholeBody; left hand before right.
PARTS: Mapping[str, slice] = {"body": slice(0, 17), "face": slice(23, 91), "hands": slice(91, 133)}
HANDS: Mapping[str, slice] = {"left": slice(91, 112), "right": slice(112, 133)}
WRISTS: Mapping[str, int] = {"left": 9, "right": 10}
SHOULDERS = (5, 6)

# mediapipe gives a visibility for points of the body, and 1 for every point of a face or hand it detects.
PRESENT_FROM = 0.5
# Pixels are those of a frame whose longer side has this length.
LONGER_SIDE = 512

DETECTED = (
    "Keypoints by mediapipe holistic on real and generated frames; a point is present where its confidence "
    f"is {PRESENT_FROM} or more. "
)

TARGETED = (
    "Keypoints by mediapipe holistic on the generated frames, and the driving pose that the contestant was "
    f"given; a point is present where its confidence is {PRESENT_FROM} or more. "
)


def expected_pose(window: FrameWindow, expected: Expected) -> Keypoints:
    """Return the pose that the newest generated frame should show, float32 (133, 3)."""
    if expected == "pose":
        return window.keypoints()
    pose: Keypoints = window.feature("pose", "real")
    return pose


def missing_part(part: str, expected: Expected) -> str:
    """Return the reason where no frame of a clip is expected to show a part."""
    if expected == "pose":
        return f"the driving poses show no {part}"
    return f"the detector finds no {part} in the real video"


def present(keypoints: Keypoints) -> npt.NDArray[np.bool_]:
    """Return for keypoints (N, 3) which points are present: bool (N,)."""
    return np.asarray(keypoints[:, 2] >= PRESENT_FROM)


def pixels(keypoints: Keypoints, case: CaseShape) -> npt.NDArray[np.float64]:
    """Return x and y of keypoints (N, 3) in pixels of a frame of longer side 512: float64 (N, 2)."""
    size = np.array([case.width, case.height], np.float64)
    return np.asarray(keypoints[:, :2].astype(np.float64) * size * (LONGER_SIDE / size.max()))


def shoulder_width(keypoints: Keypoints, case: CaseShape) -> float | None:
    """Return the shoulder distance of keypoints (133, 3), in pixels as `pixels`; None without both."""
    shoulders = keypoints[list(SHOULDERS)]
    if not present(shoulders).all():
        return None
    left, right = pixels(shoulders, case)
    width = float(np.linalg.norm(left - right))
    return width if width > 0 else None


def part_score(
    part: str, value: float | None, *, judged: int, shown: int, expected: Expected = "real"
) -> CaseScore:
    """Return the score of a clip from the frames in which a part is compared.

    Args:
        part: body, face or hands.
        value: of the clip.
        judged: number of frames in which an expected point is found.
        shown: number of frames that are expected to show the part.
        expected: source of the expected pose.
    """
    if not shown:
        reason = missing_part(part, expected)
        return CaseScore(value=None, n_frames=0, state="unavailable", reason=reason)
    if not judged:
        source = "driving poses" if expected == "pose" else "real video"
        reason = f"the detector finds no {part} of the {source} in the generated video"
        return CaseScore(value=None, n_frames=0, coverage=0.0, state="unavailable", reason=reason)
    missed = shown - judged
    return CaseScore(
        value=value,
        n_frames=judged,
        coverage=judged / shown,
        state="partial" if missed else "ok",
        reason=f"no {part} found in {missed} of {shown} generated frames" if missed else None,
    )
