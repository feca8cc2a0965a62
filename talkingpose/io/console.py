"""Entry point of commands: errors as one line and an exit code, messages on stderr, results on stdout."""

from __future__ import annotations

import errno
import json
import os
import re
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from talkingpose.io.errors import UserError

if TYPE_CHECKING:
    import typer

# Conditions of the machine that the user can change; everything else is a bug.
_OUT_OF_MEMORY = re.compile(r"cannot allocate memory|failed to map segment", re.IGNORECASE)
_ENVIRONMENT_ERRORS = {
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.EMFILE,
    errno.EISDIR, errno.ENOTDIR, errno.ENOTEMPTY, errno.ELOOP, errno.EIO,
}  # fmt: skip

_MAX_LINE = 1_500  # characters of an error message; a path has at most 4,096 on Linux

# Options of every program, before its commands.
GLOBAL_OPTIONS = ("-h", "--help", "--version", "--install-completion", "--show-completion")

EXIT_COMPLETE = 0
EXIT_USAGE = 2
EXIT_PARTIAL = 3
EXIT_REGRESSION = 4
EXIT_INTERRUPTED = 130


def application(summary: str) -> typer.Typer:
    """Create a typer application with plain help, `-h`, completion of shells and plain tracebacks."""
    import typer

    return typer.Typer(
        help=summary,
        epilog="--version prints the version.",
        add_completion=True,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    )


def run(
    app: typer.Typer,
    program: str,
    args: list[str] | None = None,
    *,
    stopped: str = "run the same command again to resume",
) -> NoReturn:
    """Run a command line and exit the process with its exit code.

    A `UserError` is printed as one line on stderr, with exit code 2; so are closed output, a full disk,
    missing permissions and exhausted memory. Ctrl-C prints `stopped`, with exit code 130. Any other exception
    is a bug and keeps its traceback.
    """
    from typer.exceptions import Abort, TyperException

    # Read by torch at import. Its threads spin while waiting, which made two threads twenty times slower than
    # one on a busy machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    _accept_any_text()
    if (sys.argv[1:] if args is None else args) == ["--version"]:
        print(f"{program} {_version()}")
        sys.exit(EXIT_COMPLETE)
    try:
        code = app(args=args, prog_name=program, standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
    except TyperException as error:
        message = error.format_message()
        if message.startswith("Usage:"):  # a command without arguments prints its help
            print(message)
            sys.exit(EXIT_USAGE)
        fail(program, f"{_one_line(message)} (see {program} --help)")
    except (KeyboardInterrupt, Abort):
        code = EXIT_INTERRUPTED
    except UserError as error:
        fail(program, str(error))
    except (BrokenPipeError, SystemExit) as error:
        # typer turns a closed pipe into SystemExit.
        if isinstance(error, SystemExit) and not isinstance(error.__context__, BrokenPipeError):
            raise
        _discard_output()
        fail(program, "standard output is closed: the results were not printed")
    except OSError as error:
        if error.errno not in _ENVIRONMENT_ERRORS:
            raise
        _discard_output()
        where = "standard output" if error.filename is None else os.fsdecode(error.filename)
        fail(program, f"{where}: {error.strerror}: free space, or check the path and its permissions")
    except (MemoryError, ImportError) as error:
        # A library that cannot be mapped into memory fails as an import.
        if isinstance(error, ImportError) and not _OUT_OF_MEMORY.search(str(error)):
            raise
        fail(program, "out of memory: close other programs, or use fewer workers or a smaller batch")
    if code == EXIT_INTERRUPTED:  # typer reports Ctrl-C by this code
        note(f"{program}: stopped; {stopped}")
    sys.exit(code if isinstance(code, int) else EXIT_COMPLETE)


def _version() -> str:
    """Return the installed version of the project."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("talkingpose")
    except PackageNotFoundError:
        return "unknown (not installed)"


def fail(program: str, message: str) -> NoReturn:
    """Print one line on stderr and exit with code 2."""
    note(f"{program}: error: {_one_line(message)}")
    sys.exit(EXIT_USAGE)


def note(message: str) -> None:
    """Print one line on stderr."""
    print(message, file=sys.stderr, flush=True)


def emit_json(document: Any) -> None:
    """Print one JSON document on stdout.

    Raises:
        ValueError: the document contains NaN or infinity.
    """
    utf8 = (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "") == "utf8"
    print(json.dumps(document, indent=2, ensure_ascii=not utf8, allow_nan=False))


def _accept_any_text() -> None:
    """Escape text that a stream cannot encode, such as file names that are not UTF-8, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _discard_output() -> None:
    """Redirect stdout to the null device, so that Python's flush at exit does not fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _one_line(message: str) -> str:
    """Join lines; leave out the middle of a message that a long path or value makes unreadable."""
    line = " ".join(message.split())
    if len(line) <= _MAX_LINE:
        return line
    return f"{line[: _MAX_LINE * 2 // 3]} ... {line[-_MAX_LINE // 3 :]}"
