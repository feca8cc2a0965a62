"""Audit of a list without downloads: which sources still exist, and why the others are gone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from curation.download.failures import Cause
from curation.download.ledger import LedgerEntry, State

# Causes that no further attempt can change.
_GONE = frozenset({Cause.DELETED, Cause.PRIVATE})


def attrition(entries: Sequence[LedgerEntry]) -> dict[str, Any]:
    """Return the report of an audit as JSON values.

    `available`, `gone` (deleted or private), `closed` (exists, but not accessible) and `unknown` (no answer
    yet) are numbers of sources. `attrition` is the share of the answered ones that cannot be downloaded.
    `licenses` counts the licences of the available ones.
    """
    available = [entry for entry in entries if entry.state is State.DONE]
    dead = [entry for entry in entries if entry.state is State.DEAD]
    gone = [entry for entry in dead if entry.cause in _GONE]
    answered = len(available) + len(dead)
    return {
        "sources": len(entries),
        "available": len(available),
        "gone": len(gone),
        "closed": len(dead) - len(gone),
        "unknown": len(entries) - answered,
        "attrition": round(len(dead) / answered, 6) if answered else None,
        "by_cause": dict(Counter(entry.cause.value for entry in dead if entry.cause).most_common()),
        "licenses": dict(Counter(entry.license or "not given" for entry in available).most_common()),
        "lost": [
            {"source": entry.source, "source_id": entry.source_id, "url": entry.url, "cause": entry.cause}
            for entry in dead
        ],
    }


def lines(report: dict[str, Any]) -> list[str]:
    """Format the report of an audit as text."""
    shown = [
        f"{report['sources']} sources: {report['available']} available, {report['gone']} gone, "
        f"{report['closed']} not accessible, {report['unknown']} not answered yet"
    ]
    if report["attrition"] is not None:
        shown.append(f"attrition {100 * report['attrition']:.1f} %")
    shown += [f"  {cause:<16} {number:>7}" for cause, number in report["by_cause"].items()]
    shown += [f"  license: {name:<40} {number:>7}" for name, number in report["licenses"].items()]
    return shown
