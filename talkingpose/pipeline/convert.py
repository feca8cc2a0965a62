"""Conversion of a checkpoint between the official and the diffusers layout, without loss."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from talkingpose.io.errors import UserError
from talkingpose.model.checkpoint_folder import checkpoint_folder

if TYPE_CHECKING:
    from talkingpose.pipeline.talkingpose_pipeline import TalkingPosePipeline

Layout = Literal["official", "diffusers"]


class ConvertError(UserError):
    """A conversion that is not possible."""


def convert(source: str | Path, target: Path, layout: Layout) -> None:
    """Write a checkpoint in a layout, and compare it with the source before it gets its name.

    Args:
        source: as for `checkpoint_folder`, in either layout.
        target: folder to create.
        layout: to write.

    Raises:
        ConvertError: the target exists, the layout is unknown, or the written checkpoint differs.
        CheckpointError: the source cannot be read.
    """
    from talkingpose.model.inference_settings import INFERENCE_FILE
    from talkingpose.pipeline.talkingpose_pipeline import TalkingPosePipeline

    if layout not in get_args(Layout):
        raise ConvertError(f"layout {layout}: unknown: give {' or '.join(get_args(Layout))}")
    if target.exists():
        raise ConvertError(f"{target}: exists already: give a new folder name")
    folder = checkpoint_folder(source)
    pipeline = TalkingPosePipeline.from_pretrained(folder, None)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as place:
        draft = Path(place) / "checkpoint"
        if layout == "official":
            pipeline.save_official(draft)
        else:
            pipeline.save_pretrained(draft)
        if (folder / INFERENCE_FILE).is_file():
            shutil.copy(folder / INFERENCE_FILE, draft)
        _compare(pipeline, TalkingPosePipeline.from_pretrained(draft, None))
        draft.replace(target)


def _compare(read: TalkingPosePipeline, written: TalkingPosePipeline) -> None:
    import torch

    from talkingpose.model.diffusers_checkpoint import MODELS
    from talkingpose.model.official_checkpoint import REFERENCE_ABSENT

    for name in MODELS:
        before, after = (getattr(pipeline, name).state_dict() for pipeline in (read, written))
        # The official layout does not store these four, which are never used.
        keys = before.keys() - (REFERENCE_ABSENT if name == "reference_unet" else set())
        different = [key for key in keys if key not in after or not torch.equal(before[key], after[key])]
        if different:
            raise ConvertError(f"{name}: {sorted(different)[0]}: not written as it was read")
    if _settings(read) != _settings(written):
        raise ConvertError("scheduler: not written as it was read")


def _settings(pipeline: TalkingPosePipeline) -> dict[str, object]:
    # Names with an underscore are remarks of diffusers, its version for example.
    return {name: value for name, value in pipeline.scheduler.config.items() if not name.startswith("_")}
