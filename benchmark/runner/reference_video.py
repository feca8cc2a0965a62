"""The real frames of one case: decoded once, shared by the scores and a contestant that asks for them."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Generator, Iterator

import numpy as np
import numpy.typing as npt

from talkingpose.media import MediaError, VideoReader

Image = npt.NDArray[np.uint8]


class ReferenceVideo:
    """A clip's frames, uint8 RGB (height, width, 3), in order, for scoring; a `DrivingFrames` may read along.

    Args:
        video: the bytes of the file.
        size: (width, height) to scale to; None keeps the stored size.
        name: of the clip, for messages.

    Raises:
        MediaError: the video cannot be opened or decoded.
    """

    def __init__(self, video: bytes, size: tuple[int, int] | None, name: str) -> None:
        self._video, self._size, self.name = video, size, name
        self._decoded = self.decode()
        # Frames that the contestant has seen and the scores have not.
        self._ahead: deque[Image] = deque()
        self._num_scored = 0

    def decode(self) -> Generator[Image, None, None]:
        """All frames, by a decoder of their own."""
        with VideoReader(self._video, size=self._size, name=self.name) as reader:
            for frame in reader.frames():
                yield np.ascontiguousarray(frame.image)

    def first(self) -> Image | None:
        """The first frame, None in a video without any; it is still to be scored."""
        return self.peek(0)

    def next(self) -> Image | None:
        """The next frame to score, None after the last."""
        image = self._ahead.popleft() if self._ahead else next(self._decoded, None)
        self._num_scored += image is not None
        return image

    def peek(self, index: int) -> Image | None:
        """Frame `index`, not yet scored; None after the last.

        Raises:
            LookupError: the frame was scored already and is forgotten.
        """
        position = index - self._num_scored
        if position < 0:
            raise LookupError(f"frame {index} is forgotten")
        while len(self._ahead) <= position:
            image = next(self._decoded, None)
            if image is None:
                return None
            self._ahead.append(image)
        return self._ahead[position]

    def close(self) -> None:
        """Close the decoder."""
        self._decoded.close()


class DrivingFrames:
    """The driving frames as a contestant iterates over them: the first `num_frames` of the footage.

    While it reads ahead of the scores it shares their decoder, and only the frames between the two are held.
    A reading that falls behind, or a second one, decodes for itself. A video that ends early raises
    MediaError.
    """

    def __init__(self, footage: ReferenceVideo, num_frames: int) -> None:
        self._footage, self._num_frames = footage, num_frames

    def __iter__(self) -> Iterator[Image]:
        for index in range(self._num_frames):
            try:
                image = self._footage.peek(index)
            except LookupError:
                yield from itertools.islice(self._footage.decode(), index, self._num_frames)
                return
            if image is None:
                raise MediaError(f"{self._footage.name}: ends after {index} frames: curate it again")
            # A copy: what a contestant does to it must not reach the frames that are scored.
            yield image.copy()
