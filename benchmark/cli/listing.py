"""What there is to choose from, as rows of plain values."""

from __future__ import annotations

from typing import Literal

from benchmark.metrics import metrics_of
from benchmark.metrics.groups import GROUPS, versions_of
from benchmark.protocols.protocol import load_protocol, protocol_names
from benchmark.runner.registry import contestant_names

Row = dict[str, str | int]


def listing(what: Literal["contestants", "metrics", "protocols"]) -> list[Row]:
    """One row for each contestant, metric or protocol of this installation."""
    return {"contestants": _contestants, "metrics": _metrics, "protocols": _protocols}[what]()


def _contestants() -> list[Row]:
    return [
        {"name": name, "target": entry.value, "distribution": entry.dist.name if entry.dist else "unknown"}
        for name, entry in contestant_names().items()
    ]


def _metrics() -> list[Row]:
    """The metrics of all protocols and groups, each once; those of a group with its name."""
    specs, groups = {}, {}
    for name in protocol_names():
        protocol = load_protocol(name)
        specs.update({m.spec.id: m.spec for m in metrics_of(protocol.metrics, protocol.deltas)})
    for group in GROUPS:
        found = {m.spec.id: m.spec for m in metrics_of(versions_of(group), ())}
        groups.update(dict.fromkeys(found.keys() - specs.keys(), f"+{group}"))
        specs.update(found)
    return [
        {
            "id": spec.id,
            "group": groups.get(spec.id, ""),
            "version": spec.version,
            "unit": spec.unit,
            "direction": spec.direction,
            "scope": spec.scope,
            "definition": spec.definition,
            "source": spec.source,
            "blind_spots": spec.blind_spots,
        }
        for spec in specs.values()
    ]


def _protocols() -> list[Row]:
    protocols = [load_protocol(name) for name in protocol_names()]
    return [{"name": p.name, "sha256": p.sha256(), "title": p.title} for p in protocols]
