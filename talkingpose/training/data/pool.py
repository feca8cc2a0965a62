"""Cache of groups on disk, for sources that are slower than a training step.

FOLDER/key.json            origin of the groups; a pool of another origin is refused
FOLDER/images.npy ...      one memory-mapped array per field; groups are added on first use
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from talkingpose.io.atomic import write_text
from talkingpose.training.data.groups import FrameGroup
from talkingpose.training.errors import TrainingError

_FIELDS = ("images", "poses", "keypoints", "separate")


class GroupPool:
    """Memory-mapped cache of groups. Several processes may fill it, because all write the same bytes.

    Args:
        folder: created if it does not exist.
        key: everything that determines the groups.
        groups, frames, size: N, M and S of the arrays (N, M, S, S, 3).

    Raises:
        TrainingError: the folder holds another pool, cannot be written, or the disk is too small.
    """

    def __init__(self, folder: str, key: dict[str, Any], groups: int, frames: int, size: int) -> None:
        root = Path(folder)
        text = json.dumps(key, sort_keys=True, indent=1)
        shapes: dict[str, tuple[tuple[int, ...], type]] = {
            "images": ((groups, frames, size, size, 3), np.uint8),
            "poses": ((groups, frames, size, size, 3), np.uint8),
            "keypoints": ((groups, frames, 133, 3), np.float32),
            "separate": ((groups,), np.uint8),
            "ready": ((groups,), np.uint8),
        }
        try:
            root.mkdir(parents=True, exist_ok=True)
            card = root / "key.json"
            if not card.is_file():
                needed = sum(int(np.prod(shape)) * np.dtype(kind).itemsize for shape, kind in shapes.values())
                free = shutil.disk_usage(root).free
                if needed > free:
                    raise TrainingError(
                        f"pool {folder}: needs {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free: "
                        "make room or set fewer pool.groups"
                    )
                for name, (shape, kind) in shapes.items():
                    _memory_map(root / f"{name}.npy", mode="w+", dtype=kind, shape=shape).flush()
                write_text(card, text)
            elif card.read_text(encoding="utf-8") != text:
                raise TrainingError(
                    f"pool {folder}: was made from another source, size or augmentation: "
                    "give another pool.folder, or delete this one"
                )
            self._arrays = {name: _memory_map(root / f"{name}.npy", mode="r+") for name in shapes}
        except TrainingError:
            raise
        except (OSError, ValueError) as error:
            raise TrainingError(
                f"pool {folder}: cannot be written or read ({error}): give another"
            ) from error

    def get(self, index: int) -> FrameGroup | None:
        """Return a group as memory-mapped arrays, None if it is not in the pool yet."""
        if not self._arrays["ready"][index]:
            return None
        images, poses, keypoints = (self._arrays[name][index] for name in ("images", "poses", "keypoints"))
        return FrameGroup(images, poses, keypoints, bool(self._arrays["separate"][index]))

    def put(self, index: int, group: FrameGroup) -> None:
        """Store a group; it becomes visible after all of it is written."""
        for name in _FIELDS:
            self._arrays[name][index] = getattr(group, name)
        self._arrays["ready"][index] = 1


def _memory_map(path: Path, **options: Any) -> np.memmap[Any, np.dtype[Any]]:
    mapped: np.memmap[Any, np.dtype[Any]] = npy.open_memmap(path, **options)  # type: ignore[no-untyped-call]
    return mapped
