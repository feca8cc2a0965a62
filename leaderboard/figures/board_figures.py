"""Figures of a board."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmark.results import Curve, MetricSummary, Run
from leaderboard.entries.groups import BoardEntry, BoardGroup
from leaderboard.figures import svg
from leaderboard.tables.board_table import score_of, summary_of
from leaderboard.tables.columns import MetricColumn

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Points of all curves of a panel together; the limit keeps a page of thirty runs small.
_POINTS_PER_PANEL = 420
# Bands of more models than this hide each other; their intervals are in the table of slopes.
_BANDS = 12
_DASHES = ((0, (5, 2)), (0, (2, 1.6)), (0, (6, 2, 1.5, 2)), (0, (1, 1.5)))


def _regular(corners: int, turn: float = 0.0, inner: float = 1.0) -> tuple[tuple[float, float], ...]:
    steps = corners if inner == 1.0 else 2 * corners
    angles = [math.pi / 2 + turn + 2 * math.pi * step / steps for step in range(steps)]
    radii = [1.0 if inner == 1.0 or step % 2 == 0 else inner for step in range(steps)]
    return tuple((r * math.cos(a), r * math.sin(a)) for r, a in zip(radii, angles, strict=True))


MARKERS = (
    _regular(16),
    _regular(4, math.pi / 4),
    _regular(3),
    _regular(4),
    _regular(3, math.pi),
    _regular(4, 0, 0.38),
    _regular(5, 0, 0.45),
    _regular(4, math.pi / 4, 0.38),
)


@dataclass(frozen=True)
class EntryStyle:
    """Look of an entry everywhere on the page: `name` is its CSS class; None for the grey of controls."""

    name: str
    colour: int | None
    shape: int


@dataclass(frozen=True)
class FigurePanel:
    """One figure with its caption."""

    title: str
    unit: str
    arrow: str
    markup: str
    remark: str = ""


def style_of(entry: BoardEntry) -> EntryStyle:
    """Return the look of an entry: 64 models differ in colour or shape, controls are grey and hollow."""
    shape = (entry.series + entry.series // 8) % 8
    if entry.control:
        return EntryStyle(f"k{entry.series}", None, shape)
    return EntryStyle(f"m{entry.series}", entry.series % 8, shape)


def drift_panels(
    group: BoardGroup, columns: Sequence[MetricColumn], styles: svg.StyleSheet
) -> list[FigurePanel]:
    """Draw one panel per metric that has a curve over time in any run, in the order of the columns."""
    panels = []
    known = {column.name: column for column in reversed(columns)}
    names = sorted(
        {name for entry in group.entries for name in entry.run.drift},
        key=lambda name: (columns.index(known[name]) if name in known else len(columns), name),
    )
    # One time axis for all panels: some metrics begin late.
    ends = [curve.time_s[-1] for entry in group.entries for curve in entry.run.drift.values() if curve.time_s]
    longest = max(ends, default=0.0) + 0.5
    for place, name in enumerate(names):
        curves = [
            (entry, entry.run.drift[name])
            for entry in group.entries
            if name in entry.run.drift and any(value is not None for value in entry.run.drift[name].mean)
        ]
        if curves:
            key = f"g{group.number}d{place}"
            panels.append(_drift_panel(key, name, known.get(name), curves, longest, styles))
    return panels


def spectrum_panels(
    group: BoardGroup, columns: Sequence[MetricColumn], styles: svg.StyleSheet
) -> list[FigurePanel]:
    """Draw jittering error over delta and, with a frozen control, skill over delta."""
    deltas = sorted((column for column in columns if column.delta), key=lambda column: column.delta or 0)
    if len({column.delta for column in deltas}) < 2:
        return []
    panels = [_spectrum(group, deltas, styles, against_frozen=False)]
    if any(score_of(entry, column, group.frozen) is not None for entry in group.models for column in deltas):
        panels.append(_spectrum(group, deltas, styles, against_frozen=True))
    return [panel for panel in panels if panel.markup]


def _seconds(run: Run) -> float | None:
    return run.cost.seconds_per_frame if run.cost is not None else None


def _memory(run: Run) -> float | None:
    """Peak memory in GB: of the device where it was measured, else of the process."""
    if run.cost is None:
        return None
    return (run.cost.peak_device_mb or run.cost.peak_rss_mb) / 1000


def _parameters(run: Run) -> float | None:
    return run.contestant.parameters / 1e6


# Axis of a cost -> how it is read from a run; 0 counts as unknown.
COSTS: Mapping[str, Callable[[Run], float | None]] = {
    "seconds per frame": _seconds,
    "peak memory (GB)": _memory,
    "parameters (millions)": _parameters,
}


def cost_panels(
    group: BoardGroup, columns: Sequence[MetricColumn], styles: svg.StyleSheet
) -> dict[str, list[FigurePanel]]:
    """Draw headline metrics against each cost that at least two models have and differ in."""
    found: dict[str, list[FigurePanel]] = {}
    for number, (axis, cost_of) in enumerate(COSTS.items()):
        for place, column in enumerate(column for column in columns if column.headline):
            points = [
                (entry, cost, summary)
                for entry in group.models
                if (cost := cost_of(entry.run))
                and (summary := summary_of(entry.run, column)) is not None
                and summary.value is not None
            ]
            if len({cost for _, cost, _ in points}) > 1:
                key = f"g{group.number}q{number}{place}"
                found.setdefault(axis, []).append(_cost_panel(key, axis, column, points, styles))
    return found


def _cost_panel(
    key: str,
    axis: str,
    column: MetricColumn,
    points: Sequence[tuple[BoardEntry, float, MetricSummary]],
    styles: svg.StyleSheet,
) -> FigurePanel:
    with _axes() as (figure, axes):
        for entry, cost, summary in points:
            style = _style(entry)
            assert summary.value is not None
            if summary.ci95 is not None:
                (line,) = axes.plot([cost] * 2, summary.ci95, color=style["color"], lw=1, alpha=0.6)
                line.set_gid(_gid(entry))
            (dot,) = axes.plot([cost], [summary.value], **style | {"ls": "none"})
            dot.set_gid(_gid(entry))
        axes.set_xscale("log")
        _plain_log(axes, [cost for _, cost, _ in points])
        _label(axes, axis, _ascii(column.unit_text))
        title = f"{column.title} against {axis}"
        markup = svg.figure_markup(figure, _ascii(title), key, styles)
    return FigurePanel(column.title, column.unit_text, column.arrow, markup)


_KINDS = {
    "noise": "noise (share of the shoulder width)",
    "missing": "missing (share of the frames)",
    "late": "delay (frames)",
    "scale": "scale (factor)",
}


def robustness_panels(
    group: BoardGroup, columns: Sequence[MetricColumn], styles: svg.StyleSheet
) -> list[FigurePanel]:
    """Draw the change of the headline metrics against the strength of each perturbation of the poses."""
    panels: list[FigurePanel] = []
    for column in columns:
        for kind, axis in _KINDS.items():
            curves = [
                (entry, curve)
                for entry in group.entries
                if column.headline
                and (curve := (entry.run.robustness or {}).get(column.name, {}).get(kind)) is not None
                and any(value is not None for value in curve.change)
            ]
            if not curves:
                continue
            with _axes() as (figure, axes):
                for entry, curve in curves:
                    # Strength of unchanged poses: a factor of 1 for scale, else 0.
                    start = 1.0 if kind == "scale" else 0.0
                    (line,) = axes.plot(
                        [start, *curve.strength], _gaps([0.0, *curve.change]), **_style(entry)
                    )
                    line.set_gid(_gid(entry))
                _label(axes, axis, _ascii(column.unit_text))
                title = f"{column.title} under {kind}"
                markup = svg.figure_markup(figure, _ascii(title), f"g{group.number}r{len(panels)}", styles)
            panels.append(FigurePanel(title, column.unit_text, column.arrow, markup))
    return panels


def _drift_panel(
    key: str,
    name: str,
    column: MetricColumn | None,
    curves: Sequence[tuple[BoardEntry, Curve]],
    longest: float,
    styles: svg.StyleSheet,
) -> FigurePanel:
    step = _step(curves)
    banded = sum(not entry.control for entry, _ in curves) <= _BANDS
    with _axes() as (figure, axes):
        for entry, curve in curves:
            style, label = _style(entry), _gid(entry)
            time = curve.time_s[::step]
            if not entry.control and banded:
                _band(axes, list(zip(time, curve.low[::step], curve.high[::step], strict=True)), style, label)
            every = max(1, math.ceil(len(time) / (5 if len(curves) <= 10 else 2)))
            (line,) = axes.plot(
                time, _gaps(curve.mean[::step]), **style, markevery=(entry.series % every, every)
            )
            line.set_gid(label)
        axes.set_xlim(0, longest)
        if column is not None and column.direction == "lower" and axes.get_ylim()[1] > 0:
            axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
        unit = column.unit_text if column is not None else ""
        _label(axes, "time in the clip (s)", _ascii(unit))
        title = column.title if column is not None else name
        markup = svg.figure_markup(figure, _ascii(f"{title} over time"), key, styles)
    remarks = [f"drawn every {step} s"] if step > 1 else []
    remarks += [] if banded else ["without bands"]
    return FigurePanel(title, unit, column.arrow if column is not None else "", markup, ", ".join(remarks))


def _spectrum(
    group: BoardGroup, columns: Sequence[MetricColumn], styles: svg.StyleSheet, *, against_frozen: bool
) -> FigurePanel:
    title, unit, arrow = ("Skill", "1 \u2212 TJE / TJE of frozen", "\u2191")
    if not against_frozen:
        title, unit, arrow = ("TJE", columns[0].unit_text, "\u2193")
    drawn = False
    with _axes() as (figure, axes):
        for entry in group.models if against_frozen else group.entries:
            points = list(_points(entry, columns, group.frozen, against_frozen))
            if not points:
                continue
            drawn = True
            style, label = _style(entry), _gid(entry)
            deltas, values, intervals = zip(*points, strict=True)
            (line,) = axes.plot(deltas, values, **style)
            line.set_gid(label)
            if not entry.control and len(group.models) <= _BANDS:
                bounds = [
                    (d, *ci) if ci else (d, None, None) for d, ci in zip(deltas, intervals, strict=True)
                ]
                _band(axes, bounds, style, label)
        axes.set_xscale("log", base=2)
        _plain_log(axes, sorted({column.delta for column in columns if column.delta}), exact=True)
        if not against_frozen:
            axes.set_ylim(bottom=0)
        _label(axes, "\u0394 (frames, log scale)", "skill" if against_frozen else _ascii(unit))
        key = f"g{group.number}{'k' if against_frozen else 't'}"
        markup = svg.figure_markup(figure, f"{title} over delta", key, styles) if drawn else ""
    return FigurePanel(title, unit, arrow, markup)


def _points(
    entry: BoardEntry, columns: Sequence[MetricColumn], frozen: BoardEntry | None, against_frozen: bool
) -> Iterator[tuple[int, float, tuple[float, float] | None]]:
    for column in columns:
        summary = summary_of(entry.run, column)
        if summary is None or summary.value is None or column.delta is None:
            continue
        if not against_frozen:
            yield column.delta, summary.value, summary.ci95
        elif (score := score_of(entry, column, frozen)) is not None:
            yield column.delta, score, None


@contextmanager
def _axes() -> Iterator[tuple[Figure, Axes]]:
    """Create a small figure with the page's style in place of the user's own."""
    from matplotlib import style
    from matplotlib.figure import Figure

    settings: Any = {
        "font.size": 8.5,
        "axes.edgecolor": svg.MUTED,
        "axes.labelcolor": svg.MUTED,
        "axes.linewidth": 0.7,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": svg.RULE,
        "grid.linewidth": 0.7,
        "xtick.color": svg.MUTED,
        "ytick.color": svg.MUTED,
        "xtick.major.size": 3,
        "ytick.major.size": 0,
        "text.parse_math": False,
    }
    with style.context(["default", settings]):
        figure = Figure(figsize=(4.6, 3.0), dpi=72, layout="constrained")
        axes = figure.add_subplot()
        axes.set_axisbelow(True)
        axes.locator_params(nbins=6)
        yield figure, axes


def _gid(entry: BoardEntry) -> str:
    look = style_of(entry)
    return f"curve {look.name} {look.shape}"


def _style(entry: BoardEntry) -> dict[str, Any]:
    look = style_of(entry)
    colour = svg.CONTROL if look.colour is None else svg.SERIES[look.colour]
    shape: dict[str, Any] = {"marker": MARKERS[look.shape], "ms": 5.5, "mec": colour, "clip_on": False}
    if look.colour is None:
        dashes = _DASHES[entry.series % len(_DASHES)]
        return shape | {"color": colour, "ls": dashes, "lw": 1.1, "mfc": svg.PAPER, "mew": 1.0}
    return shape | {"color": colour, "lw": 1.5, "mfc": colour, "mew": 0.0}


def _band(
    axes: Axes, bounds: Sequence[tuple[float, float | None, float | None]], style: dict[str, Any], label: str
) -> None:
    """Draw an interval along a curve from (x, low, high); it breaks where there is no interval."""
    for known, part in itertools.groupby(bounds, key=lambda point: None not in point):
        points = list(part)
        if known and len(points) > 1:
            outline = [(x, low) for x, low, _ in points] + [(x, high) for x, _, high in reversed(points)]
            x, y = zip(*outline, strict=True)
            (area,) = axes.fill(x, y, color=style["color"], alpha=0.14, lw=0)
            area.set_gid(label)


def _label(axes: Axes, x: str, y: str) -> None:
    axes.set_xlabel(x, parse_math=False)
    axes.set_ylabel(y, parse_math=False)
    axes.margins(x=0.03)


def _plain_log(axes: Axes, values: Sequence[float], *, exact: bool = False) -> None:
    """Set plain numbers as ticks of a log axis: the values themselves, or round ones between them."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    ticks = list(values)
    if not exact:
        low, high = min(values) / 2, max(values) * 2
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        ticks = [m * 10.0**d for d in decades for m in (1, 1.5, 2, 3, 5, 7) if low <= m * 10.0**d <= high]
        ticks = ticks[:: max(1, math.ceil(len(ticks) / 7))]
        axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _step(curves: Sequence[tuple[BoardEntry, Curve]]) -> int:
    longest = max(len(curve.time_s) for _, curve in curves)
    return max(1, math.ceil(longest * len(curves) / _POINTS_PER_PANEL))


def _gaps(values: Sequence[float | None]) -> list[float]:
    # matplotlib leaves a gap where a value is NaN; no NaN reaches the page.
    return [math.nan if value is None else value for value in values]


def _ascii(text: str) -> str:
    # Text from a run may hold characters that the fonts of matplotlib lack.
    return text.encode("ascii", "replace").decode()[:40]
