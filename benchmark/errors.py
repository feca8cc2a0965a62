"""Base class of errors that a user of `tp-eval` can fix."""

from __future__ import annotations

from talkingpose.io.errors import UserError


class EvaluationError(UserError):
    """A request that cannot be carried out: one line that says what, where, and what to do."""
