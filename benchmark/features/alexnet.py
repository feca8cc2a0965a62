"""Input of LPIPS: normalised activations of the five convolutions of AlexNet."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from benchmark.features.contract import FeatureSpec, FrameWindow, Side
from talkingpose.io.image import Image
from talkingpose.weights import find

# The deeper pools of AlexNet reduce smaller frames to nothing.
MIN_SIDE = 32


class LpipsAlex:
    """Layers of torchvision's AlexNet, trained on ImageNet, under the learned heads of LPIPS v0.1."""

    spec = FeatureSpec(
        id="lpips-alex",
        version=1,
        definition=(
            "Frame scaled from [0, 255] to [-1, 1], shifted and scaled per channel as LPIPS does, through "
            "torchvision's AlexNet trained on ImageNet, in float32. The outputs of its five ReLUs "
            "are divided at every position by their length over channels (plus 1e-10) and multiplied by the "
            "root of the channel's weight in the head of LPIPS v0.1 over the number of positions. The "
            "squared distance of two such vectors is LPIPS."
        ),
        weights=("lpips-alex",),
    )

    def __init__(self) -> None:
        import torch

        from talkingpose.model.lpips import SCALE, SHIFT, load_heads, load_trunk

        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._layers = load_trunk(find("lpips-alex", needed_by="lpips")).to(
            self._device, memory_format=torch.channels_last
        )
        self._heads = [head.to(self._device) for head in load_heads()]
        self._shift = torch.tensor(SHIFT, device=self._device).view(1, 3, 1, 1)
        self._scale = torch.tensor(SCALE, device=self._device).view(1, 3, 1, 1)

    def extract(self, window: FrameWindow, side: Side, back: int) -> npt.NDArray[np.float32] | None:
        """Return float32 (dimensions,), None for frames below 32 pixels per side."""
        image = window.image(side, back)
        return None if min(image.shape[:2]) < MIN_SIDE else self.vector(image)

    def vector(self, image: Image) -> npt.NDArray[np.float32]:
        """Return float32 (dimensions,) for a uint8 RGB (H, W, 3) picture of at least 32 pixels per side."""
        import torch

        from talkingpose.model.lpips import SLICES

        # TF32 would move scores between kinds of GPU.
        with torch.inference_mode(), torch.backends.cudnn.flags(allow_tf32=False):
            # A permuted view of (H, W, 3) has the memory format that convolutions are fastest in.
            pixels = torch.from_numpy(np.ascontiguousarray(image)).to(self._device)
            value = pixels.permute(2, 0, 1)[None].float() / 127.5 - 1
            value = (value - self._shift) / self._scale
            slices = []
            for (first, end), head in zip(SLICES, self._heads, strict=True):
                value = self._layers[first:end](value)
                length = torch.sqrt((value**2).sum(dim=1, keepdim=True)) + 1e-10
                weighted = value / length * torch.sqrt(head / value[0, 0].numel())
                slices.append(weighted.permute(0, 2, 3, 1).flatten())
            vector: npt.NDArray[np.float32] = torch.cat(slices).cpu().numpy()
        return vector
