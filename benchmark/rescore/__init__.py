"""Scores of a run computed again from its kept frames or its stored frame scores."""
