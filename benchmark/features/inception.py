"""Inception features of sampled frames, of which FID and KID are computed."""

from __future__ import annotations

import pickle
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from benchmark.features.feature import Arrays, FeatureError, FeatureSpec
from talkingpose.weights import find

if TYPE_CHECKING:
    from benchmark.metrics.metric import CaseShape
    from benchmark.metrics.window import PairWindow

DIMENSIONS = 2048
# Neighbouring frames tell the same; more of them cost time and give a false count.
PER_SECOND = 5


class Inception:
    """Gathers the 2048 pool features of real and generated frames at the same times."""

    spec = FeatureSpec(
        id="inception",
        version=1,
        definition=(
            "2048 pool features of Inception of 2015-12-05 as torch-fidelity computes them (its resize to "
            "299x299, as TensorFlow 1), frames one by one, float32, on the CPU; "
            f"{PER_SECOND} frames a second: frame t where floor({PER_SECOND} t / fps) is new."
        ),
        weights=("inception",),
    )

    def __init__(self) -> None:
        import torch
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        path = find("inception", needed_by="fid and kid")
        try:
            # torch-fidelity loads the file without this restriction: what fails here never gets there.
            torch.load(path, map_location="cpu", weights_only=True)
            self._network: Any = FeatureExtractorInceptionV3(
                "inception", [str(DIMENSIONS)], feature_extractor_weights_path=str(path)
            )
        except (RuntimeError, pickle.UnpicklingError, EOFError, AttributeError) as error:
            raise FeatureError(
                f"inception: {path.name} has not the weights of Inception: tp-eval weights fetch inception"
            ) from error

    def start(self, case: CaseShape) -> InceptionClip:
        """Begin a clip."""
        return InceptionClip(self, case.fps)

    def of(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Features of one picture, uint8 RGB (H, W, 3): float32 (2048,)."""
        import torch

        batch = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None]
        with torch.inference_mode():
            (features,) = self._network(batch)
        return np.asarray(features[0].numpy(), np.float32)


class InceptionClip:
    """Features of one clip so far: 16 KB for each sampled pair."""

    def __init__(self, network: Inception, fps: Fraction) -> None:
        self._network, self._fps = network, fps
        self._real: list[npt.NDArray[np.float32]] = []
        self._generated: list[npt.NDArray[np.float32]] = []

    def update(self, window: PairWindow) -> None:
        """Take the newest pair where it is one of the sample."""
        if is_sampled(window.t, self._fps):
            self._real.append(self._network.of(window.real()))
            self._generated.append(self._network.of(window.generated()))

    def finish(self) -> Arrays:
        """`real` and `generated`, each float32 (samples, 2048)."""
        return {"real": _stacked(self._real), "generated": _stacked(self._generated)}


def is_sampled(t: int, fps: Fraction) -> bool:
    """Whether frame `t` is the first of its fifth of a second."""
    return t == 0 or t * PER_SECOND // fps > (t - 1) * PER_SECOND // fps


def _stacked(rows: list[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
    return np.array(rows, np.float32).reshape(len(rows), DIMENSIONS)
