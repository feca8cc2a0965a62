"""Inception features of sampled frames, for FID and KID."""

from __future__ import annotations

import pickle
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.features.contract import Arrays, CaseShape, FeatureError, FeatureSpec, FrameWindow
from talkingpose.io.image import Image
from talkingpose.weights import find

DIMENSIONS = 2048
# Neighbouring frames are nearly equal: more of them cost time and inflate the sample size.
PER_SECOND = 5


class Inception:
    """The 2048 pool features of real and generated frames at the same times."""

    spec = FeatureSpec(
        id="inception",
        version=1,
        definition=(
            "2048 pool features of Inception of 2015-12-05 as torch-fidelity computes them (its resize to "
            "299x299, as in TensorFlow 1), frame by frame, float32, on the CPU. "
            f"{PER_SECOND} frames per second: each frame t at which floor({PER_SECOND} t / fps) increases."
        ),
        weights=("inception",),
    )

    def __init__(self) -> None:
        import torch
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        path = find("inception", needed_by="fid and kid")
        try:
            # torch-fidelity loads the file without this restriction; a file that fails here never gets there.
            torch.load(path, map_location="cpu", weights_only=True)
            self._network: Any = FeatureExtractorInceptionV3(
                "inception", [str(DIMENSIONS)], feature_extractor_weights_path=str(path)
            )
        except (RuntimeError, pickle.UnpicklingError, EOFError, AttributeError) as error:
            raise FeatureError(
                f"inception: {path.name} does not hold the weights of Inception: tp-eval weights fetch "
                "inception"
            ) from error

    def start(self, case: CaseShape) -> InceptionClip:
        """Begin a clip."""
        return InceptionClip(self, case.fps)

    def of(self, image: Image) -> npt.NDArray[np.float32]:
        """Return the features of a picture, uint8 RGB (H, W, 3): float32 (2048,)."""
        import torch

        batch = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None]
        with torch.inference_mode():
            (features,) = self._network(batch)
        return np.asarray(features[0].numpy(), np.float32)


class InceptionClip:
    """Features of one clip so far, 16 KB per sampled pair."""

    def __init__(self, network: Inception, fps: Fraction) -> None:
        self._network, self._fps = network, fps
        self._real: list[npt.NDArray[np.float32]] = []
        self._generated: list[npt.NDArray[np.float32]] = []

    def update(self, window: FrameWindow) -> None:
        """Add the newest pair where it is sampled."""
        if is_sampled(window.t, self._fps):
            self._real.append(self._network.of(window.real()))
            self._generated.append(self._network.of(window.generated()))

    def finish(self) -> Arrays:
        """Return `real` and `generated`, float32 (samples, 2048)."""
        return {"real": _stacked(self._real), "generated": _stacked(self._generated)}


def is_sampled(t: int, fps: Fraction) -> bool:
    """Return true for the first frame in each fifth of a second."""
    return t == 0 or t * PER_SECOND // fps > (t - 1) * PER_SECOND // fps


def _stacked(rows: list[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
    return np.array(rows, np.float32).reshape(len(rows), DIMENSIONS)
