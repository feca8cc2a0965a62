"""Groups prepared once and kept on disk, for sources that are slower than a training step.

FOLDER/key.json            what the groups were made from; a pool of anything else is refused
FOLDER/images.npy ...      one array per field, memory-mapped; groups are filled in as they are needed
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap

from talkingpose.training.errors import TrainingError
from talkingpose.training.groups import FrameGroup


class GroupPool:
    """A memory-mapped cache of groups; several processes may fill it, as all would write the same bytes.

    Args:
        folder: made if it is not there.
        key: what determines the groups.
        groups, frames, size: N, M and S of the arrays (N, M, S, S, 3).

    Raises:
        TrainingError: the folder holds another pool, cannot be written, or the disk is too small.
    """

    def __init__(self, folder: str, key: dict[str, Any], groups: int, frames: int, size: int) -> None:
        root = Path(folder)
        text = json.dumps(key, sort_keys=True, indent=1)
        shapes = {
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
                        f"pool {folder}: needs {needed / 1e9:.1f} GB, free are {free / 1e9:.1f} GB: "
                        "make room or set fewer pool.groups"
                    )
                for name, (shape, kind) in shapes.items():
                    open_memmap(root / f"{name}.npy", mode="w+", dtype=kind, shape=shape).flush()
                draft = root / "key.json.part"
                draft.write_text(text, encoding="utf-8")
                draft.replace(card)
            elif card.read_text(encoding="utf-8") != text:
                raise TrainingError(
                    f"pool {folder}: was made from another source, size or augmentation: "
                    "give another pool.folder, or delete this one"
                )
            self._arrays = {name: open_memmap(root / f"{name}.npy", mode="r+") for name in shapes}
        except (OSError, ValueError) as error:
            if isinstance(error, TrainingError):
                raise
            raise TrainingError(
                f"pool {folder}: cannot be written or read ({error}): give another"
            ) from error

    def get(self, index: int) -> FrameGroup | None:
        """A group as memory-mapped arrays, None while it is not there."""
        if not self._arrays["ready"][index]:
            return None
        images, poses, keypoints = (self._arrays[name][index] for name in ("images", "poses", "keypoints"))
        return FrameGroup(images, poses, keypoints, bool(self._arrays["separate"][index]))

    def put(self, index: int, group: FrameGroup) -> None:
        """Keep a group; it counts as there only after all of it is written."""
        for name in ("images", "poses", "keypoints", "separate"):
            self._arrays[name][index] = getattr(group, name)
        self._arrays["ready"][index] = 1
