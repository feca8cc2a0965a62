"""Upload of a dataset to the Hugging Face Hub."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curation.store import Store
from talkingpose.data.schema import CONFIGS
from talkingpose.io.errors import UserError
from talkingpose.io.hub import hub_errors
from talkingpose.io.tables import read_table


class PushError(UserError):
    """An upload to the Hub cannot start, or fails."""


@dataclass(frozen=True)
class Upload:
    """Plan of an upload to the Hub.

    Attributes:
        folder: of the dataset.
        repository: OWNER/NAME.
        private: visibility of a new repository.
        files: (path in the repository, size in bytes).
        clips: number of clips.
        unlicensed: number of clips with an unknown licence.
        shared: number of sources, persons and pairs of similar clips in several splits.
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
        """Size of all files together."""
        return sum(size for _, size in self.files)

    def document(self) -> dict[str, Any]:
        """Return JSON values."""
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
    """Plan the upload of a dataset that tp-curate wrote, without network access.

    Raises:
        PushError: no dataset, missing files, or a public upload of clips without a known licence.
    """
    if repository.count("/") != 1 or not all(repository.split("/")):
        raise PushError(f"repository {repository!r}: not a name on the Hub: give OWNER/NAME")
    store = Store(folder)
    names = [name for name in store.exported().get("files", []) if not name.startswith(".")]
    if not any(name.startswith("clips/") for name in names):
        raise PushError(f"folder {folder}: no clips to upload: give the --out of a tp-curate run")
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise PushError(f"folder {folder}: {missing[0]} is missing: run tp-curate again")
    licences = _licences([folder / name for name in names if name.startswith("manifest/")])
    unlicensed, clips = licences.count(None), len(licences)
    if unlicensed and not private:
        raise PushError(
            f"upload {repository}: the licence of {unlicensed} of {clips} clips is unknown: keep it private, "
            "or publish ids alone (tp-curate release --ids-only)"
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
    """Upload in one commit that replaces an earlier upload of this dataset; return the address.

    Args:
        upload: the plan.
        api: a `huggingface_hub.HfApi`; None makes one with the user's own token.

    Raises:
        PushError: the Hub refuses or cannot be reached.
    """
    from huggingface_hub import HfApi

    hub = api or HfApi()
    with hub_errors(f"upload {upload.repository}", PushError):
        hub.create_repo(upload.repository, repo_type="dataset", private=upload.private, exist_ok=True)
        done = hub.upload_folder(
            repo_id=upload.repository,
            repo_type="dataset",
            folder_path=upload.folder,
            allow_patterns=[name for name, _ in upload.files],
            delete_patterns=[f"{config}/*.parquet" for config in CONFIGS],
            commit_message=f"{upload.clips} clips by tp-curate",
        )
    return str(done)


def _licences(shards: Sequence[Path]) -> list[str | None]:
    """Read the licence of every clip of the dataset; records also hold duplicates."""
    return [
        licence
        for shard in shards
        for licence in read_table(shard, "manifest", ["license"])["license"].to_pylist()
    ]


def _leakage(folder: Path) -> dict[str, Any]:
    import json

    try:
        found: dict[str, Any] = json.loads((folder / "leakage.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found
