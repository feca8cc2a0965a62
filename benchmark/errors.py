"""What a user of `tp-eval` can mend."""

from __future__ import annotations

from talkingpose.io.errors import UserError


class EvaluationError(UserError):
    """A run cannot be started as asked: one line that says what, where, and what to do."""
