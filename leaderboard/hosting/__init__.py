"""A site served on this machine, or uploaded."""
