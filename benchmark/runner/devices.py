"""Devices of the worker processes of a run: GPUs by number, or a number of CPU processes."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from benchmark.errors import EvaluationError

VISIBLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True)
class WorkerDevice:
    """Device of one worker process.

    Attributes:
        name: label in messages, such as `gpu 0`.
        device: as in `RunSettings.device`.
        visible: value of CUDA_VISIBLE_DEVICES in the process; None leaves it.
    """

    name: str
    device: str
    visible: str | None = None

    @contextlib.contextmanager
    def environment(self) -> Iterator[None]:
        """Set the environment that a process started meanwhile inherits."""
        before = os.environ.get(VISIBLE)
        if self.visible is not None:
            os.environ[VISIBLE] = self.visible
        try:
            yield
        finally:
            if before is None:
                os.environ.pop(VISIBLE, None)
            else:
                os.environ[VISIBLE] = before


def parse_devices(
    text: str, num_gpus: int | None = None, environ: Mapping[str, str] = os.environ
) -> list[WorkerDevice]:
    """Read `all`, numbers of GPUs such as `0,1`, or `cpu:N`.

    A number counts the GPUs that this process sees: with CUDA_VISIBLE_DEVICES=4,5, number 0 is GPU 4.

    Args:
        text: value of `--devices`.
        num_gpus: number of GPUs that torch finds; None asks torch.
        environ: for CUDA_VISIBLE_DEVICES.

    Raises:
        EvaluationError: another form, a number without a GPU, or one twice.
    """
    form = "give all, numbers of GPUs such as 0,1, or cpu:N"
    processes = re.fullmatch(r"cpu:(\d{1,4})", text.strip())
    if processes:
        return same_device("cpu", int(processes[1]), f"--devices {text}")
    if not re.fullmatch(r"all|\d{1,4}( *, *\d{1,4})*", text.strip()):
        raise EvaluationError(f"--devices {text!r}: unknown: {form}")
    if num_gpus is None:
        num_gpus = _num_gpus()
    numbers = list(range(num_gpus)) if text.strip() == "all" else [int(part) for part in text.split(",")]
    there = "no GPU" if not num_gpus else "GPU 0 only" if num_gpus == 1 else f"GPUs 0 to {num_gpus - 1}"
    if not numbers or max(numbers) >= num_gpus:
        raise EvaluationError(f"--devices {text}: torch finds {there}: {form}")
    if len(set(numbers)) < len(numbers):
        raise EvaluationError(f"--devices {text}: a GPU is named twice: name each once")
    names = [name.strip() for name in environ.get(VISIBLE, "").split(",") if name.strip()]
    return [
        WorkerDevice(f"gpu {number}", "cuda", names[number] if number < len(names) else str(number))
        for number in numbers
    ]


def same_device(device: str, count: int, option: str) -> list[WorkerDevice]:
    """Return `count` processes on one device.

    Raises:
        EvaluationError: the number is below 1; `option` names its origin.
    """
    if count < 1:
        raise EvaluationError(f"{option}: give a number of processes from 1")
    return [WorkerDevice(f"worker {number}", device) for number in range(1, count + 1)]


def _num_gpus() -> int:
    from talkingpose.pipeline.device import pick_device

    if pick_device("auto") == "cpu":
        return 0
    import torch

    return torch.cuda.device_count()
