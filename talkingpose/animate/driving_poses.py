"""Driving poses: keypoints of a video or of a file, their missing parts, and their fit to the portrait."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from talkingpose.animate.driving_source import WHOLE, DrivingError, DrivingSource, Span
from talkingpose.animate.pose_choice import SMALLEST_SIDE, PoseChoice
from talkingpose.io.documents import read_arrays
from talkingpose.io.image import Image
from talkingpose.io.progress import SILENT, Progress
from talkingpose.pose.keypoints import NUM_KEYPOINTS

if TYPE_CHECKING:
    from talkingpose.pose import PoseEstimator

Keypoints = npt.NDArray[np.float32]

_CONFIDENCE = 0.3
_SHOULDERS = [5, 6]
# Largest mean distance between two detections of the same person in the same place, as a share of the height.
_SAME_POSE = 0.02
_MIN_COMMON = 20
# Deviation from a constant rate that is taken for rounding, as a share of a frame.
_RATE_TOLERANCE = 0.75


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


@dataclass(frozen=True)
class DrivingPictures:
    """Drawn pose pictures, which are given to the model as they are.

    Attributes:
        source: of the pictures.
        span: part of the source.
    """

    source: DrivingSource
    span: Span

    @property
    def num_frames(self) -> int | None:
        """Number of pictures, None if the source does not say."""
        return self.source.count(self.span)


def read_keypoints(path: Path, span: Span = WHOLE) -> DrivingPoses:
    """Read a pose file: `.npz` with `keypoints` (T, 133, 3), `fps`, `width` and `height`.

    Raises:
        DrivingError: it has other content, or no person in the span.
        DocumentError: it does not exist or is too large.
        PoseError: the keypoints are invalid.
    """
    driving = _of_file(path)
    first, count = span.frames(driving.fps, len(driving.keypoints))
    kept = driving.keypoints[first:][:count]
    _check_span(kept, f"driving {path}", len(driving.keypoints), driving.fps)
    return replace(driving, keypoints=kept)


def estimate_driving(
    source: DrivingSource, span: Span, estimate: PoseEstimator, progress: Progress = SILENT
) -> DrivingPoses:
    """Estimate the poses of driving frames, one by one.

    A variable frame rate becomes constant: at each time of the constant rate, the pose of the frame that is
    shown then.

    Raises:
        DrivingError: no frame in the span, or no person in them.
        MediaError, PoseError: the source cannot be read, or the estimator failed.
    """
    found, times = [], []
    progress.start("poses", source.count(span), "frames")
    for time, image in source.frames(span):
        found.append(estimate(enlarged(image)))
        times.append(time)
        progress.advance()
    keypoints = np.stack(found) if found else np.zeros((0, NUM_KEYPOINTS, 3), np.float32)
    _check_span(keypoints, f"driving {source.name}", source.count(WHOLE), source.fps)
    rows = _constant_rate(times, source.fps)
    if rows is not None:
        steps = [float(b - a) * 1000 for a, b in itertools.pairwise(times)]
        progress.message(
            f"driving {source.name}: variable frame rate, {min(steps):.0f} to {max(steps):.0f} ms a frame: "
            f"the film has {float(source.fps):g} frames/s and keeps the timing"
        )
        keypoints = keypoints[rows]
    return DrivingPoses(keypoints, source.fps, source.width, source.height)


def enlarged(image: Image) -> Image:
    """Return a picture of at least 512 pixels on its longer side, because detectors miss small faces."""
    height, width = image.shape[:2]
    scale = SMALLEST_SIDE / max(height, width)
    if scale <= 1:
        return image
    from talkingpose.media import resize_image

    return resize_image(image, (max(1, round(width * scale)), max(1, round(height * scale))), "bicubic")


def portrait_pose(portrait: Image, choice: PoseChoice) -> Keypoints:
    """Estimate the keypoints (133, 3) of a picture, uint8 (H, W, 3) RGB; zeros where no person is found."""
    estimate = choice.open(picture=True)
    try:
        return estimate(enlarged(portrait))
    finally:
        estimate.close()


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
    """Return driving poses with position, size, proportions and face of the portrait, in its frame.

    Args:
        driving: poses in a frame of any shape.
        portrait: (133, 3), of a picture of `width` x `height`.

    Raises:
        PoseError: as for `talkingpose.pose.retarget.retarget`.
    """
    from talkingpose.pose.face_retarget import retarget_face
    from talkingpose.pose.retarget import fullest_frame, retarget

    framed = driving.in_frame(width, height)
    driver = framed.keypoints[fullest_frame(framed.keypoints)]
    moved = retarget(framed.keypoints, driver, portrait, aspect=width / height)
    return replace(framed, keypoints=retarget_face(moved, portrait, aspect=width / height))


def _check_span(keypoints: Keypoints, name: str, total: int | None, fps: Fraction) -> None:
    """Raise DrivingError for a span without frames or without a person."""
    if not len(keypoints):
        length = "" if total is None else f" of {float(total / fps):.1f} s"
        raise DrivingError(f"{name}: no frame in this part{length}: give a smaller --start")
    if not (keypoints[..., 2] > 0).any():
        raise DrivingError(f"{name}: no person found in {len(keypoints)} frames: give another")


def _constant_rate(times: Sequence[Fraction], fps: Fraction) -> npt.NDArray[np.int64] | None:
    """Return the frame that is shown at each time of a constant rate; None if the rate is constant."""
    seconds = np.array([float(time - times[0]) for time in times])
    grid = np.arange(len(times)) / float(fps)
    if len(times) < 3 or np.abs(seconds - grid).max() < _RATE_TOLERANCE / float(fps):
        return None
    steps = np.diff(seconds)
    if steps.max() < _RATE_TOLERANCE * 2 * max(steps.min(), 1e-6):
        return None
    count = round(seconds[-1] * float(fps)) + 1
    if not 0 < count <= 2 * len(times):  # times of a damaged file
        return None
    grid = np.arange(count) / float(fps)
    return np.clip(np.searchsorted(seconds, grid + 0.25 / float(fps), side="right") - 1, 0, len(times) - 1)


def _of_file(path: Path) -> DrivingPoses:
    from talkingpose.pose import validate

    arrays = read_arrays(path, "driving")
    missing = {"keypoints", "fps", "width", "height"} - set(arrays)
    if missing:
        raise DrivingError(f"driving {path}: no {', '.join(sorted(missing))}: add them to the file")
    keypoints = arrays["keypoints"]
    try:
        fps = Fraction(float(arrays["fps"])).limit_denominator(100_000)
        width, height = int(arrays["width"]), int(arrays["height"])
    except (ValueError, TypeError, OverflowError, IndexError) as error:
        raise DrivingError(
            f"driving {path}: invalid keypoints, fps, width or height: write it with numpy.savez"
        ) from error
    if keypoints.dtype == np.float16 or keypoints.dtype == np.float64:
        keypoints = keypoints.astype(np.float32)
    validate(keypoints, f"driving {path}: keypoints")
    if keypoints.ndim != 3 or not len(keypoints) or fps <= 0 or min(width, height) < 1:
        raise DrivingError(
            f"driving {path}: keypoints {keypoints.shape}, {float(fps):g} fps, {width}x{height}: give "
            "(T, 133, 3), a rate and a size"
        )
    return DrivingPoses(keypoints, fps, width, height)
