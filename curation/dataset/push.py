"""Uploading a dataset to the Hugging Face Hub: what would go, and going."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curation.store import Store
from talkingpose.data.schema import CONFIGS
from talkingpose.io.errors import UserError


class PushError(UserError):
    """An upload to the Hub that cannot start or fails."""


@dataclass(frozen=True)
class Upload:
    """What goes to the Hub.

    Attributes:
        files: (path in the repository, bytes).
        clips: how many.
        unlicensed: clips whose licence nobody knows.
        shared: sources, persons and pairs of look-alikes that lie in several splits.
    """

    folder: Path
    repository: str
    private: bool
    files: tuple[tuple[str, int], ...]
    clips: int
    unlicensed: int
    shared: int

    @property
    def num_bytes(self) -> int:
        """Of all files together."""
        return sum(size for _, size in self.files)

    def document(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {
            "repository": self.repository,
            "private": self.private,
            "clips": self.clips,
            "clips_without_licence": self.unlicensed,
            "shared_between_splits": self.shared,
            "num_bytes": self.num_bytes,
            "files": [{"path": path, "num_bytes": size} for path, size in self.files],
        }


def plan_upload(folder: Path, repository: str, *, private: bool = True) -> Upload:
    """Look at a dataset that tp-curate wrote and say what would be uploaded. Needs no network.

    Raises:
        PushError: no dataset, files of it are gone, or a public upload of clips without a licence.
    """
    if repository.count("/") != 1 or not all(repository.split("/")):
        raise PushError(f"repository {repository!r}: this is no name on the Hub: give OWNER/NAME")
    store = Store(folder)
    names = [name for name in store.exported().get("files", []) if not name.startswith(".")]
    if not any(name.startswith("clips/") for name in names):
        raise PushError(f"folder {folder}: it holds no clips to upload: give the --out of a tp-curate run")
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise PushError(f"folder {folder}: {missing[0]} is gone: run tp-curate again")
    licences = _licences([folder / name for name in names if name.startswith("manifest/")])
    unlicensed, clips = licences.count(None), len(licences)
    if unlicensed and not private:
        raise PushError(
            f"upload {repository}: no licence is known of {unlicensed} of {clips} clips: keep it private, or "
            "publish ids alone (tp-curate release --ids-only)"
        )
    leakage = _leakage(folder)
    return Upload(
        folder,
        repository,
        private,
        tuple((name, (folder / name).stat().st_size) for name in sorted(names)),
        clips,
        unlicensed,
        len(leakage.get("sources", ())) + len(leakage.get("persons", ())) + leakage.get("num_look_alike", 0),
    )


def push(upload: Upload, *, api: Any = None) -> str:
    """Upload in one commit, replacing what an earlier upload of this dataset left; returns the address.

    Args:
        api: a `huggingface_hub.HfApi`; one with the user's own token where None.

    Raises:
        PushError: the Hub refuses or cannot be reached.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    hub = api or HfApi()
    try:
        hub.create_repo(upload.repository, repo_type="dataset", private=upload.private, exist_ok=True)
        done = hub.upload_folder(
            repo_id=upload.repository,
            repo_type="dataset",
            folder_path=upload.folder,
            allow_patterns=[name for name, _ in upload.files],
            delete_patterns=[f"{config}/*.parquet" for config in CONFIGS],
            commit_message=f"{upload.clips} clips by tp-curate",
        )
    except (HfHubHTTPError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise PushError(
            f"upload {upload.repository}: {type(error).__name__}: {reason}: check the name, the network and "
            "`hf auth login`"
        ) from error
    return str(done)


def _licences(shards: Sequence[Path]) -> list[str | None]:
    """Of every clip that goes: a record may hold one that another source has as well."""
    import pyarrow.parquet as pq

    return [
        licence
        for shard in shards
        for licence in pq.read_table(shard, columns=["license"])["license"].to_pylist()
    ]


def _leakage(folder: Path) -> dict[str, Any]:
    import json

    try:
        found: dict[str, Any] = json.loads((folder / "leakage.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found
