"""From an accepted span to a clip: trim, crop, encode, score."""
