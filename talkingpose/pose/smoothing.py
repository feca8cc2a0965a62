"""Temporal smoothing of keypoints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from talkingpose.pose.keypoints import KEYPOINT_NAMES, PoseError, validate

_SHOULDERS = (KEYPOINT_NAMES.index("left_shoulder"), KEYPOINT_NAMES.index("right_shoulder"))
_MIN_CONFIDENCE = 0.3
# In shoulder widths. A point that moves farther between two frames was lost and found elsewhere: a hand at
# 3 m/s moves by 0.3 at 25 frames per second. Averaging over a jump would place it between the positions.
_JUMP = 0.5
# Share of the longer side of the picture, used if no frame shows both shoulders.
_SHOULDER_WIDTH = 0.25
_ORDER = 2


def smooth(
    keypoints: npt.NDArray[Any], fps: float, width: int, height: int, *, window_s: float = 0.2
) -> npt.NDArray[np.float32]:
    """Smooth each point with a Savitzky-Golay filter of order 2 over time.

    Only positions change. Missing points stay missing; gaps and jumps are neither filled nor smoothed across.
    Runs of frames shorter than the window are unchanged, and so is everything for a window below 5 frames
    (order 2 would interpolate every point). The filter has no lag and preserves uniform and uniformly
    accelerated motion.

    Args:
        keypoints: (T, 133, 3) of one video, normalised; confidence 0 marks a missing point.
        fps: frames per second.
        width: width of the picture; only its ratio to the height matters.
        height: height of the picture.
        window_s: length of the window in seconds; 0 for no smoothing.

    Returns:
        float32 (T, 133, 3); points that smoothing moves outside the picture are clipped to its edge.

    Raises:
        PoseError: invalid keypoints (see `validate`), or a rate, size or window out of range.

    Source:
        Savitzky and Golay, Analytical Chemistry 36 (1964); scipy.signal.savgol_filter.
    """
    validate(keypoints)
    if keypoints.ndim != 3:
        raise PoseError(f"keypoints: shape {keypoints.shape}: give a video, (T, 133, 3)")
    if not (fps > 0 and width > 0 and height > 0 and window_s >= 0):
        raise PoseError(f"smoothing: {fps} fps, {width}x{height}, {window_s} s: give positive numbers")
    from scipy.signal import savgol_filter

    smoothed = keypoints.astype(np.float32)
    window = round(fps * window_s) // 2 * 2 + 1
    if window < _ORDER + 3:
        return smoothed
    longest = _JUMP * _shoulder_width(keypoints, width, height)
    pixels = keypoints[..., :2].astype(np.float64) * (width, height)
    for point in range(keypoints.shape[1]):
        for start, end in _runs(keypoints[:, point, 2] > 0, pixels[:, point], longest):
            if end - start >= window:
                track = keypoints[start:end, point, :2].astype(np.float64)
                moved = savgol_filter(track, window, _ORDER, axis=0, mode="interp")
                # Only points that were outside before may stay outside.
                low, high = np.minimum(track.min(axis=0), 0), np.maximum(track.max(axis=0), 1)
                smoothed[start:end, point, :2] = np.clip(moved, low, high)
    return smoothed


def _shoulder_width(keypoints: npt.NDArray[Any], width: int, height: int) -> float:
    """Return the median shoulder width in pixels, over the frames that show both shoulders."""
    left, right = (keypoints[:, index].astype(np.float64) for index in _SHOULDERS)
    seen = np.minimum(left[:, 2], right[:, 2]) >= _MIN_CONFIDENCE
    if not seen.any():
        return _SHOULDER_WIDTH * max(width, height)
    apart = (left[seen, :2] - right[seen, :2]) * (width, height)
    # In profile the shoulders coincide in the picture.
    return max(float(np.median(np.hypot(*apart.T))), _SHOULDER_WIDTH * max(width, height) / 4)


def _runs(
    present: npt.NDArray[np.bool_], pixels: npt.NDArray[np.float64], longest: float
) -> Iterator[tuple[int, int]]:
    """Yield spans (start, end) in which a point is present without a jump."""
    steps = np.hypot(*np.diff(pixels, axis=0).T) if len(pixels) > 1 else np.empty(0)
    joined = present[1:] & present[:-1] & (steps <= longest)
    start = 0
    for index in range(1, len(present) + 1):
        if index == len(present) or not joined[index - 1]:
            if present[start]:
                yield start, index
            start = index
