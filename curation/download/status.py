"""What the ledger says now: done, waiting, dead, by cause, speed, time left, gigabytes."""

from __future__ import annotations

import time
from typing import Any

from curation.download.failures import POLICIES
from curation.download.ledger import Ledger, State

# Speed is what came in so much time; older downloads say little about now.
_WINDOW_S = 900.0


def status(ledger: Ledger, now: float | None = None) -> dict[str, Any]:
    """The state of an acquisition as JSON values.

    `per_hour` counts sources fetched; `hours_left` is for those of the waiting ones that will come, if as
    many of them do as of those that have ended. Both are null where nothing was fetched in the last quarter
    of an hour.
    """
    now = time.time() if now is None else now
    counts = ledger.counts()
    totals = {state.value: sum(n for s, _, n, _ in counts if s is state) for state in State}
    fetched, num_bytes, first = ledger.fetched_since(now - _WINDOW_S)
    elapsed = max(now - first, 1.0) if first is not None else None
    per_hour = fetched / elapsed * 3600 if elapsed and fetched else None
    left = totals["waiting"] + totals["working"]
    ended = totals["done"] + totals["rejected"] + totals["dead"]
    breaker = ledger.breaker()
    waiting = [entry for entry in ledger.entries(State.WAITING) if entry.next_retry_at > now]
    return {
        "sources": sum(totals.values()),
        **totals,
        "by_cause": [
            {
                "state": state.value,
                "cause": cause.value,
                "sources": number,
                "what_to_do": POLICIES[cause].advice,
            }
            for state, cause, number, _ in counts
            if cause is not None
        ],
        "forgotten": ledger.num_tombstones(),
        "gigabytes_on_disk": round(sum(size for *_, size in counts) / 1e9, 3),
        "per_hour": round(per_hour, 1) if per_hour else None,
        "megabytes_per_s": round(num_bytes / elapsed / 1e6, 3) if elapsed else None,
        "hours_left": round(left * totals["done"] / ended / per_hour, 2) if per_hour else None,
        "next_retry_in_s": round(min(e.next_retry_at for e in waiting) - now, 1) if waiting else None,
        "breaker": {
            "state": breaker.state,
            "cause": breaker.cause.value if breaker.cause else None,
            "for_s": round(max(breaker.until - now, 0.0), 1) if breaker.state == "open" else None,
            "trips": breaker.trips,
        },
        "paused": ledger.notes().get("paused"),
    }


def lines(document: dict[str, Any]) -> list[str]:
    """The same for people, a line each."""
    shown = [
        f"{document['sources']} sources: {document['done']} done, {document['waiting']} waiting, "
        f"{document['working']} under way, {document['rejected']} rejected, {document['dead']} dead"
    ]
    for row in document["by_cause"]:
        shown.append(f"  {row['state']:<8} {row['cause']:<16} {row['sources']:>7}  {row['what_to_do']}")
    speed = "no speed yet" if document["per_hour"] is None else f"{document['per_hour']:.0f} an hour"
    left = "" if document["hours_left"] is None else f", {document['hours_left']:.1f} h left"
    shown.append(f"{document['gigabytes_on_disk']:.3f} GB on the disk, {speed}{left}")
    if document["forgotten"]:
        shown.append(f"{document['forgotten']} tombstones")
    breaker = document["breaker"]
    if breaker["state"] != "closed":
        wait = "" if breaker["for_s"] is None else f", one source is tried in {breaker['for_s']:.0f} s"
        shown.append(f"stopped asking: {breaker['cause']}{wait}")
    elif document["paused"]:
        shown.append(document["paused"])
    return shown
