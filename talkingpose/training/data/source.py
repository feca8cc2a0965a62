"""Training sources: their contract, and their registry by entry points."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Protocol

from talkingpose.training.errors import TrainingError

if TYPE_CHECKING:
    import numpy.typing as npt

    from talkingpose.io.image import Image

GROUP = "talkingpose.training_sources"

# A picture uint8 (H, W, 3) RGB and its keypoints (133, 3), normalised, floating point.
AnnotatedFrame = tuple["Image", "npt.NDArray[Any]"]


class FrameSource(Protocol):
    """Clips of one person each; the class is registered in the entry-point group `GROUP`.

    The arguments of the class are the keys of `source.options` in a configuration.
    """

    @property
    def revision(self) -> str | None:
        """Identifier that changes with the frames of the source; None if there is none."""
        ...

    def __len__(self) -> int:
        """Return the number of clips."""
        ...

    def num_frames(self, clip: int) -> int:
        """Return the number of frames of a clip."""
        ...

    def frames(self, clip: int, indices: Sequence[int], side: int) -> list[AnnotatedFrame]:
        """Return the frames at these positions, in this order. The same arguments give the same bytes.

        Args:
            clip: position of the clip.
            indices: positions of the frames.
            side: preferred length of the shorter side in pixels, for sources that draw or resize; a source
                that stores its pictures returns them as they are.
        """
        ...


def open_source(name: str, options: Mapping[str, Any]) -> FrameSource:
    """Make a source by its registered name.

    Raises:
        TrainingError: no such source, it cannot be imported, or an option is unknown, missing or invalid.
    """
    registered = {entry.name: entry for entry in entry_points(group=GROUP)}
    if name not in registered:
        known = ", ".join(sorted(registered)) or "none"
        raise TrainingError(f"source {name}: not registered in {GROUP}: known are {known}")
    try:
        kind = registered[name].load()
    except ImportError as error:
        raise TrainingError(f"source {name}: cannot be imported ({error}): install its package") from error
    try:
        inspect.signature(kind).bind(**options)
    except TypeError as error:
        raise TrainingError(f"source {name}: options: {error}: it takes {inspect.signature(kind)}") from error
    try:
        source: FrameSource = kind(**options)
    except ValueError as error:  # base of the user errors of this project, and customary elsewhere
        raise TrainingError(f"source {name}: {error}") from error
    return source
