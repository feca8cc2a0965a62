"""TalkingPose: animation of a portrait by a driving pose sequence, and the dataset and contestant contracts.

Public names are imported on first access, so that `import talkingpose` stays fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from talkingpose.io.telemetry import disable_telemetry

if TYPE_CHECKING:
    from talkingpose.data.clips import Clip, load_clips
    from talkingpose.data.contestant import Case, Contestant, ContestantInfo
    from talkingpose.pipeline.talkingpose_pipeline import TalkingPosePipeline
    from talkingpose.pose.draw import draw_pose
    from talkingpose.pose.overlay import overlay_pose

__version__ = "0.1.0"
__all__ = [
    "Case",
    "Clip",
    "Contestant",
    "ContestantInfo",
    "TalkingPosePipeline",
    "__version__",
    "draw_pose",
    "load_clips",
    "overlay_pose",
]

_MODULES = {
    "Case": "data.contestant",
    "Clip": "data.clips",
    "Contestant": "data.contestant",
    "ContestantInfo": "data.contestant",
    "TalkingPosePipeline": "pipeline.talkingpose_pipeline",
    "draw_pose": "pose.draw",
    "load_clips": "data.clips",
    "overlay_pose": "pose.overlay",
}

disable_telemetry()


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'talkingpose' has no attribute {name!r}")
    return getattr(import_module(f"talkingpose.{_MODULES[name]}"), name)
