"""The commands of `tp-curate` that look after what is fetched: audit, rebuild, forget, release."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from talkingpose.io import console

if TYPE_CHECKING:
    from curation.download.ledger import LedgerEntry
    from curation.download.settings import DownloadSettings

Out = Annotated[Path, typer.Option(help="Folder of the dataset; a new one, or that of an earlier run.")]
ConfigFile = Annotated[Path | None, typer.Option(help="YAML with what differs from curation/default.yaml.")]
Cookies = Annotated[Path | None, typer.Option(help="cookies.txt of a browser; it is read, never written.")]
Proxy = Annotated[str | None, typer.Option(help="http://HOST:PORT or socks5://HOST:PORT.")]
Rate = Annotated[
    float | None, typer.Option(min=0.01, help="Requests a minute, all workers together. [default: 20]")
]
License = Annotated[
    list[str] | None,
    typer.Option("--require-license", help="Fetch only what says so, as creativecommons; repeatable."),
]
Budget = Annotated[
    float | None, typer.Option("--disk-budget", min=0.001, help="Gigabytes of fetched sources at a time.")
]
DeleteSources = Annotated[
    bool, typer.Option("--delete-sources", help="Delete a fetched file once its clips are safe.")
]
RetryDead = Annotated[bool, typer.Option("--retry-dead", help="Try anew what was given up.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `tp-curate`."""
    for command in (fetch, audit, rebuild, forget, release):
        app.command()(command)


def fetch(
    sources: Annotated[list[str], typer.Argument(help="Lists, YouTube ids, addresses.")],
    out: Out,
    config: ConfigFile = None,
    cookies: Cookies = None,
    proxy: Proxy = None,
    rate: Rate = None,
    require_license: License = None,
    disk_budget: Budget = None,
    retry_dead: RetryDead = False,
    serve_gate: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Serve rate and breaker to other machines.")
    ] = None,
    gate: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Obey the gate that another machine serves.")
    ] = None,
    shard: Annotated[
        str | None, typer.Option(metavar="I/N", help="This machine's part of the list, as 2/3.")
    ] = None,
    gate_secret: Annotated[
        Path | None,
        typer.Option(help="File with the secret that all share. [default: TP_CURATE_GATE_SECRET]"),
    ] = None,
    json: Json = False,
) -> int:
    """Fetch and do nothing else; several processes of a machine may do so in one folder.

    On several machines each has a folder and a --shard of its own, and one of them serves the gate. A later
    `tp-curate run` with the same sources curates what is there.
    """
    from curation.config import load_config
    from curation.download.source_list import SourceListError
    from curation.download.together import read_together
    from curation.download.ytdlp_client import read_access
    from curation.orchestrator import choose
    from curation.orchestrator import fetch as run_fetch

    settings = with_options(
        load_config(config).download, rate, licenses=require_license, budget_gb=disk_budget
    )
    chosen = choose(sources)
    if chosen.local or not chosen.wanted:
        raise SourceListError("fetch: it asks hosts: give lists, ids and addresses, no local files")
    access = read_access(cookies, proxy)
    together = read_together(serve_gate, gate, shard, gate_secret)
    say_refused(chosen.refused)
    acquired = run_fetch(
        chosen.wanted,
        out,
        settings,
        access,
        together=together,
        retry_dead=retry_dead,
        on_end=say_end,
        on_note=console.note,
    )
    if json:
        console.emit_json(acquired.document() | {"refused": list(chosen.refused)})
    else:
        print("\n".join(acquired.lines()))
    return console.EXIT_PARTIAL if acquired.is_partial or chosen.refused else console.EXIT_COMPLETE


def audit(
    sources: Annotated[list[str], typer.Argument(help="Lists, YouTube ids, addresses.")],
    out: Out,
    config: ConfigFile = None,
    cookies: Cookies = None,
    proxy: Proxy = None,
    rate: Rate = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Ask again what has answered already.")] = False,
    json: Json = False,
) -> int:
    """Say what still exists of a list, without downloading: how much is gone, and why.

    The same command again asks only what has not answered yet.
    """
    from curation.config import load_config
    from curation.download import audit as report
    from curation.download.source_list import SourceListError
    from curation.download.ytdlp_client import read_access
    from curation.orchestrator import audit as run_audit
    from curation.orchestrator import choose

    settings = with_options(load_config(config).download, rate)
    chosen = choose(sources)
    if chosen.local or not chosen.wanted:
        raise SourceListError("audit: it asks hosts: give lists, ids and addresses, no local files")
    access = read_access(cookies, proxy)
    say_refused(chosen.refused)
    document = run_audit(
        chosen.wanted, out, settings, access, fresh=fresh, on_end=say_end, on_note=console.note
    )
    if json:
        console.emit_json(document | {"refused": list(chosen.refused)})
    else:
        print("\n".join(report.lines(document)))
    partial = document["unknown"] or chosen.refused
    return console.EXIT_PARTIAL if partial else console.EXIT_COMPLETE


