"""Folders of checkpoints: names, paths and Hub repositories."""

from __future__ import annotations

import re
from pathlib import Path

from talkingpose.io.errors import UserError

DEFAULT_CHECKPOINT = "tiny"
# The published weights, in the folder of `talkingpose.weights`.
HUB_CHECKPOINT = "hub"
OFFICIAL_FILE = "denoising_unet.pth"
DIFFUSERS_FILE = "model_index.json"

_BUNDLED = {"tiny": Path(__file__).parents[1] / "checkpoints" / "tiny"}
# User of the published files in the lock file of `talkingpose.weights`, and the name of their folder.
_HUB_USER = "talkingpose"
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
# Files of a repository that are downloaded: configurations and weights, without variants and code.
_DOWNLOADED = (
    "*.json",
    "*model.safetensors",
    "*model-?????-of-?????.safetensors",
    "*denoising_unet.pth",
    "*reference_unet.pth",
    "*pose_guider.pth",
)
_PICKLED = ("diffusion_pytorch_model.bin", "pytorch_model.bin")


class CheckpointError(UserError):
    """A checkpoint that is missing, damaged or not a checkpoint of this model."""


def checkpoint_folder(checkpoint: str | Path) -> Path:
    """Return the folder of a checkpoint. Nothing is downloaded.

    Args:
        checkpoint: `tiny` (bundled), `hub` (published, fetched by `tp-eval weights fetch`), or a folder.

    Raises:
        CheckpointError: there is no such folder, or it has weights of neither layout.
    """
    if str(checkpoint) == HUB_CHECKPOINT:
        return _hub_folder()
    bundled = _BUNDLED.get(str(checkpoint))
    folder = bundled or Path(checkpoint)
    if not folder.is_dir():
        raise CheckpointError(
            f"checkpoint {checkpoint}: not part of this installation: "
            f"give --checkpoint FOLDER, or make one with tp-train --config {checkpoint}"
            if bundled
            else f"checkpoint {checkpoint}: no such folder: give a folder of weights, tiny or hub"
        )
    if not any((folder / name).is_file() for name in (OFFICIAL_FILE, DIFFUSERS_FILE)):
        raise CheckpointError(
            f"checkpoint {checkpoint}: contains neither {OFFICIAL_FILE} (official layout) nor "
            f"{DIFFUSERS_FILE} (diffusers layout): give the folder that contains one of them"
        )
    return folder


def is_repository(source: str | Path) -> bool:
    """Return True for `owner/name` that is not a folder on this machine."""
    return isinstance(source, str) and not Path(source).exists() and bool(_REPOSITORY.fullmatch(source))


def download_repository(
    repository: str, revision: str | None = None, subfolder: str = "", *, local_files_only: bool = False
) -> Path:
    """Download configurations and weights of a Hub repository, or find them in the cache of the Hub.

    No other file is downloaded, code in particular.

    Args:
        repository: `owner/name`.
        revision: branch, tag or commit; None for the default branch.
        subfolder: restrict the download to this folder of the repository.
        local_files_only: look in the cache only.

    Returns:
        The folder, `subfolder` included.

    Raises:
        CheckpointError: the repository cannot be reached and is not in the cache.
    """
    from huggingface_hub import snapshot_download

    prefix = f"{subfolder}/" if subfolder else ""

    def download(patterns: list[str]) -> Path:
        return Path(
            snapshot_download(
                repository, revision=revision, allow_patterns=patterns, local_files_only=local_files_only
            )
        )

    try:
        root = download([prefix + pattern for pattern in _DOWNLOADED])
        if pickled := _pickled_weights(root, root / subfolder):
            download(pickled)
    except (OSError, ValueError) as error:  # errors of the Hub are OSErrors
        raise CheckpointError(
            f"checkpoint {repository}: not a folder, and not available from the Hub "
            f"({type(error).__name__}): give a folder, or run 'hf download {repository}' with a network"
        ) from error
    return root / subfolder


def _pickled_weights(root: Path, folder: Path) -> list[str]:
    """Return possible names of the weights of the models in a folder that have no others."""
    official = any((folder / place / OFFICIAL_FILE).is_file() for place in ("", "weights"))
    return [
        (config.parent.relative_to(root) / name).as_posix()
        for config in sorted(folder.rglob("config.json"))
        if not any(config.parent.glob("*.safetensors")) and not (official and config.parent.name == "unet")
        for name in _PICKLED
    ]


def _hub_folder() -> Path:
    from talkingpose.weights import files_for, status, weights_folder

    lacking = [entry for entry in files_for(_HUB_USER) if status(entry.id).state in ("missing", "damaged")]
    if lacking:
        known = sum(entry.known_size or 0 for entry in lacking) / 1e9
        unknown = sum(entry.known_size is None for entry in lacking)
        raise CheckpointError(
            f"checkpoint {HUB_CHECKPOINT}: {len(lacking)} files are missing ({known:.1f} GB, and "
            f"{unknown} files of unpublished size): tp-eval weights fetch --for {_HUB_USER} --accept-licence"
        )
    return weights_folder() / _HUB_USER
