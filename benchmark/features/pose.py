"""The pose of a frame, by the same detector for the real and the generated video."""

from __future__ import annotations

import importlib
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from benchmark.features.feature import FeatureSpec

if TYPE_CHECKING:
    from benchmark.metrics.window import PairWindow, Side
    from talkingpose.pose import HolisticEstimator

Keypoints = npt.NDArray[np.float32]


class _Stream:
    """The detector on its way through one side of one clip."""

    def __init__(self) -> None:
        from talkingpose.pose import HolisticEstimator

        self.estimator: HolisticEstimator = HolisticEstimator()
        self.next = 0


class DetectedPose:
    """Keypoints by mediapipe's holistic solution, which follows a person from frame to frame.

    It needs the frames of a clip in order, each once: the one feature that has a memory. Each side of each
    window has a detector of its own, which is closed when the window is gone.
    """

    spec = FeatureSpec(
        id="pose",
        version=1,
        definition=(
            "COCO-WholeBody keypoints (133, 3) by mediapipe holistic, its release part of the protocol's "
            "hash, model complexity 1, tracking on, as talkingpose.pose.HolisticEstimator gives them; a "
            "fresh detector for the real and for the generated frames of every clip, each fed all frames in "
            "order at the size of the protocol."
        ),
        packages=("mediapipe",),
    )

    def __init__(self) -> None:
        # Now, so that a missing mediapipe is told before the first frame. In a thread, because something that
        # it imports keeps an exception and thereby the whole stack below: the first clip, to the end.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(importlib.import_module, "mediapipe.python.solutions.holistic").result()
        self._streams: weakref.WeakKeyDictionary[PairWindow, dict[Side, _Stream]] = (
            weakref.WeakKeyDictionary()
        )

    def extract(self, window: PairWindow, side: Side, back: int) -> Keypoints:
        """Keypoints of a frame: float32 (133, 3), x, y, confidence in [0, 1], 0 where absent.

        Raises:
            LookupError: a frame was left out, or is asked for after a newer one.
            PoseError: mediapipe failed.
        """
        if side == "reference":
            from talkingpose.pose import HolisticEstimator

            with HolisticEstimator() as estimator:
                return estimator(window.image(side))
        stream = self._stream(window, side)
        if window.t - back != stream.next:
            raise LookupError(f"feature pose: frame {window.t - back} of {side}, {stream.next} is next")
        stream.next += 1
        return stream.estimator(window.image(side, back))

    def _stream(self, window: PairWindow, side: Side) -> _Stream:
        sides = self._streams.get(window)
        if sides is None:
            sides = self._streams[window] = {}
            weakref.finalize(window, _close, sides)
        if side not in sides:
            sides[side] = _Stream()
        return sides[side]


def _close(streams: dict[Side, _Stream]) -> None:
    for stream in streams.values():
        stream.estimator.close()
