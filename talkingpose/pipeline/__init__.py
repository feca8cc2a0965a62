"""The diffusion pipeline: from a portrait and poses to frames of any length."""
