"""Pose estimators: COCO-WholeBody keypoints of one person in an image."""

from __future__ import annotations

import os
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from talkingpose.io.image import Image
from talkingpose.pose.holistic import from_holistic
from talkingpose.pose.keypoints import FACE, PoseError

# File names inside mediapipe's wheel. It contains only the second and would download the others.
_POSE_MODELS = ("pose_landmark_lite.tflite", "pose_landmark_full.tflite", "pose_landmark_heavy.tflite")
_LOG_NOISE = re.compile(
    rb"[IW]\d{4} \d\d:\d\d:"  # absl's prefix of information and warnings
    rb"|INFO: Created TensorFlow Lite XNNPACK delegate"
    rb"|WARNING: All log messages before absl::InitializeLog\(\)"
)
_STDERR_LOCK = threading.Lock()


class PoseEstimator(Protocol):
    """Estimator of one person's pose, for the frames of one video in order."""

    @property
    def name(self) -> str:
        """Name of the estimator."""

    @property
    def version(self) -> str:
        """Release and settings: all that affects the keypoints."""

    def __call__(self, image: Image) -> npt.NDArray[np.float32]:
        """Estimate keypoints (133, 3) in an RGB image, uint8 (H, W, 3): x, y, confidence in [0, 1]."""

    def close(self) -> None:
        """Release resources; the estimator cannot be called afterwards."""


class HolisticEstimator:
    """mediapipe's holistic solution as a `PoseEstimator`, offline and on the CPU.

    It tracks the person, so use one instance per video, with frames of one size in order. A new instance
    gives the same keypoints for the same frames.

    Args:
        static_image_mode: treat each image as the first frame of a new video. (mediapipe's own mode of this
            name still carries face and hands over.)
        model_complexity: mediapipe's lite (0), full (1) or heavy (2) body model.

    Raises:
        PoseError: mediapipe's installation has no such model; it is not downloaded.
    """

    name = "mediapipe-holistic"

    def __init__(self, *, static_image_mode: bool = False, model_complexity: int = 1) -> None:
        if model_complexity not in range(len(_POSE_MODELS)):
            raise PoseError(f"model complexity {model_complexity}: choose 0, 1 or 2")
        from talkingpose.pose.mediapipe_import import import_mediapipe

        mediapipe: Any = import_mediapipe()
        model = Path(mediapipe.__file__).parent / "modules" / "pose_landmark" / _POSE_MODELS[model_complexity]
        if not model.is_file():
            raise PoseError(
                f"model complexity {model_complexity}: mediapipe does not include {model.name}: choose 1"
            )
        mode = "static" if static_image_mode else "stream"
        self.version = f"{mediapipe.__version__} complexity={model_complexity} {mode}"
        self._static = static_image_mode
        self._complexity = model_complexity
        self._size: tuple[int, int] | None = None
        self._solution: Any = None
        self._closed = False
        # mediapipe logs when its models start, and again at the first face or hand.
        self._may_warn = True

    def __call__(self, image: Image) -> npt.NDArray[np.float32]:
        """Estimate the keypoints of the person.

        Args:
            image: RGB, uint8 (H, W, 3).

        Returns:
            float32 (133, 3), as `from_holistic`; all zeros without a person.

        Raises:
            PoseError: the estimator is closed, `image` is invalid or of another size, or mediapipe failed.
        """
        if self._closed:
            raise PoseError("pose estimator: closed: create one per video")
        self._check(image)
        try:
            with quiet_stderr() if self._may_warn or self._static else nullcontext():
                keypoints = self._keypoints(image, self._process(image))
        except PoseError:
            raise
        except (RuntimeError, ValueError) as error:
            # A failed graph fails again when closed, and has lost the tracked person.
            self._solution, self._closed = None, True
            reason = " ".join(str(error).split())
            raise PoseError(f"mediapipe: {reason}: check the frame and the installation") from error
        if keypoints[FACE.start :].any():
            self._may_warn = False
        return keypoints

    def _process(self, image: Image) -> Any:
        from mediapipe.python.solutions import holistic

        if self._static:
            self._release()
        if self._solution is None:
            self._solution = holistic.Holistic(model_complexity=self._complexity)
        return self._solution.process(np.ascontiguousarray(image))

    def _keypoints(self, image: Image, results: Any) -> npt.NDArray[np.float32]:
        return from_holistic(results)

    def close(self) -> None:
        """Release mediapipe's graph. Can be called repeatedly."""
        self._closed = True
        self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _release(self) -> None:
        solution, self._solution = self._solution, None
        if solution is not None:
            solution.close()

    def _check(self, image: Image) -> None:
        check_image(image)
        size = (image.shape[1], image.shape[0])
        if self._size is not None and size != self._size and not self._static:
            raise PoseError(
                f"frame: {size[0]}x{size[1]} after {self._size[0]}x{self._size[1]}: "
                "give the frames of one video, or set static_image_mode"
            )
        self._size = size


def check_image(image: Image) -> None:
    """Check for an RGB image, uint8 (H, W, 3).

    Raises:
        PoseError: another type or shape.
    """
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        kind = image.dtype if isinstance(image, np.ndarray) else type(image).__name__
        raise PoseError(f"frame: {kind}: give a uint8 array")
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise PoseError(f"frame: shape {image.shape}: give RGB (H, W, 3)")


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Remove the information and warnings of mediapipe's C++ log from stderr.

    The log has no setting and writes to file descriptor 2, so the descriptor is redirected and all other
    lines are passed on. One thread at a time, because two would restore each other's descriptor.
    """
    with _STDERR_LOCK:
        try:
            stderr = os.dup(2)
        except OSError:  # the process has no stderr
            stderr = None
        if stderr is None:
            yield
            return
        try:
            with tempfile.TemporaryFile() as caught:
                os.dup2(caught.fileno(), 2)
                try:
                    yield
                finally:
                    os.dup2(stderr, 2)
                    caught.seek(0)
                    _pass_on(caught, stderr)
        finally:
            os.close(stderr)


def _pass_on(caught: IO[bytes], stderr: int) -> None:
    rest = b"".join(line for line in caught if not _LOG_NOISE.match(line))
    while rest:
        rest = rest[os.write(stderr, rest) :]
