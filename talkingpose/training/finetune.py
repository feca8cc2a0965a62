"""Fine-tuning of a finished checkpoint on another dataset."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from talkingpose.io.atomic import write_text
from talkingpose.io.progress import SILENT, Progress
from talkingpose.model.checkpoint_folder import OFFICIAL_FILE, checkpoint_folder
from talkingpose.model.inference_settings import read_inference
from talkingpose.model.model_files import read_config
from talkingpose.training.config import TrainConfig, load_config
from talkingpose.training.errors import TrainingError

# Parts of a configuration, and the folders of a checkpoint in the diffusers layout.
_PARTS = {
    "vae": "vae",
    "unet": "denoising_unet",
    "reference_unet": "reference_unet",
    "image_encoder": "image_encoder",
    "pose_guider": "pose_guider",
}
# In the output folder: the start in the diffusers layout, and the folder that it was converted from.
_CONVERTED, _ORIGIN = "source", "source.txt"
_REQUIRED_SCHEDULER = {
    "prediction_type": "v_prediction",
    "rescale_betas_zero_snr": True,
    "beta_start": 0.00085,
    "beta_end": 0.012,
}


def finetune(
    checkpoint: str,
    dataset: str,
    out: Path,
    *,
    config: str = "finetune",
    overrides: Mapping[str, Any] | None = None,
    fresh: bool = False,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Train a checkpoint further, and write the result in both layouts.

    Args:
        checkpoint: `tiny`, `hub` or a folder, in the official or in the diffusers layout.
        dataset: folder that `tp-curate` wrote, or a repository of the Hub.
        out: folder of the training. `checkpoint` in it has the diffusers layout, `official` the other.
        config: `finetune`, or a YAML file of what differs from it (`base: finetune`).
        overrides: top-level keys that override the file, and `learning_rate`; None keeps the file's value.
        fresh: start over, with the weights that the checkpoint has now.
        progress: of the steps.

    Returns:
        The content of `training.json`.

    Raises:
        TrainingError: see `finetune_config` and `talkingpose.training.loop.train`.
        CheckpointError: the checkpoint cannot be read.
        DatasetError: the dataset cannot be opened.
    """
    import shutil

    from talkingpose.pipeline.convert import convert
    from talkingpose.training.loop import train

    if fresh and (out / _ORIGIN).is_file():
        shutil.rmtree(out / _CONVERTED, ignore_errors=True)
    settings = finetune_config(checkpoint, dataset, out, config, overrides or {})
    summary = train(settings, fresh=fresh, progress=progress)
    official = out / "official"
    if official.exists():
        shutil.rmtree(official)
    convert(out / "checkpoint", official, "official")
    return summary


def finetune_config(
    checkpoint: str, dataset: str, out: Path, config: str, overrides: Mapping[str, Any]
) -> TrainConfig:
    """Return the configuration of a fine-tuning.

    The noise schedule, the steps of inference and the guidance are those of the checkpoint, and its native
    size is the default. A checkpoint in the official layout is converted into `out/source` first.

    Raises:
        TrainingError: the checkpoint samples on a schedule that cannot be trained on, the dataset has no clip
            for training, or a setting is invalid.
    """
    source = _diffusers_folder(checkpoint, out)
    settings = read_inference(source)
    schedule = _beta_schedule(read_config(source / "scheduler" / "scheduler_config.json"), checkpoint)
    vae, unet = (read_config(source / part / "config.json") for part in ("vae", "denoising_unet"))
    native = int(unet["sample_size"]) * 2 ** (len(vae["block_out_channels"]) - 1)
    given = {key: value for key, value in overrides.items() if value is not None}
    if "learning_rate" in given:
        given["optimizer"] = {"learning_rate": given.pop("learning_rate")}
    # As in the training of the reference.
    last_block = f"reference_unet.up_blocks.{len(unet['up_block_types']) - 1}"
    model: dict[str, Any] = {
        name: {"pretrained": str(source), "subfolder": part} for name, part in _PARTS.items()
    }
    changes: dict[str, Any] = {
        "size": native,
        "source": _source(dataset),
        "model": model | {"freeze": ["image_encoder", last_block]},
        "diffusion": {"beta_schedule": schedule},
        "validation": {
            "inference_steps": settings.num_inference_steps,
            "guidance_scale": settings.guidance_scale,
        },
    }
    return load_config(config, {**given, "out": str(out)}, start=changes)


def _diffusers_folder(checkpoint: str, out: Path) -> Path:
    """Return the folder of a checkpoint in the diffusers layout, converted where it has the other.

    Raises:
        TrainingError: `out` holds the conversion of another checkpoint.
    """
    from talkingpose.pipeline.convert import convert

    folder = checkpoint_folder(checkpoint)
    if not any((folder / place / OFFICIAL_FILE).is_file() for place in ("", "weights")):
        return folder
    converted, origin = out / _CONVERTED, out / _ORIGIN
    name = str(folder.resolve())
    if not converted.exists():
        out.mkdir(parents=True, exist_ok=True)
        write_text(origin, name + "\n")
        convert(folder, converted, "diffusers")
    elif not origin.is_file() or origin.read_text(encoding="utf-8").strip() != name:
        raise TrainingError(f"out {out}: holds a fine-tuning of another checkpoint: give another --out")
    return converted


def _beta_schedule(scheduler: Mapping[str, Any], checkpoint: str) -> str:
    for name, expected in _REQUIRED_SCHEDULER.items():
        if scheduler.get(name) != expected:
            raise TrainingError(
                f"checkpoint {checkpoint}: scheduler: {name} is {scheduler.get(name)}, not {expected}: "
                "give a checkpoint of this model"
            )
    schedule = str(scheduler.get("beta_schedule"))
    if schedule not in ("linear", "scaled_linear"):
        raise TrainingError(f"checkpoint {checkpoint}: scheduler: beta_schedule {schedule} is not supported")
    return schedule


def _source(dataset: str) -> dict[str, Any]:
    from talkingpose.data.clips import ClipDataset

    opened = ClipDataset(dataset)
    splits = [split for split in ("train", "validation", "test") if split in opened.splits]
    if "train" not in splits:
        raise TrainingError(
            f"dataset {dataset}: has no split train, only {', '.join(splits)}: curate one with it"
        )
    held_out = next((split for split in splits[1:] if opened.clips(split)), "train")
    return {
        "name": "clips",
        "options": {"dataset": dataset, "split": "train"},
        "validation": {"split": held_out},
    }
