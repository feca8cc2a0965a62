"""Objective on pictures: reconstruction, LPIPS of the whole and of enlarged regions, and background."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from talkingpose.model.lpips import Lpips, weighted_mean
from talkingpose.pose import FACE, LEFT_HAND, RIGHT_HAND
from talkingpose.training.config import TrainConfig
from talkingpose.training.data.groups import REGIONS, region_masks
from talkingpose.training.stages import loss

# Columns of the logs. The last region, the background, has no LPIPS of its own.
FIGURES = ("lpips", *(f"lpips_{name}" for name in REGIONS[:3]))
_ENLARGED = 2


class PictureLoss:
    """Distance of generated pictures from real ones.

    Args:
        config: of the training; its sections `picture` and `autoencoder` count.
        device: of the pictures.
    """

    def __init__(self, config: TrainConfig, device: torch.device) -> None:
        self._options, self._autoencoder = config.picture, config.autoencoder
        self._size, self._device = config.size, device
        self._lpips = Lpips(needed_by="tp-train").to(device)
        if device.type == "cpu":
            self._lpips = self._lpips.to(memory_format=torch.channels_last)

    def masks(self, keypoints: torch.Tensor) -> torch.Tensor:
        """Return the regions of pictures with keypoints (n, 133, 3), float32 (n, 4, S, S)."""
        masks = [region_masks(points, self._size) for points in keypoints.numpy()]
        return torch.from_numpy(np.stack(masks)).to(self._device)

    def __call__(
        self,
        output: torch.Tensor,
        target: torch.Tensor,
        region: torch.Tensor,
        keypoints: torch.Tensor,
        generator: torch.Generator,
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the loss and the figures of `figures`.

        Args:
            output, target: float (n, 3, S, S) in [-1, 1].
            region: weights of the pixels in the reconstruction loss, (n, 1, S, S).
            keypoints: of the targets, (n, 133, 3), on the CPU.
            generator: chooses the closeups.
        """
        options, reconstruction = self._options, self._autoencoder
        total = loss.reconstruction_loss(
            output, target, region, reconstruction.edge_weight, reconstruction.gradient_weight
        )
        masks = self.masks(keypoints)
        maps = self._lpips(output, target)
        added = (options.face_weight, options.hand_weight, options.mouth_weight, 0.0)
        weight = 1 + (masks * masks.new_tensor(added).view(1, -1, 1, 1)).sum(dim=1, keepdim=True)
        total = total + options.lpips_weight * weighted_mean(maps, weight).mean()
        if options.closeup_weight:
            total = total + options.closeup_weight * self._closeup(output, target, keypoints, generator)
        error = (output - target).square()
        total = total + options.mse_weight * error.mean()
        if options.background_weight:
            behind = masks[:, -1:]
            means = (error * behind).sum(dim=(1, 2, 3)) / (3 * behind.sum(dim=(1, 2, 3)).clamp(min=1))
            # The root makes an error count as much where the background is nearly right. Its slope is
            # infinite at 0.
            total = total + options.background_weight * (means + 1e-6).sqrt().mean()
        return total, _figures([layer.detach() for layer in maps], masks)

    @torch.no_grad()
    def figures(
        self, output: torch.Tensor, target: torch.Tensor, keypoints: torch.Tensor
    ) -> dict[str, float]:
        """Return LPIPS of the whole, of faces, hands and mouths, under the names of `FIGURES`.

        A region is weighted by the mask of its pixels. Its figure is nan where no picture has it.

        Args:
            output, target: uint8 (n, 3, S, S).
            keypoints: of the targets, (n, 133, 3).
        """
        pictures = (part.to(self._device).float() / 127.5 - 1 for part in (output, target))
        return _figures(self._lpips(*pictures), self.masks(keypoints))

    def _closeup(
        self, output: torch.Tensor, target: torch.Tensor, keypoints: torch.Tensor, generator: torch.Generator
    ) -> torch.Tensor:
        """Return the mean LPIPS of an enlarged face or hand of each picture that has one."""
        side, squares = self._options.closeup_side, []
        for row, points in enumerate(keypoints):
            parts = [points[part] for part in (FACE, LEFT_HAND, RIGHT_HAND)]
            seen = [part[part[:, 2] > 0, :2] for part in parts if int((part[:, 2] > 0).sum()) >= 3]
            # Drawn for every picture, so that the draw of one does not depend on the others.
            draw = float(torch.rand((), generator=generator))
            if seen:
                centre = seen[min(int(draw * len(seen)), len(seen) - 1)].mean(dim=0) * self._size
                left, top = (int((value - side / 2).round().clamp(0, self._size - side)) for value in centre)
                squares.append((row, slice(top, top + side), slice(left, left + side)))
        if not squares:
            return output.new_zeros(())
        pair = [
            F.interpolate(
                torch.stack([pictures[row, :, rows, columns] for row, rows, columns in squares]),
                scale_factor=_ENLARGED,
                mode="bilinear",
            )
            for pictures in (output, target)
        ]
        distances: list[torch.Tensor] = self._lpips(*pair)
        return torch.stack([layer.mean() for layer in distances]).sum()


def mean_figures(collected: list[dict[str, float]]) -> dict[str, float]:
    """Return the mean of each figure, nan where none is a number, and empty the list."""
    result = {}
    for name in collected[0] if collected else ():
        numbers = [figures[name] for figures in collected if figures[name] == figures[name]]
        result[name] = sum(numbers) / len(numbers) if numbers else float("nan")
    collected.clear()
    return result


def _figures(maps: list[torch.Tensor], masks: torch.Tensor) -> dict[str, float]:
    values = [float(sum(layer.mean() for layer in maps))]
    for number in range(len(FIGURES) - 1):
        mask = masks[:, number : number + 1]
        rows = mask.flatten(1).any(dim=1)
        chosen = [layer[rows] for layer in maps]
        values.append(float(weighted_mean(chosen, mask[rows]).mean()) if rows.any() else float("nan"))
    return dict(zip(FIGURES, values, strict=True))
