"""Numbers from papers, shown apart from measured runs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True)
class PublishedTable:
    """Rows measured by one party under one protocol. Values are texts as printed there."""

    name: str
    data: str
    source: str
    faults: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@cache
def published_tables() -> tuple[PublishedTable, ...]:
    """Read the tables of `published.yaml`; the first column is the name of the method.

    Raises:
        ValueError: a row has more or fewer values than its table has columns.
    """
    import yaml

    text = resources.files("leaderboard.tables").joinpath("published.yaml").read_text(encoding="utf-8")
    tables = []
    for entry in yaml.safe_load(text)["families"]:
        columns = ("Method", *entry["columns"])
        rows = tuple(tuple(value.strip() for value in row.split("|")) for row in entry["rows"])
        for row in rows:
            if len(row) != len(columns):
                raise ValueError(
                    f"published.yaml: {entry['name']}: {row[0]}: {len(row)} of {len(columns)} values"
                )
        tables.append(
            PublishedTable(
                name=entry["name"],
                data=entry["data"],
                source=entry["source"],
                faults=" ".join(entry["faults"].split()),
                columns=columns,
                rows=rows,
            )
        )
    return tuple(tables)
