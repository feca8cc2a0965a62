"""Frames, groups and samples of a training."""
