"""Fine-tuning of weights in the published layout on a dataset."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from typer.testing import CliRunner

from talkingpose import TalkingPosePipeline
from talkingpose.training.cli import app
from talkingpose.training.errors import TrainingError
from talkingpose.training.finetune import finetune_config
from tests.talkingpose.training.conftest import write

SHORT: dict[str, Any] = {
    "base": "finetune",
    "accumulate": 1,
    "workers": 0,
    "threads": 1,
    "save_dtype": "float32",
    "optimizer": {"learning_rate": 1e-3},
    "validation": {"every": 10, "samples": 1, "inference_steps": 1, "guidance_scale": 1.0},
}


def test_published_weights_are_trained_further_and_written_in_both_layouts(
    parity_folder: Path, tmp_path: Path
) -> None:
    out, config = tmp_path / "out", write(tmp_path / "short.yaml", SHORT)
    arguments = ["finetune", "--checkpoint", str(parity_folder), "--dataset", "tp-mini", "--out", str(out)]
    arguments += ["--config", str(config), "--size", "64", "--steps", "1"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output

    effective = yaml.safe_load((out / "config.yaml").read_text())
    scheduler = json.loads((parity_folder / "scheduler.json").read_text())
    assert effective["diffusion"]["beta_schedule"] == scheduler["beta_schedule"] == "linear"
    before, diffusers, official = (
        TalkingPosePipeline.from_pretrained(folder, torch_dtype=torch.float32)
        for folder in (parity_folder, out / "checkpoint", out / "official")
    )
    assert diffusers.scheduler.config.beta_schedule == official.scheduler.config.beta_schedule == "linear"
    for name in ("denoising_unet", "reference_unet", "pose_guider", "vae", "image_encoder"):
        start, ours, other = (getattr(p, name).state_dict() for p in (before, diffusers, official))
        used = [key for key in ours if not (name == "reference_unet" and key.startswith("conv_"))]
        assert all(torch.equal(ours[key], other[key]) for key in used)
        changed = any(not torch.equal(ours[key], start[key]) for key in used)
        assert changed == (name not in ("vae", "image_encoder"))

    # The weights of another checkpoint do not enter this training.
    copy = shutil.copytree(parity_folder, tmp_path / "copy")
    with pytest.raises(TrainingError, match="of another checkpoint"):
        finetune_config(str(copy), "tp-mini", out, str(config), {})

    # The same command resumes.
    arguments[-1] = "2"
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert json.loads((out / "training.json").read_text())["steps"] == 2


def test_a_fine_tuning_takes_its_defaults_from_the_checkpoint(tmp_path: Path) -> None:
    config = finetune_config("tiny", "tp-mini", tmp_path, "finetune", {"learning_rate": 3e-6, "steps": 7})
    assert (config.size, config.steps) == (128, 7)
    assert config.diffusion.beta_schedule == "scaled_linear"
    assert (config.validation.inference_steps, config.validation.guidance_scale) == (2, 1.0)
    assert config.source.validation == {"split": "validation"}
    assert config.optimizer.learning_rate == 3e-6
    assert "reference_unet.up_blocks.2" in config.model.freeze


def test_options_win_over_the_file_and_the_file_over_the_checkpoint(tmp_path: Path) -> None:
    changes = SHORT | {"out": "elsewhere", "size": 64, "steps": 9}
    file = str(write(tmp_path / "mine.yaml", changes))
    config = finetune_config("tiny", "tp-mini", tmp_path, file, {"learning_rate": 3e-6, "steps": 7})
    assert (config.out, config.steps, config.size) == (str(tmp_path), 7, 64)
    assert config.optimizer.learning_rate == 3e-6 and config.optimizer.warmup_steps == 50

    del changes["base"]
    with pytest.raises(TrainingError, match="add base: finetune"):
        finetune_config("tiny", "tp-mini", tmp_path, str(write(tmp_path / "mine.yaml", changes)), {})


def test_another_kind_of_scheduler_is_refused(tmp_path: Path) -> None:
    from talkingpose.model.checkpoint_folder import checkpoint_folder

    folder = tmp_path / "copy"
    shutil.copytree(checkpoint_folder("tiny"), folder)
    file = folder / "scheduler" / "scheduler_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"prediction_type": "epsilon"}))
    with pytest.raises(TrainingError, match="prediction_type is epsilon"):
        finetune_config(str(folder), "tp-mini", tmp_path / "out", "finetune", {})
