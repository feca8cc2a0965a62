"""TalkingPose: one portrait and a driving pose sequence become a video of any length."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from talkingpose.pipeline.pipeline import TalkingPosePipeline

__version__ = "0.1.0"
__all__ = ["TalkingPosePipeline", "__version__"]


def __getattr__(name: str) -> Any:
    # The pipeline brings torch and diffusers along, which no command needs just to print its help.
    if name == "TalkingPosePipeline":
        from talkingpose.pipeline.pipeline import TalkingPosePipeline

        return TalkingPosePipeline
    raise AttributeError(f"module 'talkingpose' has no attribute {name!r}")
