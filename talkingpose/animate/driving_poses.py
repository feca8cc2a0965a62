"""Driving poses: keypoints of a video or of a file, their missing parts, and their fit to the portrait."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt

from talkingpose.io.documents import read_arrays
from talkingpose.io.errors import UserError
from talkingpose.io.image import Image
from talkingpose.io.progress import SILENT, Progress

Keypoints = npt.NDArray[np.float32]

_CONFIDENCE = 0.3
_SHOULDERS = [5, 6]
# Largest mean distance between two detections of the same person in the same place, as a share of the height.
_SAME_POSE = 0.02
_MIN_COMMON = 20


class DrivingPosesError(UserError):
    """A driving video, pose file or portrait that cannot be used."""


@dataclass(frozen=True)
class DrivingPoses:
    """Driving poses.

    Attributes:
        keypoints: float32 (T, 133, 3), normalised by the frame, confidence 0 for a missing point.
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
        """Return the same poses in a frame of another shape: of equal height, centred, not stretched."""
        keypoints = self.keypoints.copy()
        present = keypoints[..., 2] > 0
        x = 0.5 + (keypoints[..., 0] - 0.5) * self.aspect / (width / height)
        keypoints[..., 0] = np.where(present, x, 0)
        return replace(self, keypoints=keypoints, width=width, height=height)


def read_driving(path: Path, *, max_frames: int | None = None, progress: Progress = SILENT) -> DrivingPoses:
    """Read the poses of a driving video, frame by frame, or those of a file.

    Args:
        path: a video, or an .npz with `keypoints` (T, 133, 3), `fps`, `width` and `height`.
        max_frames: maximum number of frames to read.
        progress: of the frames of a video.

    Raises:
        DrivingPosesError: the file is of another kind, or no person is found in it.
        DocumentError: the file of poses does not exist or is too large.
        MediaError, PoseError: the video cannot be read; the keypoints are invalid.
    """
    driving = _of_file(path, max_frames) if path.suffix == ".npz" else _of_video(path, max_frames, progress)
    if not (driving.keypoints[..., 2] > 0).any():
        raise DrivingPosesError(
            f"driving {path}: no person found in {len(driving.keypoints)} frames: give another"
        )
    return driving


def portrait_pose(portrait: Image) -> Keypoints:
    """Estimate the keypoints (133, 3) of a picture, uint8 (H, W, 3) RGB; zeros where no person is found."""
    from talkingpose.pose import HolisticEstimator

    with HolisticEstimator(static_image_mode=True) as estimate:
        return estimate(portrait)


def missing_parts(keypoints: Keypoints) -> dict[str, float]:
    """Return the share of the frames of (T, 133, 3) or (133, 3) without shoulders, face and hands.

    A face or hand is present with half of its points at confidence 0.3 or more; hands with one of them.
    """
    from talkingpose.pose import FACE, LEFT_HAND, RIGHT_HAND

    sure = keypoints.reshape(-1, *keypoints.shape[-2:])[..., 2] >= _CONFIDENCE
    face, left, right = (sure[:, part].mean(axis=1) >= 0.5 for part in (FACE, LEFT_HAND, RIGHT_HAND))
    present = {"shoulders": sure[:, _SHOULDERS].all(axis=1), "face": face, "hands": left | right}
    return {name: float(1 - shown.mean()) for name, shown in present.items()}


def same_pose(a: Keypoints, b: Keypoints) -> bool:
    """Return True if two detections, (133, 3) each, are of one person in one place.

    This is the case if the portrait is a frame of the driving video (self-reenactment).
    """
    both = (a[:, 2] > 0) & (b[:, 2] > 0)
    if both.sum() < _MIN_COMMON:
        return False
    return float(np.linalg.norm(a[both, :2] - b[both, :2], axis=1).mean()) < _SAME_POSE


def retargeted(driving: DrivingPoses, portrait: Keypoints, width: int, height: int) -> DrivingPoses:
    """Return driving poses with position, size and proportions of the portrait, in the portrait's frame.

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


def _of_video(path: Path, max_frames: int | None, progress: Progress) -> DrivingPoses:
    from talkingpose.media import VideoReader
    from talkingpose.pose import HolisticEstimator

    found = []
    with VideoReader(path) as reader, HolisticEstimator() as estimate:
        info = reader.info
        total = info.num_frames
        if max_frames is not None:
            total = max_frames if total is None else min(max_frames, total)
        progress.start("poses", total, "frames")
        for frame in reader:
            if max_frames is not None and frame.index >= max_frames:
                break
            found.append(estimate(frame.image))
            progress.advance()
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
