"""Layered puppet of a portrait, moved by keypoints without a network: the engine of `warp`."""
