"""Detector of burnt-in text: rows of letters that stand still while the picture behind them moves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from curation.detect.measurements import Box, Luma

# Longer side, in pixels, at which letters are searched.
_SIDE = 640
# Captions must be legible on any background: bright on dark or dark on bright, in thin strokes.
_CONTRAST = 50
_STROKE = 9  # pixels
_HEIGHTS = (0.014, 0.13)  # of the picture's height
_MIN_LETTERS = 5
# Burnt-in lines are level, words on clothes seldom are. Within a level line the middles of letters differ by
# up to a third of their height: one letter with a stroke above, one with a stroke below.
_MAX_OFFSET = 0.35  # of the larger letter's height
_MAX_LINE_HEIGHT = 2.0  # median heights of its letters
_MAX_PARTS = 500

# 0 or 1, uint8 (H, W).
Mask = npt.NDArray[np.uint8]


class TextFinder:
    """Finds text that stays in place between two frames about a second apart. One instance per video."""

    def __init__(self) -> None:
        self._before: tuple[Mask, Mask] | None = None

    def __call__(self, luma: Luma) -> tuple[Box, ...]:
        """Boxes of letters in lines of text; none for the first frame.

        Letters and not lines: the pattern of a shirt continues on both sides of a hand, but not over it.

        Args:
            luma: uint8 (H, W), the whole picture at its own resolution.
        """
        import cv2

        strokes = _strokes(luma)
        before, self._before = self._before, strokes
        if before is None or before[0].shape != strokes[0].shape:
            return ()
        # Encoders move edges by up to a pixel.
        still = [
            now & np.asarray(cv2.dilate(then, np.ones((3, 3), np.uint8)), np.uint8)
            for now, then in zip(strokes, before, strict=True)
        ]
        height, width = strokes[0].shape
        return tuple(
            Box(x0 / width, y0 / height, x1 / width, y1 / height)
            for mask in still
            for x0, y0, x1, y1 in _lines(_letters(mask))
        )


def _strokes(luma: Luma) -> tuple[Mask, Mask]:
    """Masks of thin strokes that are much brighter, and much darker, than their surroundings.

    Two masks, because a bright letter with a dark rim would merge with its neighbours.
    """
    import cv2

    scale = _SIDE / max(luma.shape)
    if scale < 1:
        size = (max(round(luma.shape[1] * scale), 1), max(round(luma.shape[0] * scale), 1))
        luma = np.asarray(cv2.resize(luma, size, interpolation=cv2.INTER_AREA), np.uint8)
    kernel = np.ones((_STROKE, _STROKE), np.uint8)
    bright = cv2.morphologyEx(luma, cv2.MORPH_TOPHAT, kernel)
    dark = cv2.morphologyEx(luma, cv2.MORPH_BLACKHAT, kernel)
    most, least = (np.asarray(f(luma, kernel), np.int16) for f in (cv2.dilate, cv2.erode))
    above = 2 * luma.astype(np.int16) > most + least
    return (
        np.asarray((bright > _CONTRAST) & above, np.uint8),
        np.asarray((dark > _CONTRAST) & ~above, np.uint8),
    )


@dataclass(frozen=True)
class _Parts:
    """Candidates for letters: edges in pixels, each (N,)."""

    x0: npt.NDArray[np.int64]
    y0: npt.NDArray[np.int64]
    x1: npt.NDArray[np.int64]
    y1: npt.NDArray[np.int64]


def _letters(still: Mask) -> _Parts:
    import cv2

    _, _, stats, _ = cv2.connectedComponentsWithStats(still, connectivity=8)
    x, y, w, h, area = np.asarray(stats[1:], np.int64).T
    tall = (h >= _HEIGHTS[0] * still.shape[0]) & (h <= _HEIGHTS[1] * still.shape[0]) & (h >= 4)
    fill = area / np.maximum(w * h, 1)
    good = np.flatnonzero(tall & (w <= 3 * h) & (4 * w >= h // 2) & (fill >= 0.2) & (fill <= 0.95))
    good = good[np.argsort(-area[good], kind="stable")[:_MAX_PARTS]]
    return _Parts(x[good], y[good], (x + w)[good], (y + h)[good])


def _lines(parts: _Parts) -> list[tuple[int, int, int, int]]:
    """Letters of level rows in which all are of similar height, as (x0, y0, x1, y1) in pixels."""
    count = len(parts.x0)
    if count < _MIN_LETTERS:
        return []
    height = parts.y1 - parts.y0
    middle = (parts.y0 + parts.y1) / 2
    offset = np.abs(middle[:, None] - middle)
    gap = np.maximum(parts.x0[:, None], parts.x0) - np.minimum(parts.x1[:, None], parts.x1)
    larger, smaller = np.maximum(height[:, None], height), np.minimum(height[:, None], height)
    joined = (offset <= _MAX_OFFSET * larger) & (larger <= 2 * smaller) & (gap <= larger)
    from scipy.sparse.csgraph import connected_components

    _, labels = connected_components(joined, directed=False)
    found = []
    for label in np.unique(labels):
        own = labels == label
        letter_height = np.median(height[own])
        long = parts.x1[own].max() - parts.x0[own].min() >= 3 * letter_height
        level = parts.y1[own].max() - parts.y0[own].min() <= _MAX_LINE_HEIGHT * letter_height
        if own.sum() < _MIN_LETTERS or not (long and level):
            continue
        for letter in np.flatnonzero(own):
            margin = int(height[letter]) // 4
            found.append(
                (
                    int(parts.x0[letter]) - margin,
                    int(parts.y0[letter]),
                    int(parts.x1[letter]) + margin,
                    int(parts.y1[letter]),
                )
            )
    return found
