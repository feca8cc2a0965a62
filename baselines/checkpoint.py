"""Folder of a contestant's weights: the user's, or the fetched files of the lock file."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from pathlib import Path

from talkingpose.data.contestant import ContestantError, ContestantWeights
from talkingpose.weights import files_for, find, status, verify, weights_folder

_WEIGHT_SUFFIXES = (".pth", ".safetensors", ".bin")


def weights_root(name: str, checkpoint: str | None) -> Path:
    """Return the folder of a contestant's weights. Nothing is downloaded.

    Args:
        name: of the contestant, as in `used_by` of the lock file.
        checkpoint: a folder with the files of the lock file under the same relative paths; None for the
            weights folder of this machine.

    Raises:
        ContestantError: there is no such folder, or files of the lock file are missing or damaged.
    """
    if checkpoint is not None:
        if not Path(checkpoint).is_dir():
            raise ContestantError(f"--checkpoint {checkpoint}: no such folder: give a folder of weights")
        return Path(checkpoint)
    files = files_for(name)
    lacking = [entry for entry in files if status(entry.id).state in ("missing", "damaged")]
    if lacking:
        size = f"{sum(entry.known_size or 0 for entry in lacking) / 1e9:.1f} GB"
        licences = "; ".join(dict.fromkeys(entry.licence for entry in lacking))
        accept = " --accept-licence" if any(entry.commercial == "no" for entry in lacking) else ""
        raise ContestantError(
            f"{name}: {len(lacking)} of {len(files)} weight files are missing, the first is "
            f"{lacking[0].file} ({size} in all; licence: {licences}): give --checkpoint FOLDER, or run "
            f"tp-eval weights fetch --for {name}{accept}"
        )
    return weights_folder()


def locked_weights(name: str) -> tuple[ContestantWeights, ...]:
    """Return name and hash of the contestant's files in the weights folder.

    A file is read once; its hash is recorded beside it.

    Raises:
        WeightsError: a file is missing or damaged.
    """
    found = []
    for entry in files_for(name):
        find(entry.id, needed_by=name)
        sha256 = status(entry.id).sha256 or verify([entry.id])[0].sha256
        found.append(ContestantWeights(entry.file, sha256 or "unknown"))
    return tuple(found)


def weight_files(folder: Path, ignored: Collection[str] = ()) -> tuple[ContestantWeights, ...]:
    """Return name and hash of every weight file under a folder, sorted by name."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix in _WEIGHT_SUFFIXES and path.name not in ignored:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            found.append(ContestantWeights(path.relative_to(folder).as_posix(), digest))
    return tuple(found)
