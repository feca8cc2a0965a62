"""Commands `tp-leaderboard study` and `tp-leaderboard votes`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from talkingpose.io import console
from talkingpose.io.progress import ConsoleProgress

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def study_command(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Folders of runs, or folders of such folders.")
    ],
    out: Annotated[Path, typer.Option(help="Folder to create.")],
    raters: Annotated[int, typer.Option(help="Number of raters; each has a page.")] = 20,
    pairs: Annotated[int, typer.Option(help="Pairs for each rater.")] = 24,
    checks: Annotated[int, typer.Option(help="Attention checks for each rater.")] = 4,
    seconds: Annotated[float, typer.Option(help="Length of the shown part of a clip.")] = 8,
    seed: Annotated[int, typer.Option(help="Seed of the design.")] = 0,
    title: Annotated[str, typer.Option(help="Title of the pages.")] = "Comparison of videos",
    consent: Annotated[
        Path | None, typer.Option(help="Text file that a rater reads first. [default: a general text]")
    ] = None,
    as_json: Json = False,
) -> int:
    """Build a blinded comparison of pairs for people.

    Each rater has a page that works offline. OUT/pages is for the raters; OUT/key.json tells who is who and
    stays with you. The run of ground-truth gives the real videos beside each pair.
    """
    from leaderboard.study.build import CONSENT, StudySettings, build_study
    from talkingpose.io.documents import read_text

    text = CONSENT if consent is None else read_text(consent, "consent", 1 << 16)
    settings = StudySettings(raters, pairs, checks, seconds, seed, title, text)
    with ConsoleProgress() as progress:
        study = build_study(runs, out, settings, progress)
    if as_json:
        console.emit_json(
            {
                "folder": str(study.folder),
                "pages": [str(page) for page in study.pages],
                "contestants": list(study.contestants),
                "clips": study.num_clips,
                "votes_per_pair": study.votes_per_pair,
                "notes": list(study.notes),
            }
        )
        return console.EXIT_COMPLETE
    for note in study.notes:
        console.note(f"tp-leaderboard: {note}")
    print(f"{study.folder / 'pages'}: {len(study.pages)} pages, one for each rater; give a rater this folder")
    print(f"{study.folder / 'key.json'}: keep it; it tells who is who")
    counts = f"{len(study.contestants)} contestants, {study.num_clips} clips"
    print(f"{counts}, {study.votes_per_pair:.0f} votes for each pair")
    print(f"\ntp-leaderboard votes VOTES.json... --study {study.folder}")
    return console.EXIT_COMPLETE


def votes_command(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Votes of raters, or folders of them.")
    ],
    study: Annotated[Path, typer.Option(help="Folder of the study, or its key.json.")],
    out: Annotated[Path | None, typer.Option(help="File for the result, as JSON.")] = None,
    allow_failed: Annotated[int, typer.Option(min=0, help="Attention checks that a rater may fail.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the intervals.")] = 0,
    as_json: Json = False,
) -> int:
    """Count the votes of a study.

    Prints strengths with intervals, agreement of raters, and agreement of metrics with the votes. Files that
    are not votes of this study are refused and listed; the exit code is then 3.
    """
    from leaderboard.study.votes import count_votes, vote_table
    from talkingpose.io.atomic import write_text

    result = count_votes(_expanded(files), study, allow_failed=allow_failed, seed=seed)
    document = result.model_dump_json(by_alias=True, indent=1)
    if out is not None:
        write_text(out, document + "\n")
    for refused in result.refused:
        where = "" if refused.file in refused.reason else f"{refused.file}: "
        console.note(f"refused: {where}{refused.reason}")
    for excluded in result.excluded:
        console.note(f"not counted: rater {excluded.rater}: {excluded.reason}")
    if as_json:
        console.emit_json(result.model_dump(mode="json", by_alias=True))
    else:
        print("\n".join(vote_table(result)))
    return console.EXIT_PARTIAL if result.refused else console.EXIT_COMPLETE


def _expanded(files: list[Path]) -> list[Path]:
    """Replace folders by the JSON files in them."""
    found: list[Path] = []
    for path in files:
        found += sorted(path.glob("*.json")) if path.is_dir() else [path]
    return found
