"""Shards: one of n parts of a list of jobs, for Slurm arrays and other launchers."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from talkingpose.io.errors import UserError


class ShardError(UserError):
    """A shard that does not exist, or an environment that does not name one."""


@dataclass(frozen=True)
class Shard:
    """Part `number` of `of` parts, counted from 1."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def holds(self, digest: str) -> bool:
        """Return whether an item belongs to this shard; `digest` is a hexadecimal hash of the item."""
        return int(digest, 16) % self.of == self.number - 1


def parse_shard(text: str, environ: Mapping[str, str] = os.environ) -> Shard:
    """Read `I/N`, or `auto` for the shard that the launcher assigned to this process.

    `auto` reads the variables of a Slurm job array (`SLURM_ARRAY_TASK_ID`, `_MIN`, `_STEP`, `_COUNT`), else
    `RANK` and `WORLD_SIZE` (torchrun), else `SLURM_PROCID` and `SLURM_NTASKS` (srun).

    Raises:
        ShardError: not of this form, out of range, or no such variables.
    """
    if text == "auto":
        return _assigned(environ)
    found = re.fullmatch(r"(\d{1,5})/(\d{1,5})", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise ShardError(f"--shard {text!r}: not a shard: give I/N, such as 2/3, or auto")
    return Shard(int(found[1]), int(found[2]))


def _assigned(environ: Mapping[str, str]) -> Shard:
    slurm = ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_STEP", "SLURM_ARRAY_TASK_COUNT")
    defaults = {"SLURM_ARRAY_TASK_STEP": "1"}
    try:
        if slurm[0] in environ:
            task, first, step, of = (int(environ.get(name) or defaults[name]) for name in slurm)
            number = (task - first) // step + 1
        else:
            rank, size = ("RANK", "WORLD_SIZE") if "RANK" in environ else ("SLURM_PROCID", "SLURM_NTASKS")
            number, of = int(environ[rank]) + 1, int(environ[size])
    except (KeyError, ValueError, ZeroDivisionError) as error:
        raise ShardError(
            "--shard auto: no Slurm job array, RANK and WORLD_SIZE, or srun in the environment: give I/N"
        ) from error
    if not 1 <= number <= of:
        raise ShardError(
            f"--shard auto: task {number} of {of}: use a job array without gaps, such as --array=1-{of}"
        )
    return Shard(number, of)
