"""A checkpoint in the other layout: official to diffusers' and back, without loss."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from talkingpose.io.errors import UserError
from talkingpose.pipeline.load import checkpoint_folder, read_pipeline

if TYPE_CHECKING:
    import torch

    from talkingpose.pipeline.pipeline import TalkingPosePipeline

Layout = Literal["official", "diffusers"]

_MODELS = ("denoising_unet", "reference_unet", "pose_guider", "vae", "image_encoder")


class ConvertError(UserError):
    """A conversion that cannot be made."""


def convert(source: str | Path, target: Path, layout: Layout) -> None:
    """Write a checkpoint in a layout; `target` appears when it is whole and was compared with the source.

    Args:
        source: as `checkpoint_folder` takes it, in either layout.
        target: folder that is not there yet.
        layout: to write.

    Raises:
        ConversionError: the target exists, the layout is unknown, or what was written is not what was read.
        LoadingError, CheckpointError: the source cannot be read.
    """
    from talkingpose.model.inference_settings import INFERENCE_FILE

    if layout not in get_args(Layout):
        raise ConvertError(f"layout {layout}: unknown: give {' or '.join(get_args(Layout))}")
    if target.exists():
        raise ConvertError(f"{target}: exists already: give a new folder name")
    folder = checkpoint_folder(source)
    pipeline = _read(folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as place:
        draft = Path(place) / "checkpoint"
        if layout == "official":
            pipeline.save_official(draft)
        else:
            pipeline.save_pretrained(draft)
        if (folder / INFERENCE_FILE).is_file():
            shutil.copy(folder / INFERENCE_FILE, draft)
        _compare(pipeline, _read(draft))
        draft.replace(target)


def _read(folder: Path) -> TalkingPosePipeline:
    """Read a checkpoint, each model in the type of its file; back from float32 nothing is lost."""
    pipeline = read_pipeline(folder)
    for name in _MODELS:
        for file in sorted((folder / name).glob("*.safetensors"))[:1]:
            getattr(pipeline, name).to(_dtype(file))
    return pipeline


def _dtype(file: Path) -> torch.dtype:
    from safetensors import safe_open

    with safe_open(file, framework="pt") as content:
        dtype: torch.dtype = content.get_tensor(next(iter(content.keys()))).dtype
    return dtype


def _compare(read: TalkingPosePipeline, written: TalkingPosePipeline) -> None:
    import torch

    from talkingpose.model.official_checkpoint import REFERENCE_ABSENT

    for name in _MODELS:
        before, after = (getattr(pipeline, name).state_dict() for pipeline in (read, written))
        # The official layout has no place for these four, which are never used.
        keys = before.keys() - (REFERENCE_ABSENT if name == "reference_unet" else set())
        wrong = [key for key in keys if key not in after or not torch.equal(before[key], after[key])]
        if wrong:
            raise ConvertError(f"{name}: {sorted(wrong)[0]}: not written as it was read")
    before, after = (_settings(pipeline) for pipeline in (read, written))
    if before != after:
        raise ConvertError("scheduler: not written as it was read")


def _settings(pipeline: TalkingPosePipeline) -> dict[str, object]:
    # Those with an underscore are notes of diffusers, its version for example.
    return {name: value for name, value in pipeline.scheduler.config.items() if not name.startswith("_")}
