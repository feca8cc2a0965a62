"""`tp-eval weights`: list, fetch, verify and convert the weight files of metrics and models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from talkingpose.io import console
from talkingpose.io.progress import ConsoleProgress

if TYPE_CHECKING:
    from talkingpose.weights import FetchedWeights

app = console.application(
    "Weight files of metrics and models: where from, where they lie, if they are sound."
)

PROGRAM = "tp-eval weights"

_Folder = Annotated[
    Path | None,
    typer.Option("--dest", help="Weights folder; default: $TALKINGPOSE_WEIGHTS, else the user's cache."),
]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@app.command("list")
def list_command(dest: _Folder = None, as_json: _Json = False) -> None:
    """List weight files with purpose, size, licence and state."""
    from talkingpose.weights import read_lock, status, weights_folder

    entries = list(read_lock().values())
    states = [status(entry.id, folder=dest) for entry in entries]
    if as_json:
        console.emit_json(
            {
                "folder": str(weights_folder(dest)),
                "files": [
                    {**asdict(entry), "path": str(state.path), "state": state.state, "detail": state.detail}
                    for entry, state in zip(entries, states, strict=True)
                ],
            }
        )
        return
    rows = [
        (entry.id, ", ".join(entry.used_by), _size(entry.known_size), state.state, entry.licence)
        for entry, state in zip(entries, states, strict=True)
    ]
    print(_table([("id", "for", "size", "state", "licence"), *rows]))
    print(f"\nfolder: {weights_folder(dest)}")


@app.command("fetch")
def fetch_command(
    ids: Annotated[list[str] | None, typer.Argument(help="Ids, as in tp-eval weights list.")] = None,
    used_by: Annotated[
        list[str] | None, typer.Option("--for", help="Files of this metric or model; can be repeated.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All files.")] = False,
    dest: _Folder = None,
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="Agree to licences that forbid commercial use.")
    ] = False,
    as_json: _Json = False,
) -> int:
    """Fetch weight files; the same command resumes.

    Exit code 3: some files could not be fetched; 2: none could.
    """
    from talkingpose.weights import WeightsError, fetch, files_for, read_lock

    wanted = [*(ids or []), *(entry.id for user in used_by or [] for entry in files_for(user))]
    if everything:
        wanted = list(read_lock())
    if not wanted:
        raise WeightsError("weights: nothing to fetch: give ids, --for METRIC or --all")
    with ConsoleProgress() as progress:
        results = fetch(wanted, dest, accept_licence=accept_licence, progress=progress)
    if as_json:
        console.emit_json([_document(result) for result in results])
    else:
        for result in results:
            if result.error is None:
                print(f"{result.id}: {'fetched' if result.downloaded else 'already present'}: {result.path}")
    return _report_failures(results)


@app.command("verify")
def verify_command(
    ids: Annotated[list[str] | None, typer.Argument(help="Ids; default: all files in the folder.")] = None,
    dest: _Folder = None,
    as_json: _Json = False,
) -> int:
    """Read weight files and compare their hashes.

    Exit code 3: some files are damaged or, if named, missing.
    """
    from talkingpose.weights import verify

    with ConsoleProgress() as progress:
        states = verify(ids or [], folder=dest, progress=progress)
    bad = [state for state in states if state.state == "damaged" or (ids and state.state == "missing")]
    if as_json:
        console.emit_json([{**asdict(state), "path": str(state.path)} for state in states])
    else:
        for state in states:
            if state.state != "missing" or ids:
                print(f"{state.id}: {state.state}" + (f": {state.detail}" if state.detail else ""))
    for state in bad:
        console.note(f"{PROGRAM}: {state.id}: {state.state}: tp-eval weights fetch {state.id}")
    return console.EXIT_PARTIAL if bad else console.EXIT_COMPLETE


@app.command("convert")
def convert_command(
    checkpoint: Annotated[str, typer.Argument(help="hub, tiny or a folder, in either layout.")],
    out: Annotated[Path, typer.Argument(help="Folder to write; must not exist.")],
    to: Annotated[str, typer.Option(help="official (.pth files) or diffusers (from_pretrained).")],
) -> None:
    """Convert a checkpoint to the other layout without loss.

    The result is read again and compared.
    """
    from talkingpose.pipeline.convert import convert

    convert(checkpoint, out, to)  # type: ignore[arg-type]
    print(out)


def _report_failures(results: Sequence[FetchedWeights]) -> int:
    """Print one line per file that was not fetched, a single one without network."""
    from talkingpose.weights import UnreachableError

    failed = [result for result in results if result.error is not None]
    if len(failed) > 1 and all(isinstance(result.error, UnreachableError) for result in failed):
        names = " ".join(result.id for result in failed)
        console.note(
            f"{PROGRAM}: error: no connection: fetch them on a machine with network (tp-eval weights fetch "
            f"{names} --dest FOLDER) and copy FOLDER's content to the folder that tp-eval weights list names"
        )
    else:
        for result in failed:
            console.note(f"{PROGRAM}: error: {result.error}")
    if not failed:
        return console.EXIT_COMPLETE
    return console.EXIT_USAGE if len(failed) == len(results) else console.EXIT_PARTIAL


def _document(result: FetchedWeights) -> dict[str, Any]:
    return {
        "id": result.id,
        "path": str(result.path),
        "downloaded": result.downloaded,
        "error": None if result.error is None else str(result.error),
    }


def _size(size: int | None) -> str:
    if size is None:
        return "unknown"
    return f"{size / 1e6:,.1f} MB" if size >= 1e6 else f"{size / 1e3:,.1f} kB"


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
