"""Less jitter in keypoints over time, without a point that no detector saw."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from talkingpose.pose.keypoints import KEYPOINT_NAMES, PoseError, validate

_SHOULDERS = (KEYPOINT_NAMES.index("left_shoulder"), KEYPOINT_NAMES.index("right_shoulder"))
_MIN_CONFIDENCE = 0.3
# In shoulder widths. A point that moves farther from one frame to the next has been lost and found elsewhere:
# a hand at 3 m/s moves by 0.3 in a frame of 25 a second. Averaging over a jump would put it in mid-air.
_JUMP = 0.5
# Where no frame shows both shoulders, a share of the picture's longer side instead.
_SHOULDER_WIDTH = 0.25
_ORDER = 2


def smooth(
    keypoints: npt.NDArray[Any], fps: float, width: int, height: int, *, window_s: float = 0.2
) -> npt.NDArray[np.float32]:
    """Savitzky-Golay smoothing of order 2 along time, each point by itself.

    Only positions change, and only of points that are there: a missing point stays missing, gaps are neither
    filled nor smoothed across, nor are jumps. Confidence stays as it is. A run of frames shorter than the
    window is left alone, so a window of less than 5 frames (order 2 would go through every point) changes
    nothing. There is no lag, and a steady or evenly accelerated movement stays as it is.

    Args:
        keypoints: (T, 133, 3) of one video, normalised; confidence 0 marks a missing point.
        fps: frames per second.
        width, height: of the picture, in pixels (their ratio matters, for distances).
        window_s: seconds that one value is taken from; 0 for none.

    Returns:
        float32 (T, 133, 3); what lies outside the picture after smoothing is moved to its edge.

    Raises:
        PoseError: no such keypoints (see `validate`), or a rate, size or window that cannot be.

    Source: Savitzky and Golay, Analytical Chemistry 36 (1964); scipy.signal.savgol_filter.
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
                # Only points that were outside before may be outside afterwards.
                low, high = np.minimum(track.min(axis=0), 0), np.maximum(track.max(axis=0), 1)
                smoothed[start:end, point, :2] = np.clip(moved, low, high)
    return smoothed


def _shoulder_width(keypoints: npt.NDArray[Any], width: int, height: int) -> float:
    """Median over the frames that show both shoulders, in pixels."""
    left, right = (keypoints[:, index].astype(np.float64) for index in _SHOULDERS)
    seen = np.minimum(left[:, 2], right[:, 2]) >= _MIN_CONFIDENCE
    if not seen.any():
        return _SHOULDER_WIDTH * max(width, height)
    apart = (left[seen, :2] - right[seen, :2]) * (width, height)
    # Seen from the side the shoulders fall together; a person is not narrower for it.
    return max(float(np.median(np.hypot(*apart.T))), _SHOULDER_WIDTH * max(width, height) / 4)


def _runs(
    present: npt.NDArray[np.bool_], pixels: npt.NDArray[np.float64], longest: float
) -> Iterator[tuple[int, int]]:
    """Spans (start, end) in which a point is there without a jump."""
    steps = np.hypot(*np.diff(pixels, axis=0).T) if len(pixels) > 1 else np.empty(0)
    joined = present[1:] & present[:-1] & (steps <= longest)
    start = 0
    for index in range(1, len(present) + 1):
        if index == len(present) or not joined[index - 1]:
            if present[start]:
                yield start, index
            start = index
