"""Pose of a frame, by the same detector for the real and the generated video."""

from __future__ import annotations

import importlib
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from benchmark.features.contract import FeatureSpec, FrameWindow, Keypoints, Side

if TYPE_CHECKING:
    from talkingpose.pose import HolisticEstimator


class _Stream:
    """Detector of one side of one clip."""

    def __init__(self) -> None:
        from talkingpose.pose import HolisticEstimator

        self.estimator: HolisticEstimator = HolisticEstimator()
        self.next = 0


class DetectedPose:
    """Keypoints by mediapipe's holistic solution, which tracks a person from frame to frame.

    It needs every frame of a clip once and in order: it is the only feature with a memory. Each side of each
    window has its own detector, which is closed with the window.
    """

    spec = FeatureSpec(
        id="pose",
        version=1,
        definition=(
            "COCO-WholeBody keypoints (133, 3) by mediapipe holistic, model complexity 1, tracking on, as "
            "talkingpose.pose.HolisticEstimator returns them. The release of mediapipe is part of the "
            "protocol's hash. The real and the generated frames of every clip each have a new detector, "
            "which receives all frames in order at the size of the protocol."
        ),
        packages=("mediapipe",),
    )

    def __init__(self) -> None:
        # Imported here, so that a missing mediapipe is reported before the first frame. In a thread, because
        # an import of mediapipe keeps an exception, and with it every frame of the stack: the first clip.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(importlib.import_module, "mediapipe.python.solutions.holistic").result()
        self._streams: weakref.WeakKeyDictionary[FrameWindow, dict[Side, _Stream]] = (
            weakref.WeakKeyDictionary()
        )

    def extract(self, window: FrameWindow, side: Side, back: int) -> Keypoints:
        """Return the keypoints of a frame, float32 (133, 3): x, y, confidence in [0, 1], 0 where absent.

        Raises:
            LookupError: a frame was skipped, or is requested after a newer one.
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

    def _stream(self, window: FrameWindow, side: Side) -> _Stream:
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
