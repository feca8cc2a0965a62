"""`tp-curate` within the process of a test."""

from __future__ import annotations

import contextlib
import io

from curation.cli.app import app
from talkingpose.io import console


def tp_curate(*arguments: object) -> tuple[int, str, str]:
    """Run a command line; returns exit code, stdout and stderr."""
    out, error = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        try:
            console.run(app, "tp-curate", [str(one) for one in arguments])
        except SystemExit as end:
            code = end.code
    return code, out.getvalue(), error.getvalue()
