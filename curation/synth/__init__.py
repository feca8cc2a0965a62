"""Drawn speakers: a renderer of talking people with exact keypoints, from two seeds."""

from __future__ import annotations

from curation.synth.identity import Identity, draw_identity
from curation.synth.motion import Motion, PoseState
from curation.synth.render import Stage, frames, render
from curation.synth.seeds import SynthError

__all__ = ["Identity", "Motion", "PoseState", "Stage", "SynthError", "draw_identity", "frames", "render"]
