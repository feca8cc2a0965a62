"""Output folder of a training: state, logs and checkpoint, each replaced atomically."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from talkingpose.io.atomic import atomic_write, write_text
from talkingpose.io.documents import read_yaml
from talkingpose.training.config import TrainConfig, checked
from talkingpose.training.errors import TrainingError

# Keys that may change between two runs of the same training.
_CHANGEABLE = frozenset({"out", "steps", "save_every", "save_dtype", "workers", "threads", "validation"})
_LOGS = ("loss.csv", "validation.csv")
_OWN = ("checkpoint", "state", "samples", *_LOGS, "loss.svg", "config.yaml", "training.json")


class TrainingFolder:
    """Output folder of a training.

    Args:
        folder: created if it does not exist.

    Raises:
        TrainingError: it cannot be written.
    """

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        self._state = self.folder / "state" / "state.pt"
        try:
            (self.folder / "samples").mkdir(parents=True, exist_ok=True)
            (self.folder / "state").mkdir(exist_ok=True)
            probe = self.folder / ".writable"
            probe.touch()
            probe.unlink()
            # A killed process leaves its unfinished file, which is as large as the state.
            for unfinished in (self.folder / "state").glob(".*.part.pt"):
                unfinished.unlink(missing_ok=True)
        except OSError as error:
            raise TrainingError(
                f"out {folder}: cannot be written ({error.strerror}): give another"
            ) from error

    def clear(self) -> None:
        """Delete the files of a training, and nothing else."""
        for name in _OWN:
            path = self.folder / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        (self.folder / "samples").mkdir()
        (self.folder / "state").mkdir()

    def claim(self, config: TrainConfig) -> None:
        """Write the effective configuration after a comparison with the one in the folder.

        Raises:
            TrainingError: the folder holds a training of another configuration.
        """
        path = self.folder / "config.yaml"
        if path.is_file() and self._state.is_file():
            # Parsed as a configuration, so that keys of later versions have their defaults.
            before = checked(read_yaml(path, "config"), str(path)).model_dump(mode="json")
            now = config.model_dump(mode="json")
            different = [key for key in now if key not in _CHANGEABLE and before[key] != now[key]]
            if different:
                raise TrainingError(
                    f"out {self.folder}: holds a training with another {different[0]}: "
                    "give another --out, or --fresh to start over"
                )
        write_text(path, config.to_yaml())

    def save_state(self, state: Mapping[str, Any]) -> None:
        """Write a state; the previous one is replaced when this one is on the disk."""
        with atomic_write(self._state) as temporary:
            torch.save(dict(state), temporary)

    def load_state(self) -> dict[str, Any] | None:
        """Return the last state, None if there is none; rows of the logs after its step are removed.

        Raises:
            TrainingError: the file is damaged.
        """
        if not self._state.is_file():
            for name in _LOGS:
                (self.folder / name).unlink(missing_ok=True)
            return None
        try:
            state: dict[str, Any] = torch.load(self._state, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises a dozen classes for a damaged file
            raise TrainingError(f"state {self._state}: cannot be read: start over with --fresh") from error
        for name in _LOGS:
            self._cut_log(name, state["step"])
        return state

    def log(self, name: str, row: Mapping[str, Any]) -> None:
        """Append a row to a CSV file; a new file gets a header."""
        path = self.folder / name
        new = not path.is_file()
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(row))
            if new:
                writer.writeheader()
            writer.writerow(row)

    def read_log(self, name: str) -> list[dict[str, str]]:
        """Return the rows of a CSV file without an incomplete last line."""
        path = self.folder / name
        if not path.is_file():
            return []
        text = path.read_text(encoding="utf-8")
        return list(csv.DictReader(text[: text.rfind("\n") + 1].splitlines()))

    def replace_folder(self, name: str, write: Callable[[Path], None]) -> None:
        """Write a folder under a temporary name and swap it with the existing one."""
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

    def _cut_log(self, name: str, step: int) -> None:
        rows = [row for row in self.read_log(name) if int(row["step"]) <= step]
        if not rows:
            (self.folder / name).unlink(missing_ok=True)
            return
        lines = [",".join(rows[0])] + [",".join(row.values()) for row in rows]
        write_text(self.folder / name, "\r\n".join(lines) + "\r\n")
