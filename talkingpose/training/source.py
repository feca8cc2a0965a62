"""Where training frames come from: the contract of a source, and finding one by name."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Protocol

from talkingpose.training.errors import TrainingError

if TYPE_CHECKING:
    import numpy as np

GROUP = "talkingpose.training_sources"

Annotated = tuple["np.ndarray", "np.ndarray"]


class FrameSource(Protocol):
    """Clips of one person each; its class is registered in the entry-point group of this file.

    The arguments of the class are the keys under `source.options` of a configuration.
    """

    @property
    def revision(self) -> str | None:
        """What tells these frames from those of another state of the same source, None where nothing does."""
        ...

    def __len__(self) -> int:
        """Clips."""
        ...

    def num_frames(self, clip: int) -> int:
        """Frames of a clip."""
        ...

    def frames(self, clip: int, indices: Sequence[int], side: int) -> list[Annotated]:
        """Pictures uint8 (H, W, 3) RGB with keypoints float32 (133, 3), normalised, at these positions.

        `side` is the side in pixels at which the shorter side of the picture is used best; a source that
        stores its pictures returns them as they are. The same arguments give the same bytes.
        """
        ...


def open_source(name: str, options: dict[str, Any]) -> FrameSource:
    """Make a source by its registered name.

    Raises:
        TrainingError: no such source, it cannot be imported, or an option it does not know or lacks.
    """
    found = {entry.name: entry for entry in entry_points(group=GROUP)}
    if name not in found:
        known = ", ".join(sorted(found)) or "none"
        raise TrainingError(f"source {name}: not registered in {GROUP}: known are {known}")
    try:
        kind = found[name].load()
    except ImportError as error:
        raise TrainingError(f"source {name}: cannot be imported ({error}): install its package") from error
    try:
        inspect.signature(kind).bind(**options)
    except TypeError as error:
        raise TrainingError(f"source {name}: options: {error}: it takes {inspect.signature(kind)}") from error
    try:
        source: FrameSource = kind(**options)
    except ValueError as error:
        # Every part of the project has error classes of its own below ValueError, with one line for the user.
        raise TrainingError(f"source {name}: {error}") from error
    return source
