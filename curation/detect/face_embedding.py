"""Who is to be seen: features of the face by ArcFace, where its weights are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from curation.detect.measurements import FrameSample
from talkingpose.pose import FACE
from talkingpose.weights import WeightsError, find, pick, read_member

ARCFACE, TRACK = "arcface", "face track"
_WEIGHTS, _MEMBER = "arcface", "w600k_r50.onnx"
_SIDE = 112
# Where ArcFace was trained to have the eyes, the tip of the nose and the corners of the mouth, in pixels.
_PLACES = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
# The same in iBUG's 68 points: groups whose mean is the point.
_POINTS = (range(36, 42), range(42, 48), (30,), (48,), (54,))

Identify = Callable[[npt.NDArray[np.uint8], npt.NDArray[np.float32]], "npt.NDArray[np.float32] | None"]


def method() -> str:
    """By what a person is known here: `arcface`, or `face track` where its weights are not."""
    return TRACK if _weights() is None else ARCFACE


def versions() -> dict[str, str]:
    """What changes the answer, for the record of a clip."""
    found = {"identity": method()}
    if found["identity"] == ARCFACE:
        found |= {entry.id: str(entry.sha256) for entry in pick([_WEIGHTS])}
    return found


def identifier() -> Identify | None:
    """Features of the face in a picture, float32 (512,) of unit length; None where the weights are not here.

    The function that it gives takes an RGB picture, uint8 (H, W, 3), with its keypoints, float32 (133, 3),
    and answers None where they have no face. A file that is no such network is an error of onnxruntime's.
    """
    path = _weights()
    if path is None:
        return None
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        read_member(path, _MEMBER), options, providers=["CPUExecutionProvider"]
    )
    name = session.get_inputs()[0].name

    def identify(
        image: npt.NDArray[np.uint8], keypoints: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float32] | None:
        face = align_face(image, keypoints)
        if face is None:
            return None
        planes = ((face.astype(np.float32) - 127.5) / 127.5).transpose(2, 0, 1)[None]
        features = np.asarray(session.run(None, {name: planes})[0][0], np.float32)
        return features / max(float(np.linalg.norm(features)), 1e-12)

    return identify


def align_face(
    image: npt.NDArray[np.uint8], keypoints: npt.NDArray[np.float32]
) -> npt.NDArray[np.uint8] | None:
    """The face turned, scaled and moved to where ArcFace expects it, uint8 (112, 112, 3); None without one.

    By least squares over five points, as InsightFace's `norm_crop` does.
    """
    import cv2

    points = keypoints[FACE]
    if not all(points[list(group), 2].all() for group in _POINTS):
        return None
    height, width = image.shape[:2]
    x, y = np.stack([points[list(group), :2].mean(axis=0) * (width, height) for group in _POINTS], 1)
    zero, one = np.zeros(5), np.ones(5)
    equations = np.concatenate([np.stack([x, -y, one, zero], 1), np.stack([y, x, zero, one], 1)])
    a, b, c, d = np.linalg.lstsq(equations, _PLACES.T.ravel(), rcond=None)[0]
    return np.asarray(cv2.warpAffine(image, np.array([[a, -b, c], [b, a, d]]), (_SIDE, _SIDE)), np.uint8)


def mean_face(samples: Sequence[FrameSample]) -> npt.NDArray[np.float32] | None:
    """Mean of the features of a face, (512,), of unit length; None where the identity model saw none."""
    known = [sample.identity for sample in samples if sample.identity is not None]
    if not known:
        return None
    mean = np.mean(known, axis=0)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), np.float32)


def write_face(face: npt.NDArray[np.float32]) -> str:
    """Features as float16, in hex."""
    return face.astype("<f2").tobytes().hex()


def read_face(text: str) -> npt.NDArray[np.float32]:
    """Features that `write_face` wrote, of unit length."""
    face = np.frombuffer(bytes.fromhex(text), "<f2").astype(np.float32)
    return face / max(float(np.linalg.norm(face)), 1e-12)


@cache
def _weights() -> Path | None:
    try:
        return find(_WEIGHTS, needed_by="the identity filter")
    except WeightsError:
        return None
