"""Base class of errors that the user can fix."""

from __future__ import annotations


class UserError(ValueError):
    """One line that says what is wrong, where, and what to do; every command prints it and exits with 2.

    Raised for bad input, a missing file or a failed service. Any other exception is a bug of this project and
    keeps its traceback.
    """
