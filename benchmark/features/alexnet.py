"""What LPIPS sees of a frame: the normalised activations of AlexNet's five convolutions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from benchmark.features.feature import FeatureError, FeatureSpec
from talkingpose.weights import find

if TYPE_CHECKING:
    import torch

    from benchmark.metrics.window import Image, PairWindow, Side

# Indices into torchvision's `alexnet().features`: the slice ends after each ReLU that LPIPS reads.
_SLICES = ((0, 2), (2, 5), (5, 8), (8, 10), (10, 12))
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
# In torch's deeper pools nothing is left of frames below this.
MIN_SIDE = 32


class LpipsAlex:
    """AlexNet of ImageNet, torchvision's layers, under the learned heads of LPIPS v0.1."""

    spec = FeatureSpec(
        id="lpips-alex",
        version=1,
        definition=(
            "Frame scaled from [0, 255] to [-1, 1], shifted and scaled per channel as LPIPS does, through "
            "torchvision's AlexNet trained on ImageNet, float32 on the CPU. Outputs of its five ReLUs, each "
            "divided at every place by its length over channels (plus 1e-10) and multiplied by the root of "
            "the channel's weight in the head of LPIPS v0.1 over the number of places: the squared distance "
            "of two such vectors is LPIPS."
        ),
        weights=("lpips-alex",),
    )

    def __init__(self) -> None:
        import torch

        self._layers = _trunk(find("lpips-alex", needed_by="lpips"))
        self._heads = _heads()
        self._shift = torch.tensor(_SHIFT).view(1, 3, 1, 1)
        self._scale = torch.tensor(_SCALE).view(1, 3, 1, 1)

    def extract(self, window: PairWindow, side: Side, back: int) -> npt.NDArray[np.float32] | None:
        """float32 (dimensions,), None in frames below 32 pixels a side."""
        image = window.image(side, back)
        return None if min(image.shape[:2]) < MIN_SIDE else self.vector(image)

    def vector(self, image: Image) -> npt.NDArray[np.float32]:
        """The same of a single uint8 RGB (H, W, 3) picture of at least 32 pixels a side."""
        import torch

        with torch.inference_mode():
            value = torch.from_numpy(_channels_first(image)) / 127.5 - 1
            value = (value - self._shift) / self._scale
            found = []
            for (first, end), head in zip(_SLICES, self._heads, strict=True):
                value = self._layers[first:end](value)
                length = torch.sqrt((value**2).sum(dim=1, keepdim=True)) + 1e-10
                found.append((value / length * torch.sqrt(head / value[0, 0].numel())).flatten())
            vector: npt.NDArray[np.float32] = torch.cat(found).numpy()
        return vector


def _channels_first(image: Image) -> npt.NDArray[np.float32]:
    return np.ascontiguousarray(image.transpose(2, 0, 1)[None], dtype=np.float32)


def _trunk(path: Path) -> Any:
    """The convolutions of AlexNet, with the weights of torchvision's file."""
    import torch
    from torchvision.models import alexnet

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        model = alexnet(weights=None)
        model.load_state_dict(state)
    except Exception as error:  # torch has no common class for what a foreign file may hold
        raise FeatureError(
            f"lpips-alex: {path.name} is no AlexNet of torchvision ({type(error).__name__}): "
            "tp-eval weights fetch lpips-alex"
        ) from error
    return model.features.eval().requires_grad_(False)


def _heads() -> list[torch.Tensor]:
    """Non-negative weights (1, C, 1, 1) of each slice's channels, from torchmetrics' copy of LPIPS v0.1."""
    import torch
    import torchmetrics.functional.image.lpips as lpips

    state = torch.load(
        Path(lpips.__file__).with_name("lpips_models") / "alex.pth", map_location="cpu", weights_only=True
    )
    return [state[f"lin{index}.model.1.weight"] for index in range(len(_SLICES))]
