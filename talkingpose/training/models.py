"""Parts of the model: with random weights from a configuration, or from folders and Hub repositories."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from talkingpose.io.documents import DocumentError
from talkingpose.model.checkpoint_folder import (
    DEFAULT_CHECKPOINT,
    CheckpointError,
    checkpoint_folder,
    download_repository,
    is_repository,
)
from talkingpose.model.model_files import describe_model, load_weights, read_config, read_weights
from talkingpose.model.pose_guider import PoseGuider
from talkingpose.training.config import PartConfig, TrainConfig
from talkingpose.training.errors import TrainingError
from talkingpose.training.parameters import longest_prefix

_KINDS: dict[str, Any] = {
    "vae": AutoencoderKL,
    "unet": UNet2DConditionModel,
    "reference_unet": UNet2DConditionModel,
    "image_encoder": CLIPVisionModelWithProjection,
    "pose_guider": PoseGuider,
}
_CONTROLNET = "ControlNetModel"
_EMBEDDING = "controlnet_cond_embedding."


def build_part(name: str, part: PartConfig, *, weights: bool = True) -> Any:
    """Make one part in float32.

    Args:
        name: `vae`, `unet`, `reference_unet`, `image_encoder` or `pose_guider`. A pose guider can also start
            from the conditioning embedding of a ControlNet.
        part: its origin.
        weights: False makes it on the meta device, from its configuration alone.

    Raises:
        TrainingError: it does not exist, or is something else.
    """
    try:
        if part.config is None:
            model = _pretrained(name, part, weights)
        else:
            model = _random(name, part.config, weights)
    except (CheckpointError, DocumentError) as error:
        raise TrainingError(f"model.{name}: {error}") from error
    if part.zero_output and weights:
        torch.nn.init.zeros_(model.conv_out.weight)
        torch.nn.init.zeros_(model.conv_out.bias)
    return model.float()


def build_parts(config: TrainConfig, *, weights: bool = True) -> dict[str, Any]:
    """Make all parts of the stage; `reference_unet` starts as `unet` if it has no entry of its own.

    Raises:
        TrainingError: see `build_part`.
    """
    model = config.model
    if config.stage == "vae":
        return {"vae": build_part("vae", model.vae, weights=weights)}
    origins: dict[str, PartConfig | None] = {
        "vae": model.vae,
        "unet": model.unet,
        "reference_unet": model.reference_unet or model.unet,
        "image_encoder": model.image_encoder,
        "pose_guider": model.pose_guider,
    }
    parts = {name: build_part(name, part, weights=weights) for name, part in origins.items() if part}
    if weights and model.reference_unet is None:
        parts["reference_unet"].load_state_dict(parts["unet"].state_dict())
    return parts


def check_fit(config: TrainConfig, parts: Mapping[str, Any]) -> None:
    """Refuse parts that do not fit together or the size of the pictures.

    Args:
        config: of the training.
        parts: from `build_parts`, with or without weights.

    Raises:
        TrainingError: names the key and both numbers.
    """
    vae = parts["vae"].config
    factor = vae_factor(vae)
    if config.stage == "vae":
        _check_size(config.size, factor, "the autoencoder divides it")
        _check_prefixes(config, [f"vae.{name}" for name, _ in parts["vae"].named_parameters()])
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
    for key, value, other, expected in pairs:
        if value != expected:
            raise TrainingError(f"{key}: {value}, but {other}: {expected}: make them equal")
    names = [f"{part}.{name}" for part, module in parts.items() for name, _ in module.named_parameters()]
    _check_prefixes(config, names)


def _check_prefixes(config: TrainConfig, names: list[str]) -> None:
    for key, prefixes in (("model.freeze", config.model.freeze), ("optimizer.rates", config.optimizer.rates)):
        for prefix in prefixes:
            if all(longest_prefix(name, [prefix]) is None for name in names):
                raise TrainingError(f"{key}: {prefix}: no parameter has this prefix: correct it")


def vae_factor(vae_config: Any) -> int:
    """Return the number of pixels per latent along each side."""
    return int(2 ** (len(vae_config.block_out_channels) - 1))


def _check_size(size: int, divisor: int, reason: str) -> None:
    if size % divisor:
        raise TrainingError(f"size: {size} is not divisible by {divisor}: {reason}: give a multiple")


def _random(name: str, config: dict[str, Any], weights: bool) -> Any:
    kind = _KINDS[name]
    if kind is CLIPVisionModelWithProjection:
        unknown = sorted(config.keys() - CLIPVisionConfig().to_dict().keys())
        if unknown:
            raise TrainingError(f"model.{name}.config: unknown key {unknown[0]}: check its spelling")
    try:
        with torch.device("cpu" if weights else "meta"):
            if kind is CLIPVisionModelWithProjection:
                return kind(CLIPVisionConfig(**config))
            return kind(**config)
    except (TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise TrainingError(f"model.{name}.config: does not describe a {kind.__name__}: {reason}") from error


def _pretrained(name: str, part: PartConfig, weights: bool) -> Any:
    folder = _folder(part)
    config = read_config(folder / "config.json")
    if name == "pose_guider" and config.get("_class_name") == _CONTROLNET:
        return _embedding_of_controlnet(config, folder, weights)
    model = describe_model(_KINDS[name], config, folder)
    return load_weights(model, read_weights(folder), folder) if weights else model


def _embedding_of_controlnet(config: Mapping[str, Any], folder: Path, weights: bool) -> Any:
    guider_config = {
        "conditioning_embedding_channels": next(iter(config.get("block_out_channels", [0])), 0),
        "block_out_channels": config.get("conditioning_embedding_out_channels"),
    }
    guider = describe_model(PoseGuider, guider_config, folder)
    if not weights:
        return guider
    state = read_weights(folder)
    embedding = {
        key.removeprefix(_EMBEDDING): value for key, value in state.items() if key.startswith(_EMBEDDING)
    }
    return load_weights(guider, embedding, folder)


def _folder(part: PartConfig) -> Path:
    assert part.pretrained is not None
    subfolder = part.subfolder or ""
    if part.pretrained == DEFAULT_CHECKPOINT and not Path(part.pretrained).exists():
        return checkpoint_folder(part.pretrained) / subfolder
    if is_repository(part.pretrained):
        return download_repository(part.pretrained, part.revision, subfolder)
    return Path(part.pretrained) / subfolder
