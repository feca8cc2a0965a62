"""Error of this package."""

from __future__ import annotations

from talkingpose.io.errors import UserError


class MediaError(UserError):
    """A video or picture cannot be read or written: one line that says what, where, and what to do."""
