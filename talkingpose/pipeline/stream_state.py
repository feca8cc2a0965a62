"""The file from which a video that was stopped in the middle goes on."""

from __future__ import annotations

import os
import pickle
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from talkingpose.pipeline.feedback import FeedbackState
from talkingpose.pipeline.inputs import PipelineError

_FORMAT = "talkingpose.stream/1"


@dataclass(frozen=True)
class StreamState:
    """Where a stream stands; it does not grow with the video.

    Attributes:
        feedback: noise, last latents, index of the next frame and the controller's memory, of the clips that
            run.
        settings: what the frames so far were made with: names and their values as text.
    """

    feedback: FeedbackState
    settings: Mapping[str, str]

    @property
    def index(self) -> int:
        """The frame that comes next, from 0."""
        return self.feedback.index

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file; one that is there already is replaced when the new one is whole."""
        target = Path(path)
        draft = target.with_name(f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
        content = {"format": _FORMAT, "settings": dict(self.settings), **_on_cpu(self.feedback.state_dict())}
        try:
            with draft.open("wb") as file:
                torch.save(content, file)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(target)
        except OSError as error:
            raise PipelineError(f"state {target}: cannot be written ({error.strerror})") from error
        finally:
            draft.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> StreamState:
        """Read what `save` wrote; code in the file is never run.

        Raises:
            PipelineError: there is no such file, or it is something else.
        """
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
        except FileNotFoundError as error:
            raise PipelineError(f"state {path}: no such file: start from the first frame") from error
        except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
            raise PipelineError(f"state {path}: cannot be read: start from the first frame") from error
        if not isinstance(content, dict) or content.get("format") != _FORMAT:
            raise PipelineError(f"state {path}: is no state of a stream: start from the first frame")
        return cls(FeedbackState.from_state_dict(content), content["settings"])

    def check(self, settings: Mapping[str, str]) -> None:
        """Refuse to go on with other settings.

        Raises:
            PipelineError: names the first setting that is not the one of the frames so far.
        """
        for name, value in settings.items():
            if self.settings.get(name) != value:
                raise PipelineError(
                    f"state: {name}: {value}, the frames so far were made with {self.settings.get(name)}: "
                    "give the same, or start from the first frame"
                )


def _on_cpu(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        # A copy, as a view would be saved with all that lies behind it.
        return value.detach().cpu().clone()
    if isinstance(value, Mapping):
        return {key: _on_cpu(item) for key, item in value.items()}
    return value
