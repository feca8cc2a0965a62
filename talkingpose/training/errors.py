"""Errors of a training."""

from __future__ import annotations

from talkingpose.io.errors import UserError


class TrainingError(UserError):
    """A configuration, a source or an output folder that cannot be used."""
