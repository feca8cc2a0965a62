"""LPIPS v0.1 with AlexNet as a differentiable distance with a value per position.

Zhang et al., "The unreasonable effectiveness of deep features as a perceptual metric", CVPR 2018.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from talkingpose.weights import WeightsError, find

# Indices into torchvision's `alexnet().features`: a slice ends after each ReLU that LPIPS reads.
SLICES = ((0, 2), (2, 5), (5, 8), (8, 10), (10, 12))
# Mean and deviation of the channels, of pictures in [-1, 1].
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
# The deeper pools of AlexNet reduce smaller pictures to nothing.
MIN_SIDE = 32


class Lpips(nn.Module):
    """Distance of two pictures per layer and position; frozen.

    Args:
        needed_by: what an error of a missing weight file names.
    """

    _shift: torch.Tensor
    _scale: torch.Tensor

    def __init__(self, needed_by: str) -> None:
        super().__init__()
        self._layers = load_trunk(find("lpips-alex", needed_by=needed_by))
        for number, head in enumerate(load_heads()):
            self.register_buffer(f"_head{number}", head)
        self.register_buffer("_shift", torch.tensor(SHIFT).view(1, 3, 1, 1))
        self.register_buffer("_scale", torch.tensor(SCALE).view(1, 3, 1, 1))
        self.requires_grad_(False)

    def features(self, pictures: torch.Tensor) -> list[torch.Tensor]:
        """Return the normalised activations of the five layers.

        Args:
            pictures: float (n, 3, H, W) in [-1, 1], at least `MIN_SIDE` pixels per side.

        Returns:
            Per layer (n, C, h, w), each position of length 1 and weighted by the head of the layer.
        """
        value: torch.Tensor = (pictures - self.get_buffer("_shift")) / self.get_buffer("_scale")
        result = []
        for number, (first, end) in enumerate(SLICES):
            value = self._layers[first:end](value)
            # The root of zero has no finite gradient.
            length = torch.sqrt(value.square().sum(dim=1, keepdim=True) + 1e-12)
            result.append(value / length * self.get_buffer(f"_head{number}").sqrt())
        return result

    def forward(self, output: torch.Tensor, target: torch.Tensor) -> list[torch.Tensor]:
        """Return the distance per layer, (n, 1, h, w); LPIPS is the sum of their means.

        Args:
            output, target: float (n, 3, H, W) in [-1, 1]. Gradients reach `output` only.
        """
        with torch.no_grad():
            expected = self.features(target)
        return [
            (ours - theirs).square().sum(dim=1, keepdim=True)
            for ours, theirs in zip(self.features(output), expected, strict=True)
        ]


def weighted_mean(maps: list[torch.Tensor], weight: torch.Tensor) -> torch.Tensor:
    """Return LPIPS per picture, (n,), with a weight of each pixel.

    Args:
        maps: from `Lpips`.
        weight: (n, 1, H, W), not negative and not zero everywhere.
    """
    total = weight.new_zeros(len(weight))
    for layer in maps:
        coarse = F.interpolate(weight, layer.shape[-2:], mode="area")
        total = total + (layer * coarse).sum(dim=(1, 2, 3)) / coarse.sum(dim=(1, 2, 3))
    return total


def load_trunk(path: Path) -> Any:
    """Return the five convolutions of AlexNet, from torchvision's file or from the bundled one.

    Raises:
        WeightsError: the file is damaged or another model.
    """
    from safetensors.torch import load_file
    from torchvision.models import alexnet

    try:
        bundled = path.suffix == ".safetensors"
        state = load_file(path) if bundled else torch.load(path, map_location="cpu", weights_only=True)
        # Without memory of its own: initialising the unused classifier takes most of the time.
        with torch.device("meta"):
            features = alexnet(weights=None).features
        prefix = "features."
        convolutions = {name.removeprefix(prefix): state[name] for name in state if name.startswith(prefix)}
        features.load_state_dict(convolutions, assign=True)
    except Exception as error:  # torch has no common class for errors of a damaged file
        raise WeightsError(
            f"lpips-alex: {path.name} is not AlexNet of torchvision ({type(error).__name__}): "
            "tp-eval weights fetch lpips-alex"
        ) from error
    return features.float().eval().requires_grad_(False)


def load_heads() -> list[torch.Tensor]:
    """Return the weights (1, C, 1, 1) of each slice, from torchmetrics' copy of LPIPS v0.1."""
    import torchmetrics.functional.image.lpips as lpips

    state = torch.load(
        Path(lpips.__file__).with_name("lpips_models") / "alex.pth", map_location="cpu", weights_only=True
    )
    return [state[f"lin{index}.model.1.weight"] for index in range(len(SLICES))]
