"""Contestants, metrics and protocols of this installation, as rows of plain values."""

from __future__ import annotations

import ast
import difflib
import importlib.util
import textwrap
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Literal

from benchmark.errors import EvaluationError
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


# Columns of the table for the terminal; all others are in the JSON document and in the details of one name.
_SHOWN = {
    "contestants": ("name", "summary", "distribution"),
    "metrics": ("family", "title", "unit", "direction", "group", "ids"),
    "protocols": ("name", "sha256", "title"),
}
_IDS_SHOWN = 3


def listing(what: What) -> list[Row]:
    """Return one row for each contestant, metric or protocol of this installation."""
    return {"contestants": _contestants, "metrics": _metrics, "protocols": _protocols}[what]()


def table(what: What) -> Iterator[str]:
    """Yield the lines of a table for the terminal; metrics have one line for each family."""
    rows = _families(listing(what)) if what == "metrics" else listing(what)
    shown = [[str(row[column]) for column in _SHOWN[what]] for row in rows]
    if what == "metrics":
        shown.insert(0, ["family", "title", "unit", "better", "group", "metrics"])
    yield from text_table(shown)
    if what == "metrics":
        yield "tp-eval ls metrics NAME shows definition, source and blind spots"


def one(what: What, name: str) -> list[Row]:
    """Return the rows of one name: a contestant, a protocol, a metric or all metrics of a family.

    Raises:
        EvaluationError: there is no such name.
    """
    rows = listing(what)
    found = [row for row in rows if name in (row.get("name"), row.get("id"), row.get("family"))]
    if found:
        return found
    names = sorted({str(row.get("family") or row.get("name")) for row in rows})
    close = difflib.get_close_matches(name, names, n=3)
    hint = f"did you mean {', '.join(close)}?" if close else f"tp-eval ls {what} lists them"
    raise EvaluationError(f"{what[:-1]} {name!r}: unknown: {hint}")


def details(what: What, name: str) -> Iterator[str]:
    """Yield the lines about one name; what all metrics of a family share stands once.

    Raises:
        EvaluationError: there is no such name.
    """
    rows = one(what, name)
    shared = {key: value for key, value in rows[0].items() if all(row.get(key) == value for row in rows)}
    yield from _fields(shared)
    for row in rows if len(rows) > 1 else ():
        yield ""
        yield from _fields({key: value for key, value in row.items() if key not in shared})


def _fields(row: Row) -> Iterator[str]:
    for key, value in row.items():
        if value != "":
            lead = f"{key.replace('_', ' ')}: "
            yield textwrap.fill(f"{lead}{value}", 100, subsequent_indent="    ")


def _families(rows: list[Row]) -> list[Row]:
    """Return one row for each family, with its first ids."""
    by_family: dict[str, list[Row]] = {}
    for row in rows:
        by_family.setdefault(str(row["family"]), []).append(row)
    found = []
    for members in by_family.values():
        ids = [str(row["id"]) for row in members]
        more = f" and {len(ids) - _IDS_SHOWN} more" if len(ids) > _IDS_SHOWN else ""
        found.append(members[0] | {"ids": ", ".join(ids[:_IDS_SHOWN]) + more})
    return found


def _contestants() -> list[Row]:
    return [
        {
            "name": name,
            "summary": _summary(entry),
            "target": entry.value,
            "distribution": entry.dist.name if entry.dist else "unknown",
        }
        for name, entry in contestant_names().items()
    ]


def _summary(entry: EntryPoint) -> str:
    """Return the first line of the docstring of a class, without running its module."""
    try:
        spec = importlib.util.find_spec(entry.module)
        if spec is None or spec.origin is None:
            return ""
        tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    except (ImportError, OSError, SyntaxError, ValueError):
        return ""
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == entry.attr:
            return (ast.get_docstring(node) or "").partition("\n")[0]
    return ""


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
