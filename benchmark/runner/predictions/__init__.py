"""Finished videos of other programs: export of the cases, and the way back."""
