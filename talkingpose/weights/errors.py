"""Errors of weight files."""

from __future__ import annotations

from talkingpose.io.errors import UserError


class WeightsError(UserError):
    """A weight file that is missing, damaged or cannot be fetched."""


class UnreachableError(WeightsError):
    """No source of a weight file can be reached, for example on a machine without network."""
