"""Release of a dataset as ids: what is needed to rebuild the clips, without pixels and keypoints."""

from __future__ import annotations

from pathlib import Path

import yaml

from curation.sources import encodable, name_problem
from curation.store import Store
from talkingpose.io.atomic import atomic_write, write_text
from talkingpose.io.documents import read_text
from talkingpose.io.errors import UserError
from talkingpose.io.tables import read_table

_TEXT = """# Upper-body clips: ids, spans, hashes, licences

This release has no pixels and no keypoints. Each row has a source, an exact span and crop of it, and the
hashes of the clip. This command rebuilds the clips from the sources, checks them, and lists what is missing:

    tp-curate rebuild THIS_FOLDER --out DIR

Each source keeps its licence (`license`, as seen at `fetched_at`). To have a source removed, write to the
publisher of this release, who runs `tp-curate forget ID`.
"""


class ReleaseError(UserError):
    """A release that cannot be written or read."""


def release_ids(out: Path, to: Path) -> list[Path]:
    """Write the manifest of a dataset and a card into another folder.

    The same dataset gives the same bytes; files of an earlier release are replaced.

    Args:
        out: output folder of a run.
        to: folder of the release.

    Returns:
        The files.

    Raises:
        ReleaseError: no dataset in `out`, or `to` holds other files.
    """
    import pyarrow.parquet as pq

    if problem := name_problem(to):
        raise ReleaseError(f"release {encodable(str(to))}: {problem}")
    shards = sorted((out / "manifest").glob("*.parquet"))
    if not shards:
        raise ReleaseError(f"folder {out}: no manifest: give the --out of a tp-curate run")
    earlier = to / "README.md"
    ours = earlier.is_file() and "tp-curate rebuild" in read_text(earlier, "card")
    if to.exists() and not ours and (not to.is_dir() or any(to.iterdir())):
        raise ReleaseError(f"release {to}: it holds other files: give a new folder")
    (to / "manifest").mkdir(parents=True, exist_ok=True)
    splits: dict[str, list[str]] = {}
    written = []
    for shard in shards:
        target = to / "manifest" / shard.name
        table = read_table(shard, "manifest")
        with atomic_write(target) as temporary:
            pq.write_table(table, temporary, compression="zstd")
        splits.setdefault(shard.name.split("-")[0], []).append(f"manifest/{shard.name}")
        written.append(target)
    for stale in set((to / "manifest").glob("*.parquet")) - set(written):
        stale.unlink()
    header = {
        "configs": [
            {
                "config_name": "manifest",
                "default": True,
                "data_files": [{"split": name, "path": paths} for name, paths in sorted(splits.items())],
            }
        ]
    }
    write_text(earlier, f"---\n{yaml.safe_dump(header, sort_keys=False)}---\n\n{_TEXT}")
    return [*written, earlier]


def remember_release(out: Path, to: Path) -> None:
    """Enter the folder of a release in the ledger of the dataset, for `forget`."""
    from curation.download.ledger import open_ledger

    with open_ledger(out) as ledger:
        ledger.remember_release(str(to.absolute()))


def delete_release(to: Path) -> None:
    """Delete the files of a release."""
    for path in [*(to / "manifest").glob("*.parquet"), to / "README.md"]:
        path.unlink(missing_ok=True)


def is_published(store: Store) -> bool:
    """Return whether the exported dataset has clips."""
    return any(name.startswith("manifest/") for name in store.exported().get("files", []))
