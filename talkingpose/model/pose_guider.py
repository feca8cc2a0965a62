"""The pose guider: from pose pictures to an input of the denoising UNet."""

from __future__ import annotations

import torch
from diffusers import ConfigMixin, ModelMixin, UNet2DConditionModel
from diffusers.configuration_utils import register_to_config
from diffusers.models.controlnets.controlnet import ControlNetConditioningEmbedding
from torch import nn


class PoseGuider(ControlNetConditioningEmbedding, ModelMixin, ConfigMixin):
    """Network from pose pictures (n, 3, H, W), RGB in [0, 1], to features (n, C, H / 8, W / 8).

    It is the `ControlNetConditioningEmbedding` of diffusers as a model that can be saved and loaded; the keys
    of its weights are those of the official `pose_guider.pth`. The picture is halved once per entry of
    `block_out_channels` after the first.

    Args:
        conditioning_embedding_channels: C, the width of the denoising UNet's first block.
        conditioning_channels: channels of the pose picture.
        block_out_channels: channels of the stages in between.
    """

    @register_to_config
    def __init__(
        self,
        conditioning_embedding_channels: int = 320,
        conditioning_channels: int = 3,
        block_out_channels: tuple[int, ...] = (16, 32, 96, 256),
    ) -> None:
        super().__init__(conditioning_embedding_channels, conditioning_channels, tuple(block_out_channels))

    @property
    def downscale(self) -> int:
        """Pixels of the pose picture per feature, along each side."""
        return int(2 ** (len(self.config.block_out_channels) - 1))


class PoseConvIn(nn.Conv2d):
    """Input convolution of a UNet that also adds the pose feature to its output.

    The parameters and their names are those of the convolution it replaces.
    """

    def forward(self, sample: torch.Tensor) -> torch.Tensor:
        """Map [latents, feature], (n, in_channels + out_channels, h, w), to (n, out_channels, h, w)."""
        return super().forward(sample[:, : self.in_channels]) + sample[:, self.in_channels :]


def install_pose_input(unet: UNet2DConditionModel) -> None:
    """Make `unet` take [latents, pose feature] as its sample. A second call changes nothing."""
    conv = unet.conv_in
    if isinstance(conv, PoseConvIn):
        return
    with torch.device("meta"):
        replacement = PoseConvIn(conv.in_channels, conv.out_channels, conv.kernel_size, padding=conv.padding)
    replacement.weight, replacement.bias = conv.weight, conv.bias
    unet.conv_in = replacement.train(conv.training)
