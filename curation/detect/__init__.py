"""Detectors: shots, faces, hands, text, letterboxes and motion in footage."""
