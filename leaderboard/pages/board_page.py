"""The page of a site, rendered from its template."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmark.results import Horizon, Run
from leaderboard.entries.groups import BoardEntry, BoardGroup
from leaderboard.entries.runs import RefusedRun
from leaderboard.figures import board_figures, svg
from leaderboard.figures.board_figures import FigurePanel
from leaderboard.pages.clip_page import clip_list_name, clip_page_name
from leaderboard.pages.contestant_page import contestant_page_name
from leaderboard.pages.film_strip import FilmStrip
from leaderboard.pages.pair_page import PairMatrix, pair_matrices, pair_page_name
from leaderboard.pages.templating import asset, environment
from leaderboard.tables.board_table import FACT_UNITS, FACTS, BoardTable
from leaderboard.tables.clip_tables import ClipTables
from leaderboard.tables.columns import MetricColumn, MetricText
from leaderboard.tables.cost_by_length import CostTable, cost_by_length
from leaderboard.tables.pairs import BoardPairs
from leaderboard.tables.published import published_tables
from leaderboard.tables.quality_by_length import LengthTables, quality_by_length
from leaderboard.text import number_format

PAPER = "https://arxiv.org/abs/2512.00909"
_REASONS_SHOWN = 5
_OPEN_PANELS = 3
_PRIMARY_COLUMNS = 5


@dataclass(frozen=True)
class BoardView:
    """One group as the template shows it."""

    group: BoardGroup
    table: BoardTable
    drift: Sequence[FigurePanel]
    drift_families: Sequence[tuple[str, Sequence[FigurePanel]]]
    slopes: Sequence[tuple[BoardEntry, Sequence[str]]]
    slope_columns: Sequence[str]
    horizons: Sequence[tuple[BoardEntry, Sequence[str]]]
    horizon_columns: Sequence[str]
    horizon_first: bool
    robustness: Sequence[FigurePanel]
    spectrum: Sequence[FigurePanel]
    cost: Mapping[str, Sequence[FigurePanel]]
    devices: Sequence[str]
    contestant_pages: Mapping[BoardEntry, str]
    primary: frozenset[str]
    lengths: CostTable | None
    quality: LengthTables | None
    clips: ClipTables
    strip: FilmStrip | None
    clip_list: str
    clip_pages: Sequence[str]
    matrices: Sequence[PairMatrix]
    pair_page: str
    pairs_why: str
    primary_only: bool


def render_page(
    title: str,
    groups: Sequence[BoardGroup],
    clips: Sequence[ClipTables],
    pairs: Sequence[BoardPairs],
    tables: Sequence[BoardTable],
    strips: Sequence[FilmStrip | None],
    refused: Sequence[RefusedRun] = (),
) -> str:
    """Render the whole page as HTML.

    Args:
        title: of the page.
        groups: the boards.
        clips: of each board.
        pairs: paired comparisons of each board.
        tables: main table of each board.
        strips: films of each board, None where there is no video.
        refused: runs that are not shown.
    """
    styles = svg.StyleSheet()
    boards = [_board(*parts, styles) for parts in zip(groups, clips, pairs, tables, strips, strict=True)]
    css = (asset("style.css") + styles.css()).strip()
    script = asset("board.js").strip()
    template = environment().get_template("index.html.j2")
    return template.render(
        title=title,
        boards=boards,
        markers=[svg.marker_path(vertices) for vertices in board_figures.MARKERS],
        refused=refused,
        css=css,
        script=script,
        policy=_policy(css, script),
        published=published_tables(),
        paper=PAPER,
        facts=list(zip(FACTS, FACT_UNITS, strict=True)),
        share=_share,
        dates=_dates,
        reasons_shown=_REASONS_SHOWN,
        meanings=_meanings(boards),
    )


def _board(
    group: BoardGroup,
    clips: ClipTables,
    pairs: BoardPairs,
    table: BoardTable,
    strip: FilmStrip | None,
    styles: svg.StyleSheet,
) -> BoardView:
    names = [c.name for c in table.columns if any(c.name in entry.run.drift for entry in group.entries)]
    names += sorted({name for entry in group.entries for name in entry.run.drift} - set(names))
    measured = [entry for entry in group.entries if entry.run.long_form is not None]
    bounded = sorted({name for entry in measured for name in _horizons(entry.run)})
    lasting = any(e.run.long_form is not None and e.run.long_form.usable is not None for e in measured)
    titles = {column.name: f"{column.title} {column.arrow}".strip() for column in table.columns}
    drift = board_figures.drift_panels(group, table.columns, styles)
    return BoardView(
        group=group,
        table=table,
        drift=drift[:_OPEN_PANELS],
        drift_families=_families(drift[_OPEN_PANELS:]),
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
        robustness=board_figures.robustness_panels(group, table.columns, styles),
        spectrum=board_figures.spectrum_panels(group, table.columns, styles),
        cost=board_figures.cost_panels(group, table.columns, styles),
        devices=sorted({entry.run.cost.device for entry in group.models if entry.run.cost is not None}),
        contestant_pages={entry: contestant_page_name(group, entry) for entry in group.entries},
        primary=_primary(table, pairs),
        lengths=cost_by_length(group),
        quality=quality_by_length(group, table.columns),
        clips=clips,
        strip=strip,
        clip_list=clip_list_name(group),
        clip_pages=[clip_page_name(group, clip) for clip in clips.clips],
        matrices=pair_matrices(group, pairs),
        pair_page=pair_page_name(group),
        pairs_why=pairs.why,
        primary_only=pairs.primary_only,
    )


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


def _meanings(boards: Sequence[BoardView]) -> list[tuple[MetricColumn, MetricText]]:
    """Explain the metrics of the page, each once; those of several deltas share one entry."""
    columns = {column.base: column for board in reversed(boards) for column in reversed(board.table.columns)}
    return [(column, column.text) for column in reversed(columns.values()) if column.text is not None]


def _primary(table: BoardTable, pairs: BoardPairs) -> frozenset[str]:
    """Return the ids of the columns that are shown first: primary ones of the protocol, else the headline."""
    shown = [column.name for column in table.columns if column.name in pairs.primary]
    shown = shown or [column.name for column in table.columns if column.headline]
    shown = shown or [column.name for column in table.columns]
    return frozenset(shown[:_PRIMARY_COLUMNS])


def _families(
    panels: Sequence[FigurePanel],
) -> list[tuple[str, list[FigurePanel]]]:
    """Group panels by family of metrics, in their order."""
    families: dict[str, list[FigurePanel]] = {}
    for panel in panels:
        families.setdefault(panel.title.partition("@")[0].partition(".")[0], []).append(panel)
    return list(families.items())


def _share(values: Iterable[object]) -> str:
    """Format the values that the runs of a board have."""
    return ", ".join(sorted({"not stated" if value is None else str(value) for value in values}))


def _dates(group: BoardGroup) -> str:
    days = sorted({run.finished_at[:10] for run in (e.run for e in group.entries) if run.finished_at})
    if not days:
        return "not stated"
    return days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"


def _policy(css: str, script: str) -> str:
    """Return the policy that allows this page's own style and script, and media beside it, only."""
    return (
        f"default-src 'none'; style-src '{_digest(css)}'; script-src '{_digest(script)}'; "
        "img-src 'self' file: data:; "
        "media-src 'self' file:; base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
