"""Training loop: from a checked configuration to a checkpoint."""

from __future__ import annotations

import json
import math
import platform
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import diffusers
import numpy as np
import torch
import transformers
from accelerate import Accelerator, DistributedDataParallelKwargs
from diffusers.training_utils import EMAModel
from torch import nn

import talkingpose
from talkingpose.io.atomic import write_text
from talkingpose.io.progress import SILENT, Progress
from talkingpose.training.config import OptimizerConfig, TrainConfig
from talkingpose.training.data.samples import Sample, Samples, batches
from talkingpose.training.errors import TrainingError
from talkingpose.training.memory import check_memory, estimate
from talkingpose.training.models import build_parts, check_fit
from talkingpose.training.parameters import longest_prefix
from talkingpose.training.sheets import save_curves
from talkingpose.training.stages.autoencoder import AutoencoderTask
from talkingpose.training.stages.denoiser import DenoiserTask
from talkingpose.training.stages.perceptual import PerceptualTask
from talkingpose.training.training_folder import TrainingFolder


class Task(Protocol):
    """Stage of the training: its model, loss, validation and checkpoint."""

    @property
    def model(self) -> nn.Module: ...  # noqa: D102

    def weight_map(self) -> tuple[int, tuple[float, float]]: ...  # noqa: D102

    def loss(  # noqa: D102
        self, model: Callable[..., Any], batch: Sample, samples: Samples, generator: torch.Generator
    ) -> torch.Tensor: ...

    def figures(self) -> dict[str, float]: ...  # noqa: D102

    def validate(self, step: int, folder: Path) -> dict[str, float]: ...  # noqa: D102

    def save(self, folder: Path, dtype: torch.dtype, samples: Samples) -> None: ...  # noqa: D102


