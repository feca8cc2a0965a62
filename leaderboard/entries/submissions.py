"""Archives of `tp-eval submit`, verified and opened for the time that a site is built."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmark.submission import SUFFIX, SubmissionError, extract_submission
from talkingpose.io.errors import UserError
from talkingpose.io.progress import SILENT, Progress


@dataclass(frozen=True)
class OpenedSubmissions:
    """Runs of the accepted archives, and archives that are refused, with the reason."""

    folders: tuple[Path, ...]
    refused: tuple[tuple[Path, str], ...]


@contextmanager
def opened_submissions(
    folder: Path | None, beside: Path, progress: Progress = SILENT
) -> Iterator[OpenedSubmissions]:
    """Verify all archives of a folder and open them in a temporary folder.

    A run is named after its archive. The runs are checked later, as all others are.

    Args:
        folder: folder of archives; None for no submissions.
        beside: the temporary folder is made in the parent of this one, which has room for the videos.
        progress: receiver of progress.

    Raises:
        UserError: the folder has no archive.
    """
    if folder is None:
        yield OpenedSubmissions((), ())
        return
    archives = sorted(folder.glob(f"*{SUFFIX}")) if folder.is_dir() else []
    if not archives:
        raise UserError(f"--submissions {folder}: no archive (*{SUFFIX}) in it: give a folder of archives")
    accepted: list[Path] = []
    refused: list[tuple[Path, str]] = []
    beside.absolute().parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".submissions-", dir=beside.absolute().parent) as place:
        progress.start("submissions", len(archives), "archive")
        for path in archives:
            run = Path(place) / path.stem
            try:
                extract_submission(path, run)
                accepted.append(run)
            except SubmissionError as error:
                refused.append((path, str(error)))
            progress.advance()
        yield OpenedSubmissions(tuple(accepted), tuple(refused))
