"""Metric columns of a board, with titles and explanations."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources

from benchmark.results import Direction, MetricSummary, Run
from leaderboard.text.slugs import slug

HEADLINE = ("psnr", "ssim", "lpips", "tje@2")
_TITLES = {"psnr": "PSNR", "psnr_pooled": "PSNR, pooled", "ssim": "SSIM", "lpips": "LPIPS", "fid": "FID"}
_TITLES |= {"fvd": "FVD", "csim": "CSIM", "akd": "AKD", "mkr": "MKR", "aed": "AED", "flicker": "Flicker"}
_DELTA = re.compile(r"tje@(\d{1,6})")


@dataclass(frozen=True)
class MetricText:
    """Definition of a metric, its blind spots and its source."""

    title: str
    definition: str
    blind_spots: str
    source: str


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
    def base(self) -> str:
        """Id without the distance in frames."""
        return self.name.partition("@")[0]

    @property
    def family(self) -> str:
        """Name that metrics of one kind share: `tje` of `tje@2`, `psnr` of `psnr.face`."""
        return re.split(r"[@._]", self.name)[0]

    @property
    def anchor(self) -> str:
        """Name of its explanation on the first page."""
        return f"m-{slug(self.base)}"

    @property
    def text(self) -> MetricText | None:
        """Explanation of the metric; None for metrics unknown to this page."""
        found = _texts().get(self.base)
        return None if found is None else MetricText(**found)

    @property
    def summary(self) -> str:
        """Direction, version and blind spots in a line."""
        text = f"{self.better}, version {self.version}"
        return (
            text if self.text is None else f"{self.text.title}: {text}. Does not see: {self.text.blind_spots}"
        )


@cache
def _texts() -> dict[str, dict[str, str]]:
    texts: dict[str, dict[str, str]] = json.loads(
        resources.files("leaderboard.tables").joinpath("metrics.json").read_text(encoding="utf-8")
    )
    return texts


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
