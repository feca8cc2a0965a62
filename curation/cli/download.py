"""Commands of `tp-curate` for remote sources: fetch, audit, rebuild, forget, release."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from curation.cli.options import (
    Budget,
    ConfigFile,
    Cookies,
    DeleteSources,
    Folder,
    Json,
    License,
    Out,
    Proxy,
    Rate,
    RemoteSources,
    RetryDead,
    ShardOption,
    Workers,
    load_settings,
    note_refused,
    printable,
    read_shard,
    shown_progress,
)
from talkingpose.io import console

if TYPE_CHECKING:
    from curation.orchestrator import Inputs


def register(app: typer.Typer) -> None:
    """Add the commands to `tp-curate`."""
    for command in (fetch, audit, rebuild, forget, release):
        app.command()(command)


def fetch(
    sources: RemoteSources,
    out: Out,
    config: ConfigFile = None,
    cookies: Cookies = None,
    proxy: Proxy = None,
    rate: Rate = None,
    require_license: License = None,
    disk_budget: Budget = None,
    retry_dead: RetryDead = False,
    shard: ShardOption = None,
    json: Json = False,
) -> int:
    """Download sources only.

    Several processes of a machine may download into one folder. On several machines give each its --shard and
    the same list. A later `tp-curate run` with the same sources curates the files.
    """
    from curation.download.access import read_access
    from curation.orchestrator import fetch as run_fetch
    from curation.run import RunOptions

    settings = load_settings(config, rate, licenses=require_license, budget_gb=disk_budget)
    options = RunOptions(retry_dead=retry_dead, shard=read_shard(shard), access=read_access(cookies, proxy))
    inputs = _remote_inputs("fetch", sources)
    with shown_progress() as progress:
        report = run_fetch(inputs.remote, out, settings.download, options, progress)
    if json:
        console.emit_json({"download": report.document(), "refused": list(inputs.refused)})
    else:
        print("\n".join(printable(line) for line in report.lines()))
    return console.EXIT_PARTIAL if report.is_partial or inputs.refused else console.EXIT_COMPLETE


def audit(
    sources: RemoteSources,
    out: Out,
    config: ConfigFile = None,
    cookies: Cookies = None,
    proxy: Proxy = None,
    rate: Rate = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Discard earlier answers.")] = False,
    json: Json = False,
) -> int:
    """Check which sources of a list still exist; no download.

    The same command asks only for sources that have not been answered yet.
    """
    from curation.download.access import read_access
    from curation.download.audit import lines
    from curation.orchestrator import audit as run_audit
    from curation.run import RunOptions

    settings = load_settings(config, rate)
    options = RunOptions(fresh=fresh, access=read_access(cookies, proxy))
    inputs = _remote_inputs("audit", sources)
    with shown_progress() as progress:
        document = run_audit(inputs.remote, out, settings.download, options, progress)
    if json:
        console.emit_json(document | {"refused": list(inputs.refused)})
    else:
        print("\n".join(printable(line) for line in lines(document)))
    partial = document["unknown"] or inputs.refused
    return console.EXIT_PARTIAL if partial else console.EXIT_COMPLETE


def rebuild(
    manifest: Annotated[Path, typer.Argument(help="Folder of a release, or its Parquet file.")],
    out: Out,
    config: ConfigFile = None,
    cookies: Cookies = None,
    proxy: Proxy = None,
    rate: Rate = None,
    workers: Workers = None,
    disk_budget: Budget = None,
    delete_sources: DeleteSources = False,
    json: Json = False,
) -> int:
    """Rebuild the clips of a release from their sources.

    Sources are downloaded, clips are cut and checked, and missing ones are listed. The same command resumes.
    """
    from curation.download.access import read_access
    from curation.orchestrator import rebuild as run_rebuild
    from curation.release.manifest import read_manifest
    from curation.run import RunOptions

    settings = load_settings(config, rate, budget_gb=disk_budget)
    options = RunOptions(workers=workers, delete_sources=delete_sources, access=read_access(cookies, proxy))
    rows = read_manifest(manifest)
    if any(row.has_audio for row in rows):
        settings = settings.with_audio()
    with shown_progress() as progress:
        report = run_rebuild(rows, out, settings, options, progress)
    if json:
        console.emit_json(report)
    else:
        print(f"{report['rebuilt']} of {report['clips']} clips are in {out}")
        for verdict, number in report["verdicts"].items():
            print(f"  {number:>7}  {printable(verdict)}")
        print(f"{out}/rebuild.json has the verdict of every clip")
    complete = report["rebuilt"] == report["clips"]
    return console.EXIT_COMPLETE if complete else console.EXIT_PARTIAL


def forget(
    out: Out,
    source: Annotated[str | None, typer.Argument(help="Id, URL, or the SHA-256 of the file.")] = None,
    diff: Annotated[
        Path | None, typer.Option(help="File that receives the ids of the removed clips, for copies.")
    ] = None,
    apply: Annotated[
        Path | None, typer.Option(help="Diff of another copy: remove its clips from this one.")
    ] = None,
    config: ConfigFile = None,
    json: Json = False,
) -> int:
    """Remove a source from a folder and its releases, for good.

    With --apply, remove the clips of a diff from any copy of the dataset.
    """
    from curation.release.forget import forget as run_forget
    from curation.release.forget_diff import apply_diff, write_diff

    settings = load_settings(config).export
    if (source is None) == (apply is None) or (apply is not None and diff is not None):
        raise typer.BadParameter("forget: give a source, with --diff FILE or without, or --apply DIFF")
    if apply is not None:
        applied = apply_diff(apply, out, settings)
        if json:
            console.emit_json(applied.document())
        else:
            print(f"removed: {len(applied.clips)} clips from {len(applied.files)} files")
        return console.EXIT_COMPLETE
    assert source is not None
    announce = None if diff is None else partial(write_diff, diff)
    difference = run_forget(out, source, settings, announce)
    if json:
        console.emit_json(difference.document())
        return console.EXIT_COMPLETE
    for name in ("sources", "clips", "frames", "files", "num_bytes"):
        before, after = getattr(difference.before, name), getattr(difference.after, name)
        print(f"{name.replace('num_', ''):<8} {before:>14} -> {after:>14}  ({after - before:+d})")
    for folder in difference.releases:
        print(f"updated: {printable(folder)}")
    for folder in difference.lost_releases:
        print(f"not found, not updated: {printable(folder)}")
    return console.EXIT_COMPLETE


def release(
    folder: Folder,
    to: Annotated[Path, typer.Option(help="Folder of the release.")],
    ids_only: Annotated[
        bool, typer.Option("--ids-only", help="Ids, spans, hashes and licences; no pixels, no keypoints.")
    ] = False,
    json: Json = False,
) -> int:
    """Write a manifest from which others rebuild the clips."""
    from curation.release.release import ReleaseError, release_ids, remember_release

    if not ids_only:
        raise ReleaseError(f"release: give --ids-only; {folder} itself is the whole dataset")
    files = release_ids(folder, to)
    remember_release(folder, to)
    if json:
        console.emit_json({"folder": str(to), "files": [str(path) for path in files]})
    else:
        print(f"{len(files)} files in {to}")
    return console.EXIT_COMPLETE


def _remote_inputs(command: str, sources: list[str]) -> Inputs:
    from curation.download.source_list import SourceListError
    from curation.orchestrator import read_inputs

    inputs = read_inputs(sources)
    if inputs.local or not inputs.remote:
        raise SourceListError(f"{command}: remote sources only: give lists, ids and URLs, no local files")
    note_refused(inputs.refused, inputs.skipped)
    return inputs
