"""What drives a film: keypoints of a video or of a file, and what is missing in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from talkingpose.io.documents import read_arrays
from talkingpose.io.errors import UserError

Keypoints = npt.NDArray[np.float32]
PoseSource = Literal["mediapipe"]

_CONFIDENCE = 0.3
_SHOULDERS = [5, 6]
# Poses of one person in one place: what two detections of the same picture may differ by, in its height.
_SAME_POSE = 0.02
_LEAST_COMMON = 20


class DrivingPosesError(UserError):
    """A driving video, pose file or portrait that cannot be used."""


@dataclass(frozen=True)
class DrivingPoses:
    """Driving poses.

    Attributes:
        keypoints: float32 (T, 133, 3), normalised by the frame, confidence 0 where there is no such point.
        fps: frames per second.
        width, height: of the driving frame, in pixels or in any other unit: only their ratio matters.
    """

    keypoints: Keypoints
    fps: Fraction
    width: int
    height: int

    @property
    def aspect(self) -> float:
        """Width over height."""
        return self.width / self.height

    def in_frame(self, width: int, height: int) -> DrivingPoses:
        """The same poses in a frame of another shape: equal in height, about the middle, not stretched."""
        keypoints = self.keypoints.copy()
        seen = keypoints[..., 2] > 0
        keypoints[..., 0] = np.where(
            seen, 0.5 + (keypoints[..., 0] - 0.5) * self.aspect / (width / height), 0
        )
        return replace(self, keypoints=keypoints, width=width, height=height)


def read_driving(
    path: Path, *, max_frames: int | None = None, advance: Callable[[], None] = lambda: None
) -> DrivingPoses:
    """Read the poses of a driving video, frame by frame, or those of a file.

    Args:
        path: a video, or an .npz with `keypoints` (T, 133, 3), `fps`, `width` and `height`.
        max_frames: read no more.
        advance: called once a frame of a video.

    Raises:
        DrivingError: the file is no such thing, or nobody is in it.
        MediaError, PoseError: the video cannot be read; the keypoints are none.
    """
    driving = _of_file(path, max_frames) if path.suffix == ".npz" else _of_video(path, max_frames, advance)
    if not (driving.keypoints[..., 2] > 0).any():
        raise DrivingPosesError(
            f"driving {path}: nobody is found in {len(driving.keypoints)} frames: give another"
        )
    return driving


def portrait_pose(portrait: npt.NDArray[np.uint8]) -> Keypoints:
    """Keypoints (133, 3) of a picture, uint8 (H, W, 3) RGB; zeros where nobody is found."""
    from talkingpose.pose import HolisticEstimator

    with HolisticEstimator(static_image_mode=True) as estimate:
        return estimate(portrait)


def missing_parts(keypoints: Keypoints) -> dict[str, float]:
    """Share of the frames of (T, 133, 3), or of one (133, 3), that lack a part: shoulders, face, hands.

    A face or hand counts as there with half of its points at confidence 0.3 or more, hands with one of them.
    """
    from talkingpose.pose import FACE, LEFT_HAND, RIGHT_HAND

    sure = np.atleast_3d(keypoints).reshape(-1, *keypoints.shape[-2:])[..., 2] >= _CONFIDENCE
    face, left, right = (sure[:, part].mean(axis=1) >= 0.5 for part in (FACE, LEFT_HAND, RIGHT_HAND))
    there = {"shoulders": sure[:, _SHOULDERS].all(axis=1), "face": face, "hands": left | right}
    return {name: float(1 - shown.mean()) for name, shown in there.items()}


def same_pose(a: Keypoints, b: Keypoints) -> bool:
    """Whether two detections, (133, 3) each, are of one person in one place.

    So it is where the portrait is a frame of the driving video: self-reenactment.
    """
    both = (a[:, 2] > 0) & (b[:, 2] > 0)
    if both.sum() < _LEAST_COMMON:
        return False
    return float(np.linalg.norm(a[both, :2] - b[both, :2], axis=1).mean()) < _SAME_POSE


def retargeted(driving: DrivingPoses, portrait: Keypoints, width: int, height: int) -> DrivingPoses:
    """The driving poses with the place, size and proportions of the portrait, in the portrait's frame.

    Args:
        driving: poses in a frame of any shape.
        portrait: (133, 3), of a picture of `width` x `height`.

    Raises:
        PoseError: as for `talkingpose.pose.retarget.retarget`.
    """
    from talkingpose.pose.retarget import fullest_frame, retarget

    framed = driving.in_frame(width, height)
    driver = framed.keypoints[fullest_frame(framed.keypoints)]
    moved = retarget(framed.keypoints, driver, portrait, aspect=width / height)
    return replace(framed, keypoints=moved)


def _of_video(path: Path, max_frames: int | None, advance: Callable[[], None]) -> DrivingPoses:
    from talkingpose.media import VideoReader
    from talkingpose.pose import HolisticEstimator

    found = []
    with VideoReader(path) as reader, HolisticEstimator() as estimate:
        for frame in reader:
            if max_frames is not None and frame.index >= max_frames:
                break
            found.append(estimate(frame.image))
            advance()
        info = reader.info
    return DrivingPoses(np.stack(found), info.fps, info.width, info.height)


def _of_file(path: Path, max_frames: int | None) -> DrivingPoses:
    from talkingpose.pose import validate

    arrays = read_arrays(path, "driving")
    missing = {"keypoints", "fps", "width", "height"} - set(arrays)
    if missing:
        raise DrivingPosesError(f"driving {path}: no {', '.join(sorted(missing))}: add them to the file")
    keypoints = arrays["keypoints"]
    try:
        keypoints = keypoints[:max_frames]
        fps = Fraction(float(arrays["fps"])).limit_denominator(100_000)
        width, height = int(arrays["width"]), int(arrays["height"])
    except (ValueError, TypeError, OverflowError, IndexError) as error:
        raise DrivingPosesError(
            f"driving {path}: invalid keypoints, fps, width or height: write it with numpy.savez"
        ) from error
    if keypoints.dtype == np.float16 or keypoints.dtype == np.float64:
        keypoints = keypoints.astype(np.float32)
    validate(keypoints, f"driving {path}: keypoints")
    if keypoints.ndim != 3 or not len(keypoints) or fps <= 0 or min(width, height) < 1:
        raise DrivingPosesError(
            f"driving {path}: keypoints {keypoints.shape}, {float(fps):g} fps, {width}x{height}: give "
            "(T, 133, 3), a rate and a size"
        )
    return DrivingPoses(keypoints, fps, width, height)
