"""What survives a kill: the state of a training and its logs, each file replaced as a whole."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml

from talkingpose.training.config import TrainConfig, checked
from talkingpose.training.errors import TrainingError

# What may change from one run to the next without making it another training.
_FREE = frozenset({"out", "steps", "save_every", "save_dtype", "workers", "threads", "validation"})
_OWN = (
    "checkpoint",
    "state",
    "samples",
    "loss.csv",
    "validation.csv",
    "loss.svg",
    "config.yaml",
    "training.json",
)


class Workplace:
    """The output folder of a training.

    Args:
        folder: made if it is not there.

    Raises:
        TrainingError: it cannot be written.
    """

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        try:
            (self.folder / "samples").mkdir(parents=True, exist_ok=True)
            (self.folder / "state").mkdir(exist_ok=True)
            probe = self.folder / ".writable"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise TrainingError(
                f"out {folder}: cannot be written ({error.strerror}): give another"
            ) from error

    def clear(self) -> None:
        """Remove what a training wrote here, and nothing else."""
        for name in _OWN:
            path = self.folder / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        (self.folder / "samples").mkdir()
        (self.folder / "state").mkdir()

    def claim(self, config: TrainConfig) -> None:
        """Write the effective configuration, after a look at the one that is there.

        Raises:
            TrainingError: the folder holds a training of another configuration.
        """
        path = self.folder / "config.yaml"
        if path.is_file() and self._state.is_file():
            # Read as a configuration, so that a key which came later has its default.
            before, now = (
                one.model_dump(mode="json")
                for one in (checked(yaml.safe_load(path.read_text(encoding="utf-8")), str(path)), config)
            )
            other = [key for key in now if key not in _FREE and before[key] != now[key]]
            if other:
                raise TrainingError(
                    f"out {self.folder}: holds a training with another {other[0]}: "
                    "give another --out, or --fresh to start over"
                )
        write_text(path, config.to_yaml())

    def save_state(self, state: dict[str, Any]) -> None:
        """Keep a state; the one before is replaced only when this one is on the disk."""
        draft = self._state.with_suffix(".part")
        with draft.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._state)

    def load_state(self) -> dict[str, Any] | None:
        """The last state, None where there is none; logs are cut back to its step.

        Raises:
            TrainingError: the file is damaged.
        """
        if not self._state.is_file():
            for name in ("loss.csv", "validation.csv"):
                (self.folder / name).unlink(missing_ok=True)
            return None
        try:
            state: dict[str, Any] = torch.load(self._state, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises a dozen classes for a damaged file
            raise TrainingError(f"state {self._state}: cannot be read: start over with --fresh") from error
        for name in ("loss.csv", "validation.csv"):
            self._cut_log(name, state["step"])
        return state

    def log(self, name: str, row: dict[str, Any]) -> None:
        """Append a row to a CSV file; a new file gets a head."""
        path = self.folder / name
        new = not path.is_file()
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(row))
            if new:
                writer.writeheader()
            writer.writerow(row)

    def read_log(self, name: str) -> list[dict[str, str]]:
        """Rows of a CSV file; a last line that was cut off is left out."""
        path = self.folder / name
        if not path.is_file():
            return []
        text = path.read_text(encoding="utf-8")
        return list(csv.DictReader(text[: text.rfind("\n") + 1].splitlines()))

    def replace_folder(self, name: str, write: Callable[[Path], None]) -> Path:
        """Write a folder beside its name and put it in the place of the old one."""
        target, draft, old = (self.folder / n for n in (name, f".{name}.part", f".{name}.old"))
        for leftover in (draft, old):
            if leftover.exists():
                shutil.rmtree(leftover)
        write(draft)
        if target.exists():
            target.replace(old)
        draft.replace(target)
        if old.exists():
            shutil.rmtree(old)
        return target

    @property
    def _state(self) -> Path:
        return self.folder / "state" / "state.pt"

    def _cut_log(self, name: str, step: int) -> None:
        rows: Sequence[dict[str, str]] = [row for row in self.read_log(name) if int(row["step"]) <= step]
        if not rows:
            (self.folder / name).unlink(missing_ok=True)
            return
        lines = [",".join(rows[0])] + [",".join(row.values()) for row in rows]
        write_text(self.folder / name, "\r\n".join(lines) + "\r\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file that appears under its name only when complete."""
    draft = path.with_name(f".{path.name}.part")
    with draft.open("w", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
