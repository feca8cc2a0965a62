"""Runs of one contestant with several seeds, side by side in one folder: OUT/seed-0, OUT/seed-1, ..."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from benchmark.errors import EvaluationError
from benchmark.results import Run
from benchmark.run_dir import seed_folders
from benchmark.runner.devices import WorkerDevice
from benchmark.runner.run_settings import RunSettings
from benchmark.runner.workers import evaluate_in_workers
from talkingpose.io.progress import Progress

__all__ = ["evaluate_seeds", "seed_folders"]


def evaluate_seeds(
    settings: RunSettings, seeds: int, devices: Sequence[WorkerDevice], progress: Progress
) -> list[Run]:
    """Evaluate a contestant with `seeds` seeds from that of the settings on; each run resumes on its own.

    Raises:
        EvaluationError: fewer than two seeds, or the folder holds a single run.
        UserError: as `evaluate_in_workers`.
    """
    if seeds < 2:
        raise EvaluationError(f"--seeds {seeds}: give a number from 2, or --seed for one run")
    if (settings.out / "run.json").exists():
        raise EvaluationError(f"--out {settings.out}: holds a single run: choose another folder for --seeds")
    return [
        evaluate_in_workers(
            dataclasses.replace(settings, seed=seed, out=settings.out / f"seed-{seed}"), devices, progress
        )
        for seed in range(settings.seed, settings.seed + seeds)
    ]
