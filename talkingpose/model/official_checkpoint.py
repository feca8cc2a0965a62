"""Checkpoints in the official layout, read strictly and written.

    FOLDER/denoising_unet.pth, reference_unet.pth, pose_guider.pth   (or in FOLDER/weights)
    FOLDER/base/unet/config.json                                     shape of the UNets (Stable Diffusion 1.5)
    FOLDER/vae/, FOLDER/image_encoder/                               as diffusers and transformers save them
    FOLDER/../talkingpose/                                           base parts that are not in FOLDER
    FOLDER/scheduler.json                                            optional; default: the official sampler

A missing or unknown key and another shape are errors: a model with some of its weights at random would run
and give wrong pictures. `pipeline.convert` converts to the diffusers layout and back.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

from talkingpose.model.checkpoint_folder import OFFICIAL_FILE, CheckpointError
from talkingpose.model.diffusers_checkpoint import make_scheduler
from talkingpose.model.model_files import describe_model, load_weights, read_config, read_model, read_pth
from talkingpose.model.pose_guider import PoseGuider

# The official inference samples on linear betas although it trained on scaled_linear ones (configs/inference/
# inference_v2.yaml).
OFFICIAL_SCHEDULER = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "linear",
    "clip_sample": False,
    "steps_offset": 1,
    "prediction_type": "v_prediction",
    "rescale_betas_zero_snr": True,
    "timestep_spacing": "trailing",
}

# The official reference UNet has no output layers: nothing after its last self-attention is used.
REFERENCE_ABSENT = frozenset(
    {"conv_norm_out.weight", "conv_norm_out.bias", "conv_out.weight", "conv_out.bias"}
)

_WEIGHTS = (OFFICIAL_FILE, "reference_unet.pth", "pose_guider.pth")
_UNET_CONFIGS = (
    "base/unet/config.json",
    "unet/config.json",
    "stable-diffusion-v1-5/unet/config.json",
    "../talkingpose/base/unet/config.json",
)
_VAES = ("vae", "sd-vae-ft-mse", "../talkingpose/vae")
_IMAGE_ENCODERS = (
    "image_encoder",
    "sd-image-variations-diffusers/image_encoder",
    "../talkingpose/image_encoder",
)


def read_official(folder: str | os.PathLike[str], torch_dtype: torch.dtype | None = None) -> dict[str, Any]:
    """Read a folder in the official layout into the components of `TalkingPosePipeline`.

    Args:
        folder: see the module docstring.
        torch_dtype: type of all weights; None keeps that of each file.

    Raises:
        CheckpointError: a part is missing, a file contains code or is damaged, its keys or shapes are not
            those of the model, a weight is not finite, or it has temporal layers that change the result.
        DocumentError: a configuration is no JSON document within the limits.
    """
    root = Path(folder)
    if not root.is_dir():
        raise CheckpointError(f"checkpoint {root}: no such folder: give the folder of the three .pth files")
    denoising_file, reference_file, pose_file = (_find(root, (name, f"weights/{name}")) for name in _WEIGHTS)
    config_file = _find(root, _UNET_CONFIGS)
    unet_config = read_config(config_file)
    vae_folder, encoder_folder = _find(root, _VAES), _find(root, _IMAGE_ENCODERS)

    denoising_unet = describe_model(UNet2DConditionModel, unet_config, config_file)
    denoising_state = without_inert_motion(read_pth(denoising_file), denoising_file)
    load_weights(denoising_unet, denoising_state, denoising_file)

    reference_unet = describe_model(UNet2DConditionModel, unet_config, config_file)
    reference_state = read_pth(reference_file)
    dtype = next(iter(reference_state.values())).dtype if reference_state else None
    absent = REFERENCE_ABSENT - reference_state.keys()
    shapes = {key: value.shape for key, value in reference_unet.state_dict().items()}
    unused = {key: torch.zeros(shapes[key], dtype=dtype) for key in absent}
    load_weights(reference_unet, reference_state | unused, reference_file)

    pose_state = read_pth(pose_file)
    with torch.device("meta"):
        pose_guider = PoseGuider(
            denoising_unet.config.block_out_channels[0],
            block_out_channels=_pose_channels(pose_state, pose_file),
        )
    load_weights(pose_guider, pose_state, pose_file)

    scheduler_file = root / "scheduler.json"
    scheduler = read_config(scheduler_file) if scheduler_file.is_file() else OFFICIAL_SCHEDULER
    image_encoder = read_model(CLIPVisionModelWithProjection, encoder_folder)
    side = image_encoder.config.image_size
    models = {
        "vae": read_model(AutoencoderKL, vae_folder),
        "image_encoder": image_encoder,
        "reference_unet": reference_unet,
        "denoising_unet": denoising_unet,
        "pose_guider": pose_guider,
    }
    return {name: model.to(torch_dtype) for name, model in models.items()} | {
        "image_processor": CLIPImageProcessor(
            size={"shortest_edge": side}, crop_size={"height": side, "width": side}
        ),
        "scheduler": make_scheduler(scheduler, scheduler_file),
    }


def write_official(folder: str | os.PathLike[str], components: Mapping[str, Any]) -> None:
    """Write the components of a pipeline as a folder that `read_official` reads.

    The folder appears only when it is complete.

    Raises:
        CheckpointError: the folder exists.
    """
    target = Path(folder)
    if target.exists():
        raise CheckpointError(f"checkpoint {target}: exists already: give a new folder name")
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        for name in ("denoising_unet", "reference_unet", "pose_guider"):
            state = components[name].state_dict()
            if name == "reference_unet":
                state = {key: value for key, value in state.items() if key not in REFERENCE_ABSENT}
            torch.save({key: value.cpu() for key, value in state.items()}, draft / f"{name}.pth")
        (draft / "base" / "unet").mkdir(parents=True)
        _write_json(draft / "base" / "unet" / "config.json", components["denoising_unet"].config)
        _write_json(draft / "scheduler.json", components["scheduler"].config)
        components["vae"].save_pretrained(draft / "vae")
        components["image_encoder"].save_pretrained(draft / "image_encoder")
        draft.chmod(0o755)
        draft.replace(target)
    except BaseException:
        shutil.rmtree(draft)
        raise


def without_inert_motion(state: Mapping[str, torch.Tensor], path: Path) -> dict[str, torch.Tensor]:
    """Drop temporal layers (`motion_modules`) that add nothing because all their output projections are zero.

    Raises:
        CheckpointError: a temporal layer has an output projection other than zero, or none at all.
    """
    motion = {key: value for key, value in state.items() if "motion_modules." in key}
    layers = {key.partition(".temporal_transformer.")[0] for key in motion}
    for layer in sorted(layers):
        for part in ("weight", "bias"):
            projection = motion.get(f"{layer}.temporal_transformer.proj_out.{part}")
            if projection is None or bool(projection.count_nonzero()):
                raise CheckpointError(
                    f"checkpoint {path}: {layer} is a trained temporal layer: this model has none, "
                    "use weights of the image stage"
                )
    return {key: value for key, value in state.items() if key not in motion}


def _find(root: Path, places: tuple[str, ...]) -> Path:
    for place in places:
        if (root / place).exists():
            return root / place
    raise CheckpointError(f"checkpoint {root}: {places[0]} is missing: add it")


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(dict(content), indent=1) + "\n", encoding="utf-8")


def _pose_channels(state: Mapping[str, torch.Tensor], path: Path) -> tuple[int, ...]:
    stages = len([key for key in state if key.startswith("blocks.") and key.endswith(".weight")]) // 2
    names = ["conv_in.weight", *(f"blocks.{2 * stage + 1}.weight" for stage in range(stages))]
    absent = [name for name in names if name not in state or state[name].ndim != 4]
    if absent:
        raise CheckpointError(f"checkpoint {path}: no convolution {absent[0]}: not a pose guider's file")
    return tuple(len(state[name]) for name in names)
