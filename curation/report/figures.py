"""Figures of the report as SVG that takes its colours from the page."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from curation.report.funnel import FilterYield, FunnelStep

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Placeholder colours, replaced by those of the page.
_INK, _MUTED, _KEPT, _OTHER, _LOST = "#1b1d20", "#5a5e66", "#16578b", "#c9c4ba", "#b04a14"
_VARIABLES = {
    _INK: "var(--ink)",
    _MUTED: "var(--muted)",
    _KEPT: "var(--kept)",
    _OTHER: "var(--other)",
    _LOST: "var(--lost)",
}
_BINS = 24


def funnel_figure(stages: Sequence[FunnelStep]) -> str:
    """Draw the minutes left after each step as horizontal bars."""
    figure, axes = _figure(7.2, 0.42 * len(stages) + 0.5)
    most = max((stage.left.seconds for stage in stages), default=0) or 1
    for place, stage in enumerate(stages):
        left = stage.left.seconds
        axes.barh(-place, left, height=0.62, color=_KEPT)
        axes.barh(-place, stage.rejected.seconds, left=left, height=0.62, color=_OTHER)
        axes.barh(
            -place, stage.undecided.seconds, left=left + stage.rejected.seconds, height=0.62, color=_LOST
        )
        text = f"{left / 60:.2f} min, spans: {stage.left.spans}"
        end = left + stage.rejected.seconds + stage.undecided.seconds
        axes.text(end + most * 0.01, -place, text, va="center", color=_INK, fontsize=9)
    axes.set_yticks([-place for place in range(len(stages))], [stage.name for stage in stages])
    axes.set_xlim(0, most * 1.34)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return _svg(figure, "minutes of footage left after each step of the cascade")


def histogram_figure(one: FilterYield) -> str:
    """Draw a histogram of the measured values of kept and other footage, with the threshold."""
    import numpy as np

    figure, axes = _figure(3.9, 1.9)
    values = np.array([value for value, _, _ in one.values])
    weights = np.array([length for _, length, _ in one.values])
    kept = np.array([is_kept for _, _, is_kept in one.values], bool)
    low, high = _range(values, one.threshold)
    edges = np.linspace(low, high, _BINS + 1)
    # Outliers are counted in the outer bins.
    inside = np.clip(values, low, high)
    axes.hist(
        [inside[kept], inside[~kept]],
        bins=list(edges),
        weights=[weights[kept], weights[~kept]],
        stacked=True,
        color=[_KEPT, _OTHER],
    )
    axes.axvline(one.threshold, color=_LOST, linewidth=1.6)
    axes.set_xlabel(one.unit, fontsize=8, color=_MUTED)
    axes.set_ylabel("seconds", fontsize=8, color=_MUTED)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlim(low, high)
    return _svg(figure, f"{one.filter}: seconds of footage over {one.unit}, with the threshold")


def _range(values: npt.NDArray[np.float64], threshold: float) -> tuple[float, float]:
    """Return a range that contains nearly all values and the threshold, with a margin."""
    import numpy as np

    low, high = np.percentile(values, [1, 99])
    low, high = min(float(low), threshold), max(float(high), threshold)
    room = (high - low) * 0.05 or abs(high) * 0.1 or 1.0
    return low - room, high + room


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure((width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.tick_params(labelsize=8, colors=_MUTED)
    for spine in axes.spines.values():
        spine.set_color(_MUTED)
    return figure, axes


def _svg(figure: Figure, title: str) -> str:
    """Return the `<svg>` element; the same figure gives the same text."""
    import matplotlib

    file = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": title, "svg.fonttype": "none", "font.family": "sans-serif"}):
        figure.savefig(file, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator")))
    text = file.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, variable)
    return text.replace("<svg ", f'<svg role="img" aria-label="{title}" ', 1)
