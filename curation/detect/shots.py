"""Shot boundaries, frame by frame, and the spans between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

import numpy as np

from curation.settings import ShotsSettings
from talkingpose.io.image import Image


class ShotDetector:
    """PySceneDetect's AdaptiveDetector, fed with the frames of one video in order.

    A cut is a frame that changes the picture by much more than its neighbours do.
    """

    def __init__(self, settings: ShotsSettings, fps: Fraction) -> None:
        from scenedetect.detectors import AdaptiveDetector

        self._settings = settings
        self._fps = fps
        self._detector = AdaptiveDetector(
            adaptive_threshold=settings.adaptive_threshold,
            min_scene_len=0,
            window_width=settings.window_frames,
            min_content_val=settings.min_content,
        )
        self._changes: list[float] = []
        self._candidates: list[int] = []
        self._last: Image | None = None

    def feed(self, image: Image) -> None:
        """Process the next frame, uint8 (H, W, 3) RGB; all frames have the same size."""
        import cv2

        height, width = image.shape[:2]
        if width > self._settings.width:
            small = (self._settings.width, max(round(height * self._settings.width / width), 1))
            image = np.asarray(cv2.resize(image, small, interpolation=cv2.INTER_AREA), np.uint8)
        self._last = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2BGR), np.uint8)
        self._process(self._last)

    def finish(self) -> list[int]:
        """First frame of every shot but the first, in order."""
        num_frames = len(self._changes)
        if self._last is not None:
            # The detector decides `window_frames` late, so the last frame is repeated.
            for _ in range(self._settings.window_frames):
                self._process(self._last)
        found = [index for index in self._candidates if 0 < index < num_frames]
        return strongest(found, self._changes, self._settings.window_frames)

    def _process(self, image: Image) -> None:
        from scenedetect import FrameTimecode

        index = len(self._changes)
        cuts = self._detector.process_frame(FrameTimecode(index, self._fps), image)
        self._candidates += [cut.frame_num for cut in cuts]
        self._changes.append(float(self._detector._frame_score or 0.0))


def strongest(candidates: Sequence[int], changes: Sequence[float], window: int) -> list[int]:
    """Keep the largest change among candidates within `window` frames of one another.

    One cut can raise the score of several frames: a blended frame between two shots changes twice.

    Args:
        candidates: Frame indices in order.
        changes: Change from the frame before, for every frame.
        window: Distance in frames.
    """
    kept: list[int] = []
    for index in sorted(candidates, key=lambda i: (-changes[i], i)):
        if all(abs(index - other) > window for other in kept):
            kept.append(index)
    return sorted(kept)


def spans(
    cuts: Sequence[int], times: Sequence[Fraction], end: Fraction, max_s: float
) -> list[tuple[int, int]]:
    """Frame ranges (start, end exclusive) between cuts; longer ones than `max_s` in parts of equal length.

    Args:
        cuts: First frames of shots, in order, without 0.
        times: Presentation time of every frame, in seconds.
        end: End of the last frame, in seconds.
        max_s: Longest span in seconds.
    """
    edges = [0, *cuts, len(times)]
    found = []
    for start, stop in pairwise(edges):
        seconds = float((times[stop] if stop < len(times) else end) - times[start])
        parts = max(math.ceil(seconds / max_s), 1)
        inner = [start + (stop - start) * part // parts for part in range(parts + 1)]
        found += [(a, b) for a, b in pairwise(inner) if a < b]
    return found
