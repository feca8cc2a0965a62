"""Error of video and picture files."""

from __future__ import annotations

from talkingpose.io.errors import UserError


class MediaError(UserError):
    """A video or picture that cannot be read or written."""
