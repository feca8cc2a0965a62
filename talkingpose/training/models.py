"""The parts of the model: fresh from a configuration, or from folders and Hub repositories."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from torch import nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from talkingpose.model.pose_guider import PoseGuider
from talkingpose.training.config import PartConfig, TrainConfig
from talkingpose.training.errors import TrainingError

_KINDS: dict[str, Any] = {
    "vae": AutoencoderKL,
    "unet": UNet2DConditionModel,
    "reference_unet": UNet2DConditionModel,
    "image_encoder": CLIPVisionModelWithProjection,
    "pose_guider": PoseGuider,
}


def build_part(name: str, part: PartConfig, *, weights: bool = True) -> nn.Module:
    """Make one part.

    Args:
        name: `vae`, `unet`, `reference_unet`, `image_encoder` or `pose_guider`. A pose guider can also start
            from a folder of a ControlNet: its conditioning embedding is taken.
        weights: False makes it on the meta device, from its configuration alone.

    Raises:
        TrainingError: it is not there, or is something else.
    """
    kind = _KINDS[name]
    if part.config is None:
        return _pretrained(name, part, weights)
    try:
        with torch.device("cpu" if weights else "meta"):
            if kind is not CLIPVisionModelWithProjection:
                return kind(**part.config)
            unknown = sorted(set(part.config) - set(CLIPVisionConfig().to_dict()))
            if unknown:
                raise TrainingError(f"model.{name}.config: unknown key {unknown[0]}: check its spelling")
            return kind(CLIPVisionConfig(**part.config))
    except (TypeError, ValueError, RuntimeError) as error:
        if isinstance(error, TrainingError):
            raise
        raise TrainingError(f"model.{name}.config: makes no {kind.__name__}: {error}") from error


def check_fit(config: TrainConfig, parts: Mapping[str, nn.Module]) -> None:
    """Refuse parts that cannot work together or with the size of the pictures.

    Args:
        parts: from `build_parts`, weights or not.

    Raises:
        TrainingError: names the key and both numbers.
    """
    vae = parts["vae"].config
    factor = vae_factor(vae)
    if config.stage == "vae":
        _check_size(config.size, factor, "the autoencoder halves it")
        return
    unet, reference = parts["unet"].config, parts["reference_unet"].config
    levels = 2 ** (len(unet.block_out_channels) - 1)
    _check_size(config.size, factor * levels, f"autoencoder ({factor}) and UNet ({levels}) divide it")
    guider = parts["pose_guider"]
    token = parts["image_encoder"].config.projection_dim
    pairs = (
        ("model.unet: in_channels", unet.in_channels, "latent_channels of model.vae", vae.latent_channels),
        ("model.unet: out_channels", unet.out_channels, "latent_channels of model.vae", vae.latent_channels),
        ("model.unet: cross_attention_dim", unet.cross_attention_dim, "of model.image_encoder", token),
        ("model.reference_unet: block_out_channels", tuple(reference.block_out_channels),
         "of model.unet", tuple(unet.block_out_channels)),
        ("model.reference_unet: in_channels", reference.in_channels, "of model.unet", unet.in_channels),
        ("model.pose_guider: conditioning_embedding_channels", guider.config.conditioning_embedding_channels,
         "first block of model.unet", unet.block_out_channels[0]),
        ("model.pose_guider: reduction", guider.downscale, "that of model.vae", factor),
    )  # fmt: skip
    for what, mine, where, theirs in pairs:
        if mine != theirs:
            raise TrainingError(f"{what}: {mine}, but {where}: {theirs}: make them equal")
    names = [f"{part}.{name}" for part, module in parts.items() for name, _ in module.named_parameters()]
    for prefix in config.model.freeze:
        if not any(name == prefix or name.startswith(f"{prefix}.") for name in names):
            raise TrainingError(f"model.freeze: {prefix}: no parameter of the model begins so: check it")


def build_parts(config: TrainConfig, *, weights: bool = True) -> dict[str, nn.Module]:
    """All parts of the stage by name; `reference_unet` starts as `unet` where it has no entry of its own.

    Raises:
        TrainingError: see `build_part`.
    """
    model = config.model
    if config.stage == "vae":
        return {"vae": build_part("vae", model.vae, weights=weights)}
    given: dict[str, PartConfig | None] = {
        "vae": model.vae,
        "unet": model.unet,
        "reference_unet": model.reference_unet or model.unet,
        "image_encoder": model.image_encoder,
        "pose_guider": model.pose_guider,
    }
    parts = {name: build_part(name, part, weights=weights) for name, part in given.items() if part}
    if weights and model.reference_unet is None:
        parts["reference_unet"].load_state_dict(parts["unet"].state_dict())
    return parts


def vae_factor(vae_config: Any) -> int:
    """Pixels per latent along each side."""
    return int(2 ** (len(vae_config.block_out_channels) - 1))


def _check_size(size: int, divisor: int, why: str) -> None:
    if size % divisor:
        raise TrainingError(f"size: {size} is not divisible by {divisor}: {why}: give a multiple")


def _pretrained(name: str, part: PartConfig, weights: bool) -> nn.Module:
    kind = _KINDS[name]
    place = {"subfolder": part.subfolder or "", "revision": part.revision}
    try:
        if kind is CLIPVisionModelWithProjection:
            description: Any = CLIPVisionConfig.from_pretrained(part.pretrained, **place)
        else:
            description = kind.load_config(part.pretrained, **place)
            found = description.get("_class_name")
            if name == "pose_guider" and found == ControlNetModel.__name__:
                return _pose_guider_of(description, part, place, weights)
            if found != kind.__name__:
                raise TrainingError(
                    f"model.{name}: {_where(part)}: holds {found}, not {kind.__name__}: give that folder"
                )
        if not weights:
            with torch.device("meta"):
                meta: nn.Module = (
                    kind(description)
                    if isinstance(description, CLIPVisionConfig)
                    else kind.from_config(description)
                )
            return meta.float()
        module, report = kind.from_pretrained(part.pretrained, output_loading_info=True, **place)
    except (OSError, ValueError, RuntimeError) as error:
        if isinstance(error, TrainingError):
            raise
        raise TrainingError(f"model.{name}: {_where(part)}: {_reason(part, kind, error)}") from error
    missing = sorted(report["missing_keys"])
    if missing:
        raise TrainingError(
            f"model.{name}: {_where(part)}: {len(missing)} weights missing, {missing[0]} first: "
            "fetch it again"
        )
    loaded: nn.Module = module
    return loaded.float()


def _pose_guider_of(
    description: Mapping[str, Any], part: PartConfig, place: dict[str, Any], weights: bool
) -> PoseGuider:
    """The conditioning embedding of a ControlNet as a pose guider."""
    stages = tuple(description["conditioning_embedding_out_channels"])
    with torch.device("cpu" if weights else "meta"):
        guider = PoseGuider(description["block_out_channels"][0], block_out_channels=stages)
    if weights:
        control = ControlNetModel.from_pretrained(part.pretrained, **place)
        guider.load_state_dict(control.controlnet_cond_embedding.state_dict())
    return guider.float()


def _reason(part: PartConfig, kind: Any, error: Exception) -> str:
    if Path(str(part.pretrained)).is_dir():
        reason = str(error).strip().partition("\n")[0]
        return f"cannot be read as {kind.__name__}: {reason}: give another folder or fetch it again"
    return (
        f"is no folder, and the Hub gave nothing ({type(error).__name__}): fetch it with "
        f"'hf download {part.pretrained}' where there is a network, or give a folder"
    )


def _where(part: PartConfig) -> str:
    return f"{part.pretrained}/{part.subfolder}" if part.subfolder else str(part.pretrained)
