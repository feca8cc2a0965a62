"""Commands of `tp-curate` that publish a dataset: webdataset, push."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from curation.cli.options import Folder, Json
from talkingpose.io import console


def register(app: typer.Typer) -> None:
    """Add the commands to `tp-curate`."""
    for command in (webdataset, push):
        app.command()(command)


def webdataset(
    folder: Folder,
    to: Annotated[Path, typer.Option(help="Folder for the tar files.")],
    max_shard_mb: Annotated[float, typer.Option(min=0.001, help="Maximum size of a tar file.")] = 500,
    json: Json = False,
) -> int:
    """Write a dataset as tar files in WebDataset format.

    `tp-curate forget` updates them.
    """
    from curation.dataset.webdataset import write_webdataset
    from curation.release.release import remember_release

    files = write_webdataset(folder, to, max_shard_mb=max_shard_mb)
    remember_release(folder, to)
    if json:
        console.emit_json([{"path": path.name, "num_bytes": path.stat().st_size} for path in files])
    else:
        print("\n".join(f"{path.stat().st_size:>14}  {path}" for path in files))
    return console.EXIT_COMPLETE


def push(
    folder: Folder,
    repository: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="Repository on the Hub.")],
    public: Annotated[
        bool, typer.Option("--public", help="Make it public; every clip needs a licence.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the files without uploading.")] = False,
    json: Json = False,
) -> int:
    """Upload a dataset to the Hugging Face Hub.

    The repository is private unless --public is given.
    """
    from curation.dataset.push import plan_upload
    from curation.dataset.push import push as upload

    plan = plan_upload(folder, repository, private=not public)
    address = None if dry_run else upload(plan)
    if json:
        console.emit_json(plan.document() | {"address": address})
        return console.EXIT_COMPLETE
    for path, size in plan.files:
        print(f"{size:>14}  {path}")
    visible = "private" if plan.private else "public"
    print(
        f"{plan.num_bytes:>14}  in {len(plan.files)} files, {plan.clips} clips, for {repository} ({visible})"
    )
    if plan.unlicensed:
        print(f"no licence is known of {plan.unlicensed} clips")
    if plan.shared:
        print(f"splits share {plan.shared} sources, persons or pictures: {folder}/leakage.json")
    print("nothing was uploaded (--dry-run)" if address is None else f"uploaded: {address}")
    return console.EXIT_COMPLETE
