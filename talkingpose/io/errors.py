"""What goes wrong for reasons the user can mend."""

from __future__ import annotations


class UserError(ValueError):
    """One line that says what is wrong, where, and what to do; every command prints it and exits with 2.

    The ground floor (`media`, `pose`, `weights`) imports nothing of the project and has its own error
    classes of the same kind; `talkingpose.io.console` knows them all.
    """
