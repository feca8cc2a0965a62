"""Parts that the contestants on Stable Diffusion 1.5 share: loading, conditions and decoding.

A folder of weights has the layout of the lock file:

    sd15/{unet,vae,text_encoder,tokenizer,scheduler}/    Stable Diffusion 1.5
    controlnet-openpose/                                 ControlNet 1.1 OpenPose
    ip-adapter/ip-adapter-plus_sd15.safetensors          IP-Adapter Plus
    ip-adapter/image_encoder/                            its image encoder
    animatediff-adapter/                                 motion adapter, for `animatediff` only
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from diffusers import AutoencoderKL, ControlNetModel, DDIMScheduler, UNet2DConditionModel
from PIL import Image as PillowImage
from transformers import CLIPImageProcessor, CLIPTextModel, CLIPTokenizer, CLIPVisionModelWithProjection

from talkingpose.data.contestant import Case
from talkingpose.io.image import Image
from talkingpose.model.checkpoint_folder import CheckpointError
from talkingpose.model.model_files import read_config, read_model, read_safetensors

# The prompts and the scale that IP-Adapter recommends for an image prompt alone (github.com/tencent-ailab/
# IP-Adapter, ip_adapter_controlnet_demo).
PROMPT: Final = "best quality, high quality"
NEGATIVE_PROMPT: Final = "monochrome, lowres, bad anatomy, worst quality, low quality"
IP_ADAPTER_SCALE: Final = 1.0
LICENCE: Final = "CreativeML-OpenRAIL-M; Apache-2.0"
BACKBONE: Final = "stable-diffusion-v1-5"
PARTS: Final = ("sd15", "controlnet-openpose", "ip-adapter")


def read_components(root: Path, dtype: torch.dtype, scheduler: dict[str, Any]) -> dict[str, Any]:
    """Read the components of a pipeline of diffusers.

    Args:
        root: folder in the layout of this module.
        dtype: type of all weights.
        scheduler: settings that replace those of Stable Diffusion 1.5 in a DDIM scheduler.

    Raises:
        CheckpointError: a file is missing, damaged or not the model's.
    """
    base = root / "sd15"
    image_encoder = read_model(CLIPVisionModelWithProjection, root / "ip-adapter" / "image_encoder")
    side = image_encoder.config.image_size
    models = {
        "unet": read_model(UNet2DConditionModel, base / "unet"),
        "vae": read_model(AutoencoderKL, base / "vae"),
        "controlnet": read_model(ControlNetModel, root / "controlnet-openpose"),
        "image_encoder": image_encoder,
        "text_encoder": _read_pretrained(CLIPTextModel, base / "text_encoder"),
    }
    config = read_config(base / "scheduler" / "scheduler_config.json")
    config.pop("_class_name", None)
    return {name: model.to(dtype) for name, model in models.items()} | {
        "tokenizer": _read_pretrained(CLIPTokenizer, base / "tokenizer"),
        "scheduler": DDIMScheduler.from_config({**config, "clip_sample": False, **scheduler}),
        "feature_extractor": CLIPImageProcessor(
            size={"shortest_edge": side}, crop_size={"height": side, "width": side}
        ),
    }


def add_ip_adapter(pipeline: Any, root: Path) -> None:
    """Load the IP-Adapter into the UNet of a pipeline.

    Raises:
        CheckpointError: the file is missing, damaged or not the adapter of this UNet.
    """
    path = root / "ip-adapter" / "ip-adapter-plus_sd15.safetensors"
    state: dict[str, dict[str, torch.Tensor]] = {"image_proj": {}, "ip_adapter": {}}
    for key, tensor in read_safetensors(path).items():
        part, _, name = key.partition(".")
        if part in state:
            state[part][name] = tensor.to(pipeline.unet.dtype)
    try:
        # Strict, and without parameters that are never filled.
        pipeline.load_ip_adapter(state, subfolder="", weight_name="", low_cpu_mem_usage=False)
    except (KeyError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"checkpoint {path}: not the adapter of this UNet: fetch it again") from error
    pipeline.set_ip_adapter_scale(IP_ADAPTER_SCALE)


def image_prompt(pipeline: Any, portrait: Image, guided: bool) -> list[torch.Tensor]:
    """Return the embeddings of a portrait, uint8 (H, W, 3); the unconditional ones come first."""
    with torch.no_grad():
        embeddings: list[torch.Tensor] = pipeline.prepare_ip_adapter_image_embeds(
            [PillowImage.fromarray(portrait)], None, pipeline.device, 1, guided
        )
    return embeddings


def pose_pictures(case: Case, size: tuple[int, int]) -> list[PillowImage.Image]:
    """Draw all poses of a case at a size (width, height); see `pose_picture`."""
    return [pose_picture(keypoints, size) for keypoints in case.keypoints]


def pose_picture(keypoints: np.ndarray[Any, Any], size: tuple[int, int]) -> PillowImage.Image:
    """Draw a pose as ControlNet 1.1 OpenPose was trained on: body, hands and face of the same annotator.

    DWPose took its drawing from that annotator; only the face has 68 points here instead of 70.
    """
    from talkingpose.pose import draw_pose

    return PillowImage.fromarray(draw_pose(keypoints, size[1], size[0]))


def decode(pipeline: Any, latents: torch.Tensor) -> list[Image]:
    """Decode final latents (n, 4, h, w) into n frames uint8 (H, W, 3), rounded as in diffusers."""
    with torch.no_grad():
        scaled = (latents / pipeline.vae.config.scaling_factor).to(pipeline.vae.dtype)
        pictures = (pipeline.vae.decode(scaled, return_dict=False)[0].float() / 2 + 0.5).clamp(0, 1)
    return list((pictures * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy())


def num_parameters(models: Sequence[torch.nn.Module]) -> int:
    """Return the number of parameters of several models."""
    return sum(parameter.numel() for model in models for parameter in model.parameters())


def _read_pretrained(kind: Any, folder: Path) -> Any:
    # Not `read_model`: parameters of the text encoder have another name in every version of transformers.
    try:
        options = {"use_safetensors": True} if kind is CLIPTextModel else {}
        loaded = kind.from_pretrained(folder, local_files_only=True, **options)
    except Exception as error:  # transformers raises a dozen classes for a folder it cannot read
        reason = " ".join(str(error).split())[:150]
        raise CheckpointError(
            f"checkpoint {folder}: not a saved {kind.__name__} ({reason}): fetch it again"
        ) from error
    return loaded.eval() if kind is CLIPTextModel else loaded
