"""Contestants, metrics and protocols of this installation, as rows of plain values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from benchmark.metrics.contract import MetricSpec
from benchmark.metrics.registry import GROUPS, MetricError, families, family, foreign
from benchmark.protocols.protocol import load_protocol, protocol_names
from talkingpose.data.contestant_loading import contestant_names
from talkingpose.io.text_table import text_table

Row = dict[str, str | int]

What = Literal["contestants", "metrics", "protocols"]

_COLUMNS = (
    "id",
    "title",
    "family",
    "group",
    "package",
    "version",
    "unit",
    "direction",
    "scope",
    "definition",
    "source",
    "blind_spots",
)


# Columns of the table for the terminal; all others are in the JSON document.
_SHOWN = {
    "contestants": ("name", "target", "distribution"),
    "metrics": ("id", "title", "unit", "direction", "group", "package"),
    "protocols": ("name", "sha256", "title"),
}


def listing(what: What) -> list[Row]:
    """Return one row for each contestant, metric or protocol of this installation."""
    return {"contestants": _contestants, "metrics": _metrics, "protocols": _protocols}[what]()


def table(what: What) -> Iterator[str]:
    """Yield the lines of a table for the terminal."""
    return text_table([[str(row[column]) for column in _SHOWN[what]] for row in listing(what)])


def _contestants() -> list[Row]:
    return [
        {"name": name, "target": entry.value, "distribution": entry.dist.name if entry.dist else "unknown"}
        for name, entry in contestant_names().items()
    ]


def _metrics() -> list[Row]:
    """Return metrics by family, with the package of families that another package registers."""
    group_of = {name: f"+{group}" for group, names in GROUPS.items() for name in names}
    rows: list[Row] = []
    for name in families():
        where: Row = {
            "family": name,
            "group": group_of.get(name, ""),
            "package": foreign([name]).get(name, ""),
        }
        try:
            rows += [_described(metric.spec) | where for metric in family(name)]
        except MetricError as error:
            rows.append({**dict.fromkeys(_COLUMNS, ""), "id": name, "title": str(error), **where})
    return rows


def _described(spec: MetricSpec) -> Row:
    return {column: getattr(spec, column, "") for column in _COLUMNS}


def _protocols() -> list[Row]:
    protocols = [load_protocol(name) for name in protocol_names()]
    return [{"name": p.name, "sha256": p.sha256(), "title": p.title} for p in protocols]
