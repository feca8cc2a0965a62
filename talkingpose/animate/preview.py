"""Preview of a video in the making: portrait, pose and frame in a row."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np

from talkingpose.io.atomic import atomic_write
from talkingpose.io.image import Image
from talkingpose.io.progress import Progress

# The preview gets a second row after the person has moved.
_SECOND_ROW_S = 2


class Preview:
    """A picture next to the video, written at its first frame and again two seconds later.

    Args:
        path: of the PNG.
        portrait: uint8 (H, W, 3) RGB of any size.
        fps: frame rate of the video.
        progress: receives the path once the picture exists.
        draw: returns the pose picture of a frame, of the size of the video.
    """

    def __init__(
        self,
        path: Path,
        portrait: Image,
        fps: Fraction,
        progress: Progress,
        draw: Callable[[int], Image],
    ) -> None:
        self._path, self._portrait, self._progress, self._draw = path, portrait, progress, draw
        self._shown = self.rows(fps)
        self._rows: list[Image] = []
        self._num_frames = 0

    @staticmethod
    def rows(fps: Fraction) -> set[int]:
        """Return the indices of the frames that a preview shows."""
        return {0, round(_SECOND_ROW_S * fps)}

    def frame(self, frame: Image) -> None:
        """Take the next frame of the video."""
        index, self._num_frames = self._num_frames, self._num_frames + 1
        if index in self._shown:
            self._add_row(self._draw(index), frame)

    def remove(self) -> None:
        """Delete the picture if it was written."""
        if self._rows:
            self._path.unlink(missing_ok=True)

    def _add_row(self, pose: Image, frame: Image) -> None:
        import PIL.Image

        from talkingpose.media import resize_image

        portrait = self._portrait
        if portrait.shape != frame.shape:
            portrait = resize_image(portrait, (frame.shape[1], frame.shape[0]))
        self._rows.append(np.concatenate([portrait, pose, frame], axis=1))
        with atomic_write(self._path) as temporary:
            PIL.Image.fromarray(np.concatenate(self._rows)).save(temporary, format="PNG")
        if len(self._rows) == 1:
            self._progress.message(f"preview: {self._path}")