def rebuild(
    manifest: Annotated[Path, typer.Argument(help="Folder of a release of ids, or its Parquet.")],
    out: Out,
    config: ConfigFile = None,
    cookies: Cookies = None,
    proxy: Proxy = None,
    rate: Rate = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes. [default: one per core]")] = None,
    disk_budget: Budget = None,
    delete_sources: DeleteSources = False,
    json: Json = False,
) -> int:
    """Make the clips of a release anew: fetch the sources, cut, check every clip, say what is missing.

    The same command again does only what is left.
    """
    from curation.config import load_config
    from curation.download.ytdlp_client import read_access
    from curation.orchestrator import rebuild as run_rebuild
    from curation.release.manifest import read_manifest

    settings = load_config(config)
    rows = read_manifest(manifest)
    access = read_access(cookies, proxy)
    with console.progress_bar() as bar:
        task = bar.add_task("clips", total=len(rows), speed="")
        report = run_rebuild(
            rows,
            out,
            settings,
            with_options(settings.download, rate, budget_gb=disk_budget),
            access,
            workers=workers or len(os.sched_getaffinity(0)),
            delete_sources=delete_sources,
            on_source=lambda made: bar.advance(task, len(made)),
            on_end=say_end,
            on_note=console.note,
        )
    if json:
        console.emit_json(report)
    else:
        print(f"{report['rebuilt']} of {report['clips']} clips are in {out}")
        for verdict, number in report["verdicts"].items():
            print(f"  {number:>7}  {printable(verdict)}")
        print(f"{out}/rebuild.json has a line for every clip")
    complete = report["rebuilt"] == report["clips"]
    return console.EXIT_COMPLETE if complete else console.EXIT_PARTIAL


def forget(
    source: Annotated[str, typer.Argument(help="Its id, its address, or the SHA-256 of its file.")],
    out: Out,
    config: ConfigFile = None,
    json: Json = False,
) -> int:
    """Take a source out of everything under a folder and out of its releases, and never take it in again."""
    from curation.config import load_config
    from curation.release.forget import forget as run_forget

    difference = run_forget(out, source, load_config(config).export)
    if json:
        console.emit_json(difference.document())
        return console.EXIT_COMPLETE
    for name in ("sources", "clips", "frames", "files", "num_bytes"):
        before, after = getattr(difference.before, name), getattr(difference.after, name)
        print(f"{name.replace('num_', ''):<8} {before:>14} -> {after:>14}  ({after - before:+d})")
    for folder in difference.releases:
        print(f"written anew: {folder}")
    for folder in difference.lost_releases:
        print(f"not there any more, look for copies: {folder}")
    return console.EXIT_COMPLETE


def release(
    folder: Annotated[Path, typer.Argument(help="Folder that `tp-curate run` wrote.")],
    to: Annotated[Path, typer.Option(help="Folder of the release.")],
    ids_only: Annotated[
        bool, typer.Option("--ids-only", help="Ids, spans, hashes and licences: no pixel, no keypoint.")
    ] = False,
    json: Json = False,
) -> int:
    """Write what may be passed on: a manifest from which `tp-curate rebuild` makes the clips anew."""
    from curation.release.release import ReleaseError, release_ids, remember_release

    if not ids_only:
        raise ReleaseError(f"release: only --ids-only is written; {folder} itself is the whole dataset")
    files = release_ids(folder, to)
    remember_release(folder, to)
    if json:
        console.emit_json({"folder": str(to), "files": [str(path) for path in files]})
    else:
        print(f"{len(files)} files in {to}")
    return console.EXIT_COMPLETE


def with_options(
    settings: DownloadSettings,
    rate: float | None,
    *,
    licenses: list[str] | None = None,
    budget_gb: float | None = None,
) -> DownloadSettings:
    """Settings with what the command line says over them."""
    values: dict[str, Any] = settings.model_dump()
    if rate is not None:
        values["politeness"]["requests_per_minute"] = rate
    if licenses:
        values["prefilter"]["require_license"] = tuple(licenses)
    if budget_gb is not None:
        values["disk"]["budget_gb"] = budget_gb
    return type(settings).model_validate(values)


def say_refused(lines: tuple[str, ...]) -> None:
    """One line on stderr for every entry that is nothing."""
    for line in lines:
        console.note(f"tp-curate: refused: {printable(line)}")


def say_end(entry: LedgerEntry) -> None:
    """One line on stderr for a source that could not be had."""
    if entry.cause is None or not entry.message:
        return
    state = str(entry.state)
    if entry.next_retry_at:
        state += f", tried again in {duration(entry.next_retry_at - time.time())}"
    # yt-dlp names the cause of an error a second time behind it.
    message = entry.message.split(" (caused by ")[0]
    console.note(f"tp-curate: {printable(entry.name)}: {state}: {entry.cause}: {printable(message)}")


def duration(seconds: float) -> str:
    """Rounded to what a person would say: `40 s`, `12 min`, `5 h`, `2 d`."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def printable(text: str) -> str:
    """A name or message may hold what a terminal would obey."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
