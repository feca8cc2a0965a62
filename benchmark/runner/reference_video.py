"""Real frames of a case, decoded once for the metrics and for a contestant that needs them."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Generator, Iterator

import numpy as np

from talkingpose.io.image import Image
from talkingpose.media import MediaError, VideoReader
from talkingpose.pose.face_crop import FaceCrop


class ReferenceVideo:
    """Frames of a clip, uint8 RGB (height, width, 3), in order.

    Args:
        video: content of the video file.
        size: (width, height) to scale to; None keeps the stored size.
        name: name of the clip in messages.

    Raises:
        MediaError: the video cannot be opened or decoded.
    """

    def __init__(self, video: bytes, size: tuple[int, int] | None, name: str) -> None:
        self._video, self._size, self.name = video, size, name
        self._decoded = self.decode()
        # Frames that the contestant has read and the metrics have not.
        self._ahead: deque[Image] = deque()
        self._num_scored = 0

    def decode(self) -> Generator[Image, None, None]:
        """Decode all frames with a new decoder."""
        with VideoReader(self._video, size=self._size, name=self.name) as reader:
            for frame in reader.frames():
                yield np.ascontiguousarray(frame.image)

    def first(self) -> Image | None:
        """Return the first frame, which is still to be scored; None if there is no frame."""
        return self.peek(0)

    def next(self) -> Image | None:
        """Return the next frame to score, None after the last one."""
        image = self._ahead.popleft() if self._ahead else next(self._decoded, None)
        self._num_scored += image is not None
        return image

    def peek(self, index: int) -> Image | None:
        """Return a frame that is not yet scored, None after the last one.

        Raises:
            LookupError: the frame was scored and is no longer held.
        """
        position = index - self._num_scored
        if position < 0:
            raise LookupError(f"frame {index} is no longer held")
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
    """Driving frames as a contestant reads them: copies of the first `num_frames` of a video.

    A reader ahead of the metrics shares their decoder, and only the frames in between are held. A reader
    that falls behind, or a second one, decodes the video again. A video that ends early raises MediaError.
    """

    def __init__(self, video: ReferenceVideo, num_frames: int) -> None:
        self._video, self._num_frames = video, num_frames

    def __iter__(self) -> Iterator[Image]:
        for index in range(self._num_frames):
            try:
                image = self._video.peek(index)
            except LookupError:
                yield from itertools.islice(self._video.decode(), index, self._num_frames)
                return
            if image is None:
                raise MediaError(f"{self._video.name}: ends after {index} frames: curate it again")
            # A copy: the contestant may change it, and the metrics read the original.
            yield image.copy()


class DrivingFaces:
    """Face crops of driving frames, uint8 RGB (512, 512, 3); see `FaceCrop`."""

    def __init__(self, frames: DrivingFrames, crop: FaceCrop) -> None:
        self._frames, self._crop = frames, crop

    def __iter__(self) -> Iterator[Image]:
        for index, image in enumerate(self._frames):
            yield self._crop.crop(image, index)
