"""Clips: accepted spans are trimmed, cropped, encoded and scored."""
