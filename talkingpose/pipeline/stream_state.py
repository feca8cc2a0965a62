"""The file from which a stopped video continues."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from talkingpose.io.atomic import atomic_write
from talkingpose.pipeline.feedback import FeedbackState
from talkingpose.pipeline.inputs import PipelineError

_FORMAT = "talkingpose.stream/1"


@dataclass(frozen=True)
class StreamState:
    """Position of a stream; its size does not depend on the length of the video.

    Attributes:
        feedback: noise, last latents, index of the next frame and the memory of the controller, of the
            running clips.
        settings: settings of the frames so far, as text by name.
    """

    feedback: FeedbackState
    settings: Mapping[str, str]

    @property
    def index(self) -> int:
        """Index of the next frame, from 0."""
        return self.feedback.index

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file atomically.

        Raises:
            PipelineError: it cannot be written.
        """
        content = {"format": _FORMAT, "settings": dict(self.settings), **_on_cpu(self.feedback.state_dict())}
        try:
            with atomic_write(Path(path)) as temporary:
                torch.save(content, temporary)
        except (OSError, RuntimeError) as error:  # torch reports a missing folder as a RuntimeError
            raise PipelineError(
                f"state {path}: cannot be written: give a path in a writable folder"
            ) from error

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> StreamState:
        """Read a saved state; code in the file is never run.

        Raises:
            PipelineError: there is no such file, or it is something else.
        """
        if not Path(path).is_file():
            raise PipelineError(f"state {path}: no such file: start from the first frame")
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises a dozen classes for a damaged file
            raise PipelineError(f"state {path}: cannot be read: start from the first frame") from error
        if not isinstance(content, dict) or content.get("format") != _FORMAT:
            raise PipelineError(f"state {path}: not the state of a stream: start from the first frame")
        return cls(FeedbackState.from_state_dict(content), content["settings"])

    def check(self, settings: Mapping[str, str], num_clips: int) -> None:
        """Refuse to continue with other settings or another number of clips.

        Raises:
            PipelineError: names the first setting that differs.
        """
        own = len(self.feedback.noise)
        if own != num_clips:
            raise PipelineError(f"state: of {own} clips, not of {num_clips}: give the clips that still ran")
        for name, value in settings.items():
            if self.settings.get(name) != value:
                raise PipelineError(
                    f"state: {name}: {value}, but the frames so far have {self.settings.get(name)}: "
                    "give the same, or start from the first frame"
                )


def _on_cpu(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        # A copy, because a view is saved with its whole storage.
        return value.detach().cpu().clone()
    if isinstance(value, Mapping):
        return {key: _on_cpu(item) for key, item in value.items()}
    return value
