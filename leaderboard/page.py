"""The page of a site, rendered from its template."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.results import Horizon, Run
from leaderboard import figures, number_format, svg
from leaderboard.clip_tables import ClipTables, videos_of
from leaderboard.columns import MetricColumn
from leaderboard.cost_by_length import CostTable, cost_by_length
from leaderboard.groups import BoardEntry, BoardGroup, setting_text
from leaderboard.pair_page import PairMatrix, pair_matrices, pair_page_name
from leaderboard.pairs import BoardPairs
from leaderboard.published import published_tables
from leaderboard.runs import RefusedRun
from leaderboard.table import FACT_UNITS, FACTS, BoardTable, board_table
from leaderboard.templating import asset, environment

PAPER = "https://arxiv.org/abs/2512.00909"
_AUDIT_SHOWN = 12
_REASONS_SHOWN = 5


@dataclass(frozen=True)
class BoardView:
    """One group as the template shows it."""

    group: BoardGroup
    table: BoardTable
    drift: Sequence[figures.FigurePanel]
    slopes: Sequence[tuple[BoardEntry, Sequence[str]]]
    slope_columns: Sequence[str]
    horizons: Sequence[tuple[BoardEntry, Sequence[str]]]
    horizon_columns: Sequence[str]
    horizon_first: bool
    robustness: Sequence[figures.FigurePanel]
    spectrum: Sequence[figures.FigurePanel]
    cost: Sequence[figures.FigurePanel]
    devices: Sequence[str]
    lengths: CostTable | None
    clips: ClipTables
    players: Sequence[Sequence[tuple[BoardEntry, str | None]]]
    matrices: Sequence[PairMatrix]
    pair_page: str
    pairs_why: str


def render_page(
    title: str,
    groups: Sequence[BoardGroup],
    clips: Sequence[ClipTables],
    media: Mapping[tuple[Path, str], str | None],
    pairs: Sequence[BoardPairs],
    refused: Sequence[RefusedRun] = (),
) -> str:
    """Render the whole page as HTML.

    Args:
        title: of the page.
        groups: the boards.
        clips: of each board.
        media: (run folder, path of a video) -> its name under `media/`.
        pairs: paired comparisons of each board.
        refused: runs that are not shown.
    """
    styles = svg.StyleSheet()
    boards = [
        _board(group, clips_of, pairs_of, media, styles)
        for group, clips_of, pairs_of in zip(groups, clips, pairs, strict=True)
    ]
    shapes = _video_shapes(clips)
    css = (asset("style.css") + styles.css() + "".join(_shape_rule(*item) for item in shapes.items())).strip()
    script = asset("board.js").strip()
    template = environment().get_template("index.html.j2")
    return template.render(
        title=title,
        boards=boards,
        markers=[svg.marker_path(vertices) for vertices in figures.MARKERS],
        refused=refused,
        shapes=shapes,
        css=css,
        script=script,
        policy=_policy(css, script),
        published=published_tables(),
        paper=PAPER,
        facts=list(zip(FACTS, FACT_UNITS, strict=True)),
        share=_share,
        dates=_dates,
        settings=_settings,
        audit_shown=_AUDIT_SHOWN,
        reasons_shown=_REASONS_SHOWN,
        meanings=_meanings(boards),
    )


def _board(
    group: BoardGroup,
    clips: ClipTables,
    pairs: BoardPairs,
    media: Mapping[tuple[Path, str], str | None],
    styles: svg.StyleSheet,
) -> BoardView:
    table = board_table(group, pairs)
    names = [c.name for c in table.columns if any(c.name in entry.run.drift for entry in group.entries)]
    names += sorted({name for entry in group.entries for name in entry.run.drift} - set(names))
    measured = [entry for entry in group.entries if entry.run.long_form is not None]
    bounded = sorted({name for entry in measured for name in _horizons(entry.run)})
    lasting = any(e.run.long_form is not None and e.run.long_form.usable is not None for e in measured)
    titles = {column.name: f"{column.title} {column.arrow}".strip() for column in table.columns}
    return BoardView(
        group=group,
        table=table,
        drift=figures.drift_panels(group, table.columns, styles),
        slopes=[(entry, [_slope(entry.run, name) for name in names]) for entry in group.entries],
        slope_columns=[titles.get(name, name) for name in names],
        horizons=[
            (
                entry,
                [
                    *(_lasting(entry.run) if lasting else ()),
                    *(_horizon(_horizons(entry.run).get(name)) for name in bounded),
                ],
            )
            for entry in measured
        ],
        horizon_columns=[*(_LASTING if lasting else ()), *(titles.get(name, name) for name in bounded)],
        horizon_first=lasting,
        robustness=figures.robustness_panels(group, table.columns, styles),
        spectrum=figures.spectrum_panels(group, table.columns, styles),
        cost=figures.cost_panels(group, table.columns, styles),
        devices=sorted({entry.run.cost.device for entry in group.models if entry.run.cost is not None}),
        lengths=cost_by_length(group),
        clips=clips,
        players=[
            [(entry, media[folder, video.path]) for entry, folder, video in videos_of(clip, group.entries)]
            for clip in clips.clips
        ],
        matrices=pair_matrices(group, pairs),
        pair_page=pair_page_name(group),
        pairs_why=pairs.why,
    )


def _video_shapes(clips: Sequence[ClipTables]) -> dict[tuple[int, int], str]:
    """Return a class for every size of video, so that a player has its shape before its file is loaded."""
    sizes = sorted({(clip.width, clip.height) for part in clips for clip in part.clips})
    return {size: f"v{number}" for number, size in enumerate(sizes)}


def _shape_rule(size: tuple[int, int], name: str) -> str:
    return f".{name} video{{aspect-ratio:{max(1, size[0])}/{max(1, size[1])}}}\n"


def _slope(run: Run, name: str) -> str:
    curve = run.drift.get(name)
    if curve is None or curve.slope_per_100_frames is None:
        return number_format.NOTHING
    value = number_format.measured(curve.slope_per_100_frames, curve.ci95)
    return value if curve.ci95 is None else f"{value} {number_format.bounds(curve.ci95)}"


def _horizons(run: Run) -> Mapping[str, Horizon]:
    return run.long_form.horizons if run.long_form is not None else {}


_LASTING = ("All of them", "Collapsed clips", "Cost of a minute")


def _lasting(run: Run) -> tuple[str, str, str]:
    """Format the horizon of all metrics together, the clips that collapse, and the cost of a minute."""
    form, cost = run.long_form, run.cost
    collapse = form.collapse if form is not None else None
    pace = cost.seconds_per_minute if cost is not None else None
    return (
        _horizon(form.usable if form is not None else None),
        number_format.NOTHING if collapse is None else f"{len(collapse.events)} of {collapse.n_clips}",
        number_format.NOTHING if pace is None else f"{number_format.significant(pace, 3)} s",
    )


def _horizon(found: Horizon | None) -> str:
    """Format the median seconds until a clip is out of bounds, its interval, and the number of such clips."""
    if found is None:
        return number_format.NOTHING
    median = (
        number_format.NOTHING
        if found.median_s is None
        else f"{number_format.significant(found.median_s, 3)} s"
    )
    if found.median_ci95 is not None and any(end is not None for end in found.median_ci95):
        ends = ["end" if end is None else number_format.significant(end, 3) for end in found.median_ci95]
        median += f" [{ends[0]}, {ends[1]}]"
    return f"{median} ({found.n_crossed} of {found.n_clips})"


def _meanings(boards: Sequence[BoardView]) -> list[tuple[str, str]]:
    """Explain the metrics of the page, each once; jittering errors share one entry."""
    columns: list[MetricColumn] = [column for board in boards for column in board.table.columns]
    return list(
        dict.fromkeys(
            ("TJE@\u0394" if column.delta is not None else column.title, column.meaning)
            for column in columns
            if column.meaning is not None
        )
    )


def _share(values: Iterable[object]) -> str:
    """Format the values that the runs of a board have."""
    return ", ".join(sorted({"not stated" if value is None else str(value) for value in values}))


def _dates(group: BoardGroup) -> str:
    days = sorted({run.finished_at[:10] for run in (e.run for e in group.entries) if run.finished_at})
    if not days:
        return "not stated"
    return days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"


def _settings(run: Run) -> list[tuple[str, str]]:
    """List the remaining facts about a run, for its entry under the board."""
    who = run.contestant
    settings = [("Revision", who.revision), ("Licence", who.licence), ("Seed", str(run.seed))]
    if who.args:
        settings.append(
            (
                "Settings",
                ", ".join(f"{name} = {setting_text(value)}" for name, value in sorted(who.args.items())),
            )
        )
    if who.window is not None:
        settings.append(("Window", f"{who.window} frames"))
    if who.carry is not None:
        settings.append(("Carried over", f"{who.carry} frames"))
    if who.streams is not None:
        settings.append(("Streams", "yes" if who.streams else "no, it reads all poses first"))
    if who.memory is not None:
        settings.append(("Memory", "constant" if who.memory == "constant" else "grows with the clip"))
    if run.weights:
        settings.append(("Weights", ", ".join(f"{w.name} ({w.sha256[:12]})" for w in run.weights)))
    if run.finished_at:
        settings.append(("Finished", run.finished_at))
    if run.cost is not None:
        times = f"{number_format.significant(run.cost.generation_s, 3)} s generating, "
        settings.append(("Time", f"{times}{number_format.significant(run.cost.scoring_s, 3)} s scoring"))
    return settings + [(name, text) for name, value in sorted(run.env.items()) if (text := _env_text(value))]


def _env_text(value: Any) -> str:
    """Format a part of the environment in one line; names and versions as `name version, ...`."""
    if isinstance(value, dict):
        return ", ".join(
            f"{name} {text}" for name, part in sorted(value.items()) if (text := _env_text(part))
        )
    return setting_text(value) if isinstance(value, str | int | float | bool) else ""


def _policy(css: str, script: str) -> str:
    """Return the policy that allows this page's own style and script, and videos beside it, only."""
    return (
        f"default-src 'none'; style-src '{_digest(css)}'; script-src '{_digest(script)}'; img-src data:; "
        "media-src 'self' file:; base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
