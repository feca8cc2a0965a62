"""Identity of a face by dlib's recognition network; the extra `identity` installs it with its weights."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from talkingpose.io.errors import UserError
from talkingpose.io.image import Image

PACKAGES = ("dlib", "face_recognition_models")
# dlib's documentation: descriptors of one person are closer than this, those of two persons are not.
SAME_PERSON = 0.6

Descriptor = npt.NDArray[np.float32]


class IdentityError(UserError):
    """The face descriptor cannot be computed on this machine."""


def is_installed() -> bool:
    """Return whether the network and its weights are installed."""
    return all(importlib.util.find_spec(name) is not None for name in PACKAGES)


class FaceDescriptor:
    """128 numbers of a face, compared by Euclidean distance: up to 0.6 for one person.

    The network is `dlib_face_recognition_resnet_model_v1` (King 2017, public domain; CC0 in dlib-models). Do
    not compare by cosine: all descriptors point in similar directions.

    Raises:
        IdentityError: the extra `identity` is not installed, or its files are damaged.
    """

    def __init__(self) -> None:
        folder = _models()
        try:
            self._dlib: Any = importlib.import_module("dlib")
            self._network = self._dlib.face_recognition_model_v1(
                str(folder / "dlib_face_recognition_resnet_model_v1.dat")
            )
            self._five_points = self._dlib.shape_predictor(
                str(folder / "shape_predictor_5_face_landmarks.dat")
            )
        except (ImportError, RuntimeError) as error:
            raise IdentityError(
                f"dlib: {str(error).splitlines()[0]}: pip install --force-reinstall 'talkingpose[identity]'"
            ) from error

    def describe(
        self,
        image: Image,
        *,
        box: npt.ArrayLike | None = None,
        landmarks: npt.ArrayLike | None = None,
    ) -> Descriptor | None:
        """Return the descriptor of one face, float32 (128,).

        The face is rotated and scaled to 150 x 150 by its landmarks. Without landmarks, dlib finds five of
        them in the box.

        Args:
            image: uint8 RGB (H, W, 3).
            box: of the face from brows to chin, x0, y0, x1, y1 in pixels.
            landmarks: iBUG's 68 points, (68, 2), x and y in pixels.

        Returns:
            None for a face whose points are not finite or coincide.

        Raises:
            ValueError: neither box nor landmarks are given, or their shape is wrong.
        """
        if landmarks is not None:
            points = np.asarray(landmarks, np.float64)
            if points.shape != (68, 2):
                raise ValueError(f"landmarks: shape {points.shape}, expected (68, 2)")
        elif box is not None:
            points = np.asarray(box, np.float64)
            if points.shape != (4,):
                raise ValueError(f"box: shape {points.shape}, expected (4,)")
            points = points.reshape(2, 2)
        else:
            raise ValueError("give box or landmarks")
        pixels = np.ascontiguousarray(image)
        if not np.isfinite(points).all() or np.ptp(points, axis=0).min() < 1:
            return None
        low, high = points.min(axis=0), points.max(axis=0)
        rectangle = self._dlib.rectangle(*(round(float(value)) for value in (*low, *high)))
        if landmarks is None:
            shape = self._five_points(pixels, rectangle)
        else:
            parts = [self._dlib.point(round(float(x)), round(float(y))) for x, y in points]
            shape = self._dlib.full_object_detection(rectangle, parts)
        descriptor = np.array(self._network.compute_face_descriptor(pixels, shape), np.float32)
        return descriptor if np.isfinite(descriptor).all() else None


def _models() -> Path:
    """Return the folder of the weights, without importing their package, which needs `pkg_resources`."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    found = None if missing else importlib.util.find_spec(PACKAGES[1])
    if found is None or found.origin is None:
        raise IdentityError(
            f"identity by dlib: {' and '.join(missing)} not installed: pip install 'talkingpose[identity]'"
        )
    return Path(found.origin).with_name("models")
