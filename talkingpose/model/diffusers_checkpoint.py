"""Checkpoints in the diffusers layout, read by the table of this pipeline.

The classes to load are those of `COMPONENTS`, whatever `model_index.json` says: it has to name exactly
these, and nothing in the folder is imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

from talkingpose.model.checkpoint_folder import DIFFUSERS_FILE, CheckpointError
from talkingpose.model.model_files import check_class, make_from_config, read_config, read_model
from talkingpose.model.pose_guider import PoseGuider

MODELS: dict[str, type[Any]] = {
    "vae": AutoencoderKL,
    "image_encoder": CLIPVisionModelWithProjection,
    "reference_unet": UNet2DConditionModel,
    "denoising_unet": UNet2DConditionModel,
    "pose_guider": PoseGuider,
}
# Accepted classes of each component, as LIBRARY.CLASS; the first is the present one.
ComponentTable = Mapping[str, tuple[str, ...]]
COMPONENTS: ComponentTable = {
    "vae": ("diffusers.AutoencoderKL",),
    "image_encoder": ("transformers.CLIPVisionModelWithProjection",),
    "image_processor": ("transformers.CLIPImageProcessor",),
    "reference_unet": ("diffusers.UNet2DConditionModel",),
    "denoising_unet": ("diffusers.UNet2DConditionModel",),
    # The second is its former module, which checkpoints of earlier versions name.
    "pose_guider": ("talkingpose.model.pose_guider.PoseGuider", "talkingpose.pose_guider.PoseGuider"),
    "scheduler": ("diffusers.DDIMScheduler",),
}
_CLASS = "TalkingPosePipeline"
# Remarks of diffusers without effect.
_REMARKS = frozenset({"_diffusers_version", "_name_or_path"})
_PROCESSOR_ARGUMENTS = (
    "do_resize",
    "size",
    "resample",
    "do_center_crop",
    "crop_size",
    "do_rescale",
    "rescale_factor",
    "do_normalize",
    "image_mean",
    "image_std",
    "do_convert_rgb",
)


def read_saved(folder: Path, torch_dtype: torch.dtype | None = None) -> dict[str, Any]:
    """Read a folder in the diffusers layout into the components of `TalkingPosePipeline`.

    Args:
        folder: with `model_index.json` and a folder for each component.
        torch_dtype: type of all weights; None keeps that of each file.

    Raises:
        CheckpointError: the index is not that of this pipeline, or a file is missing, damaged or not the
            model's.
        DocumentError: a configuration is no JSON document within the limits.
    """
    check_index(folder)
    components: dict[str, Any] = {
        name: read_model(kind, folder / name).to(torch_dtype) for name, kind in MODELS.items()
    }
    side = int(components["image_encoder"].config.image_size)
    components["image_processor"] = read_processor(folder / "image_processor", side)
    scheduler = folder / "scheduler" / "scheduler_config.json"
    components["scheduler"] = make_scheduler(read_config(scheduler), scheduler)
    return components


def check_index(folder: Path, kind: str = _CLASS, components: ComponentTable = COMPONENTS) -> None:
    """Refuse a `model_index.json` that is not exactly the table of a pipeline.

    Args:
        folder: with the file.
        kind: class of the pipeline.
        components: its table.

    Raises:
        CheckpointError: names the first difference.
        DocumentError: it is no JSON document within the limits.
    """
    path = folder / DIFFUSERS_FILE
    index = read_config(path)
    found = index.pop("_class_name", None)
    if found != kind:
        raise CheckpointError(f"checkpoint {path}: holds a {str(found)[:100]}, not a {kind}")
    for name in sorted((index.keys() | components.keys()) - _REMARKS):
        if name not in components:
            raise CheckpointError(f"checkpoint {path}: unknown component {name[:100]}: remove the entry")
        if index.get(name) not in [one.rsplit(".", 1) for one in components[name]]:
            raise CheckpointError(
                f"checkpoint {path}: {name}: {str(index.get(name))[:100]}: refused, "
                f"this pipeline has {components[name][0]}"
            )


def read_processor(folder: Path, side: int) -> CLIPImageProcessor:
    """Read the settings of the image processor; its pictures have to have `side` pixels on each side.

    Raises:
        CheckpointError: a setting is missing or unusable.
        DocumentError: it is no JSON document within the limits.
    """
    path = folder / "preprocessor_config.json"
    config = read_config(path)
    for name in ("size", "crop_size"):
        given = config.get(name, side)
        sides = list(given.values()) if isinstance(given, dict) else [given]
        if not sides or any(one != side for one in sides):
            raise CheckpointError(
                f"checkpoint {path}: {name}: {str(given)[:100]}: the image encoder takes {side} pixels"
            )
    arguments = {name: config[name] for name in _PROCESSOR_ARGUMENTS if name in config}
    return make_from_config(lambda: CLIPImageProcessor(**arguments), CLIPImageProcessor, path)


def make_scheduler(config: Mapping[str, Any], where: Path) -> DDIMScheduler:
    """Make the sampler from its configuration.

    Raises:
        CheckpointError: the configuration is of another class or describes no sampler.
    """
    check_class(config, DDIMScheduler, where)
    return make_from_config(lambda: DDIMScheduler.from_config(dict(config)), DDIMScheduler, where)
