"""What keeps a training from starting or going on, for reasons the user can mend."""

from __future__ import annotations

from talkingpose.io.errors import UserError


class TrainingError(UserError):
    """A configuration, a source or an output folder that cannot be used; one line for the user."""
