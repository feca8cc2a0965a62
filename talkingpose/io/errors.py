"""Base class of errors that the user can fix."""

from __future__ import annotations


class UserError(ValueError):
    """Error with a one-line message "what: where: what to do".

    Raised for invalid input, a missing file or a failed service. Commands print the message and exit with 2.
    Any other exception is a bug and keeps its traceback.
    """
