"""Metric columns of a board, with titles and meanings."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from benchmark.results import Direction, MetricSummary, Run

HEADLINE = ("psnr", "ssim", "lpips", "tje@2")
_TITLES = {"psnr": "PSNR", "psnr_pooled": "PSNR, pooled", "ssim": "SSIM", "lpips": "LPIPS", "fid": "FID"}
_TITLES |= {"fvd": "FVD", "csim": "CSIM", "akd": "AKD", "mkr": "MKR", "aed": "AED", "flicker": "Flicker"}
_MEANINGS = {
    "psnr": "Peak signal-to-noise ratio of a frame against the real frame, range 255. "
    "Identical frames have an infinite ratio: they are counted, not averaged.",
    "psnr_pooled": "PSNR from the squared error of all frames of a clip together: "
    "identical frames count, as frames without error.",
    "ssim": "Structural similarity of a frame to the real frame, on RGB with a Gaussian window.",
    "lpips": "Learned perceptual image patch similarity: distance of two frames in AlexNet.",
    "tje": "Temporal jittering error: how far the change over \u0394 frames is from the real change, "
    "mean over time, pixels and channels, in levels of 0 to 255. At small \u0394 it detects neither slow "
    "drift nor blur: read it together with large \u0394, the controls and the skill.",
}
_DELTA = re.compile(r"tje@(\d{1,6})")


@dataclass(frozen=True)
class MetricColumn:
    """A metric in one version; runs that measured another version fill another column."""

    name: str
    version: int
    unit: str
    direction: Direction

    @property
    def delta(self) -> int | None:
        """Distance in frames of a temporal jittering error, None for other metrics."""
        match = _DELTA.fullmatch(self.name)
        return int(match.group(1)) if match else None

    @property
    def title(self) -> str:
        """Head of the column."""
        return f"TJE@{self.delta}" if self.delta is not None else _TITLES.get(self.name, self.name)

    @property
    def unit_text(self) -> str:
        """Unit as shown; empty where the metric is a plain number."""
        return "" if self.unit == "1" else self.unit

    @property
    def headline(self) -> bool:
        """True for the first columns."""
        return self.name in HEADLINE

    @property
    def arrow(self) -> str:
        """Arrow towards better values."""
        return {"higher": "\u2191", "lower": "\u2193", "none": ""}[self.direction]

    @property
    def better(self) -> str:
        """Direction of better values, in words."""
        return {"higher": "higher is better", "lower": "lower is better", "none": "no better or worse"}[
            self.direction
        ]

    @property
    def meaning(self) -> str | None:
        """Explanation of the metric in a sentence or two; None for metrics unknown to this page."""
        return _MEANINGS.get("tje" if self.delta is not None else self.name)


def column_of(name: str, summary: MetricSummary) -> MetricColumn:
    """Return the column of a number."""
    return MetricColumn(name, summary.version, summary.unit, summary.direction)


def columns_of(runs: Iterable[Run]) -> list[MetricColumn]:
    """List the columns of some runs: the headline first, then the other deltas, then the rest by name."""
    found = {column_of(name, summary) for run in runs for name, summary in run.metrics.items()}
    return sorted(found, key=_order)


def _order(column: MetricColumn) -> tuple[int, int, str, int, str, str]:
    rest = (column.name, column.version, column.unit, column.direction)
    if column.headline:
        return (0, HEADLINE.index(column.name), *rest)
    if column.delta is not None:
        return (1, column.delta, *rest)
    return (2, 0, *rest)
