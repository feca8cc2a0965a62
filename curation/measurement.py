"""What was measured of a shot: plain data that the filters judge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Box(NamedTuple):
    """Corners, normalised by the picture's width and height; may reach beyond the picture."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def height(self) -> float:
        """Share of the picture's height."""
        return self.y1 - self.y0


@dataclass(frozen=True)
class Sample:
    """One frame that was looked at.

    Attributes:
        index: of the frame in the source, from 0.
        faces: every face found.
        keypoints: float32 (133, 3) of the main person, COCO-WholeBody, x, y, confidence in [0, 1]; None
            where no face was found, so that nobody was searched.
    """

    index: int
    faces: tuple[Box, ...]
    keypoints: npt.NDArray[np.float32] | None


@dataclass(frozen=True)
class Shot:
    """Frames `start` to `end` (exclusive) of a source, with the samples among them.

    `width` and `height` are the source's, in pixels, as shown.
    """

    start: int
    end: int
    duration_s: float
    width: int
    height: int
    samples: tuple[Sample, ...]

    @property
    def num_frames(self) -> int:
        """How many frames the shot has."""
        return self.end - self.start
