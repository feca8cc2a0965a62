"""Synthetic speakers: a renderer of talking people with exact keypoints, from two seeds."""

from __future__ import annotations

from curation.synthetic.identity import Identity, draw_identity
from curation.synthetic.motion import Motion, PoseState
from curation.synthetic.render import Scene, frames, render
from curation.synthetic.seeds import SeedError

__all__ = ["Identity", "Motion", "PoseState", "Scene", "SeedError", "draw_identity", "frames", "render"]