def train(config: TrainConfig, *, fresh: bool = False, progress: Progress = SILENT) -> dict[str, Any]:
    """Train, or resume an earlier run of the same configuration.

    A step is a function of the configuration, the number of the step and the state before it, so a training
    that was killed and resumed gives the weights of one that was not.

    Args:
        config: of the training.
        fresh: start over and delete the training in the output folder.
        progress: of the steps, and a message per validation.

    Returns:
        The content of `training.json`.

    Raises:
        TrainingError: the configuration cannot work, which is checked before the first step, or the loss is
            no longer finite.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    accelerator = Accelerator(
        mixed_precision=config.mixed_precision,
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
    )
    # 1. All checks that need no weights.
    described = build_parts(config, weights=False)
    check_fit(config, described)
    progress.message(check_memory(estimate(config, described), accelerator.device))
    folder = TrainingFolder(config.out)
    if fresh and accelerator.is_main_process:
        folder.clear()
    accelerator.wait_for_everyone()

    if accelerator.device.type == "cuda":
        torch.set_float32_matmul_precision("high")  # TF32, the default of convolutions

    # 2. Model, data and optimizer; random weights depend on the seed.
    torch.manual_seed(config.seed)
    parts = build_parts(config)
    stages: dict[str, Callable[..., Task]] = {
        "vae": AutoencoderTask,
        "denoiser": DenoiserTask,
        "perceptual": PerceptualTask,
    }
    task = stages[config.stage](config, parts, accelerator.device)
    samples = Samples(config, *task.weight_map())
    if accelerator.is_main_process:
        folder.claim(config)

    # 3. Steps.
    return _Trainer(config, accelerator, folder, task, samples, progress).run()


class _Trainer:
    def __init__(
        self,
        config: TrainConfig,
        accelerator: Any,
        folder: TrainingFolder,
        task: Task,
        samples: Samples,
        progress: Progress,
    ) -> None:
        self.config, self.accelerator, self.folder = config, accelerator, folder
        self.task, self.samples, self.progress = task, samples, progress
        self.trained = {n: p for n, p in task.model.named_parameters() if p.requires_grad}
        self.ema = EMAModel(self.trained.values(), decay=config.ema_decay, foreach=True)
        options = config.optimizer
        groups = _parameter_groups(self.trained, options)
        self.factors = [group.pop("factor") for group in groups]
        optimizer = torch.optim.AdamW(
            groups,
            lr=options.learning_rate,
            betas=options.betas,
            weight_decay=options.weight_decay,
            fused=accelerator.device.type == "cuda",
        )
        self.step, self.seconds = 0, 0.0
        state = folder.load_state()
        if state:
            self._load(state, optimizer)
        self.start = (self.step, self.seconds)
        self.model, self.optimizer = accelerator.prepare(task.model, optimizer)
        if state and state["scaler"] and accelerator.scaler is not None:
            accelerator.scaler.load_state_dict(state["scaler"])
        self.ema.to(accelerator.device)

    def run(self) -> dict[str, Any]:
        config, is_main = self.config, self.accelerator.is_main_process
        if self.step >= config.steps:
            self.progress.message(f"{config.out} has {self.step} steps already; add more with --steps")
            return self._summary()
        rank, processes = self.accelerator.process_index, self.accelerator.num_processes
        micro_batches = batches(self.samples, config, self.step, rank, processes)
        if self.step:
            self.progress.message(f"resuming after step {self.step} of {config.steps}")
        self.progress.start("training", config.steps - self.step, "steps")
        while self.step < config.steps:
            before = time.monotonic()
            row = self._one_step(micro_batches)
            self.seconds += time.monotonic() - before
            self.progress.advance()
            if is_main:
                self.folder.log("loss.csv", row)
            last = self.step == config.steps
            # The state comes last, so that everything before its step is on the disk.
            if self.step % config.validation.every == 0 or last:
                self._validate()
            if self.step % config.save_every == 0 or last:
                self._save()
        return self._summary()

    def _one_step(self, micro_batches: Iterator[Sample]) -> dict[str, Any]:
        config, accelerator = self.config, self.accelerator
        rate = learning_rate(config.optimizer, self.step, config.steps)
        for group, factor in zip(self.optimizer.param_groups, self.factors, strict=True):
            group["lr"] = rate * factor
        total = torch.zeros((), device=accelerator.device)
        for micro in range(config.accumulate):
            batch = next(micro_batches)
            seed = _seed_of(config.seed, self.step, micro, accelerator.process_index)
            generator = torch.Generator().manual_seed(seed)
            if micro < config.accumulate - 1:
                with accelerator.no_sync(self.model):
                    value = self._backward(batch, generator)
            else:
                value = self._backward(batch, generator)
            total += value / config.accumulate
        norm = accelerator.clip_grad_norm_(self.trained.values(), config.optimizer.max_grad_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.ema.step(self.trained.values())
        self.step += 1
        # Read last, because it waits for the GPU; nothing of a bad step is saved.
        loss = float(accelerator.reduce(total, reduction="mean"))
        if not math.isfinite(loss):
            raise TrainingError(
                f"step {self.step}: the loss is {loss}: set a smaller optimizer.learning_rate "
                f"or mixed_precision: no; the last state in {config.out} is from before"
            )
        return {
            "step": self.step,
            "loss": f"{loss:.6g}",
            "grad_norm": f"{float(norm):.4g}",
            "rate": f"{rate:.4g}",
            **{name: f"{value:.4f}" for name, value in self.task.figures().items()},
        }

    def _backward(self, batch: Sample, generator: torch.Generator) -> torch.Tensor:
        loss = self.task.loss(self.model, batch, self.samples, generator)
        self.accelerator.backward(loss / self.config.accumulate)
        return loss.detach()

    def _validate(self) -> None:
        """Write sheet, PSNR, curves and checkpoint of the averaged weights."""
        if self.accelerator.is_main_process:
            self.ema.store(self.trained.values())
            self.ema.copy_to(self.trained.values())
            scores = self.task.validate(self.step, self.folder.folder / "samples")
            dtype = torch.float16 if self.config.save_dtype == "float16" else torch.float32
            self.folder.replace_folder("checkpoint", lambda f: self.task.save(f, dtype, self.samples))
            self.ema.restore(self.trained.values())
            figures = {name: f"{value:.4f}" for name, value in scores.items()}
            self.folder.log("validation.csv", {"step": self.step, **figures})
            losses, validation = (self.folder.read_log(n) for n in ("loss.csv", "validation.csv"))
            save_curves(self.folder.folder / "loss.svg", losses, validation)
            write_text(self.folder.folder / "training.json", json.dumps(self._summary(), indent=2) + "\n")
            pace = (self.seconds - self.start[1]) / max(1, self.step - self.start[0])
            distance = f"LPIPS {figures['lpips']}, " if "lpips" in figures else ""
            self.progress.message(
                f"step {self.step} of {self.config.steps}: loss {losses[-1]['loss']}, "
                f"PSNR {figures['psnr']} dB, {distance}{pace:.2f} s/step"
            )
        self.accelerator.wait_for_everyone()

    def _save(self) -> None:
        if self.accelerator.is_main_process:
            scaler = self.accelerator.scaler
            self.folder.save_state(
                {
                    "step": self.step,
                    "seconds": self.seconds,
                    "model": {name: value.detach().cpu() for name, value in self.trained.items()},
                    "ema": self.ema.state_dict(),
                    "optimizer": self.optimizer.state_dict(),
                    "scaler": scaler.state_dict() if scaler is not None else None,
                }
            )
        self.accelerator.wait_for_everyone()

    def _load(self, state: dict[str, Any], optimizer: torch.optim.Optimizer) -> None:
        if state["model"].keys() != self.trained.keys():
            raise TrainingError(
                f"out {self.config.out}: its state is of another model: start over with --fresh"
            )
        with torch.no_grad():
            for name, value in state["model"].items():
                self.trained[name].copy_(value)
        self.ema.load_state_dict(state["ema"])
        optimizer.load_state_dict(state["optimizer"])
        self.step, self.seconds = state["step"], state["seconds"]

    def _summary(self) -> dict[str, Any]:
        config = self.config
        per_step = config.batch_size * config.accumulate * self.accelerator.num_processes
        validation = self.folder.read_log("validation.csv")
        return {
            "stage": config.stage,
            "out": config.out,
            "steps": self.step,
            "samples": self.step * per_step,
            "seconds": round(self.seconds, 1),
            "seconds_per_step": round(self.seconds / self.step, 4) if self.step else None,
            "validation_psnr": float(validation[-1]["psnr"]) if validation else None,
            "parameters": sum(p.numel() for p in self.task.model.parameters()),
            "trained_parameters": sum(p.numel() for p in self.trained.values()),
            "device": _device_name(self.accelerator.device),
            "mixed_precision": config.mixed_precision,
            "source": {
                "name": config.source.name,
                "revision": self.samples.source.revision,
            },
            "code_revision": _code_revision(),
            "versions": {
                "talkingpose": talkingpose.__version__,
                "python": platform.python_version(),
                "torch": torch.__version__,
                "diffusers": diffusers.__version__,
                "transformers": transformers.__version__,
            },
        }


def _parameter_groups(trained: dict[str, nn.Parameter], options: OptimizerConfig) -> list[dict[str, Any]]:
    """Return groups of parameters, each with its learning rate as a factor of `options.learning_rate`."""
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in trained.items():
        prefix = longest_prefix(name.removeprefix("denoising_"), options.rates)
        rate = options.rates[prefix] if prefix else options.learning_rate
        groups.setdefault(rate / options.learning_rate, []).append(parameter)
    return [{"params": parameters, "factor": factor} for factor, parameters in groups.items()]


def learning_rate(options: OptimizerConfig, step: int, steps: int) -> float:
    """Return the rate of step `step` (from 0) of `steps`: linear warm-up, then constant or half a cosine."""
    if step < options.warmup_steps:
        return options.learning_rate * (step + 1) / options.warmup_steps
    if options.decay == "constant":
        return options.learning_rate
    done = (step - options.warmup_steps) / max(1, steps - options.warmup_steps)
    share = options.final + (1 - options.final) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
    return options.learning_rate * share


def _seed_of(seed: int, step: int, micro: int, process: int) -> int:
    return int(np.random.SeedSequence([seed, step, micro, process]).generate_state(1)[0])


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type}, {torch.get_num_threads()} threads"


def _code_revision() -> str | None:
    """Return the commit of the checkout that runs, None for an installed copy."""
    root = Path(talkingpose.__file__).parents[1]
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "rev-parse", "HEAD"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return result.stdout.strip() or None
