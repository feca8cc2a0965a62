"""The one error of this package."""

from __future__ import annotations


class MediaError(ValueError):
    """A video or picture cannot be read or written: one line that says what, where, and what to do."""
