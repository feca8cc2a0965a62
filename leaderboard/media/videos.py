"""Videos of runs, copied to the site under names that come from their content."""

from __future__ import annotations

import hashlib
from pathlib import Path

from benchmark.results import ResultError, Video

_CHUNK = 1 << 20


def copy_video(run_folder: Path, video: Video, media: Path) -> str | None:
    """Copy a video into `media`; return its name there, None where it is not in the run's folder.

    Raises:
        ResultError: the path leads out of the run, or the file is not the one the run was scored with.
    """
    source = run_folder / video.path
    # A path from a run is a stranger's text: it must not fetch any other file of this machine.
    if not source.resolve().is_relative_to(run_folder.resolve()):
        raise ResultError(f"{run_folder}: video {video.path!r} lies outside the run: correct the run's cases")
    if not source.is_file():
        return None
    media.mkdir(exist_ok=True)
    partial = media / ".partial"
    try:
        reader = source.open("rb")
    except OSError as error:
        raise ResultError(f"{source}: not readable ({error.strerror}): change its permissions") from error
    digest = hashlib.sha256()
    with reader, partial.open("wb") as writer:
        while chunk := reader.read(_CHUNK):
            digest.update(chunk)
            writer.write(chunk)
    if digest.hexdigest() != video.sha256.lower():
        raise ResultError(f"{source}: not the video that was scored (its SHA-256 differs): run tp-eval again")
    name = f"{digest.hexdigest()[:16]}{source.suffix.lower()}"
    partial.replace(media / name)
    return name
