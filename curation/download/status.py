"""Status of the downloads of an output folder, from its ledger."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from curation.download.failures import POLICIES
from curation.download.ledger import Ledger, LedgerEntry, State

# Speed is measured over this time; older downloads say little about the present.
_WINDOW_S = 900.0
# Missing sources that are printed; `--json` and the ledger have all of them.
_MAX_LISTED = 20


@dataclass(frozen=True)
class DownloadReport:
    """Result of the downloads of a run.

    Attributes:
        status: JSON values, see `download_status`.
        missing: requested sources that are not downloaded, apart from rejected ones.
        network_error: why no host could be reached; None if one was.
    """

    status: dict[str, Any]
    missing: Sequence[LedgerEntry] = field(default=())
    network_error: str | None = None

    @property
    def is_partial(self) -> bool:
        """Return whether the same command, now or later, may download more."""
        return any(
            entry.state is not State.DEAD or (entry.cause and POLICIES[entry.cause].attempts > 1)
            for entry in self.missing
        )

    def document(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        missing = [
            {
                "source": entry.name,
                "state": entry.state.value,
                "cause": entry.cause.value if entry.cause else None,
                "message": entry.message,
            }
            for entry in self.missing
        ]
        return {**self.status, "missing": missing, "network_error": self.network_error}

    def lines(self) -> list[str]:
        """Format the report as text."""
        shown = status_lines(self.status)
        shown += [f"not downloaded: {describe(entry)}" for entry in self.missing[:_MAX_LISTED]]
        if len(self.missing) > _MAX_LISTED:
            shown.append(f"not downloaded: {len(self.missing) - _MAX_LISTED} more, listed by --json")
        if self.network_error is not None:
            shown.append(self.network_error)
        return shown


def download_report(ledger: Ledger, keys: Iterable[str], network_error: str | None = None) -> DownloadReport:
    """Return the report for the sources of these keys."""
    ledger.select(keys)
    return DownloadReport(download_status(ledger), ledger.missing(), network_error)


def download_status(ledger: Ledger, now: float | None = None) -> dict[str, Any]:
    """Return the status of all downloads of a folder as JSON values.

    `per_hour` is the number of sources fetched per hour. `hours_left` assumes that the share of waiting
    sources that will succeed is that of the finished ones. Both are null if nothing was fetched within the
    last 15 minutes.
    """
    now = time.time() if now is None else now
    counts = ledger.counts()
    totals = {state.value: sum(n for s, _, n, _ in counts if s is state) for state in State}
    fetched, num_bytes, first = ledger.fetched_since(now - _WINDOW_S)
    elapsed = max(now - first, 1.0) if first is not None else None
    per_hour = fetched / elapsed * 3600 if elapsed and fetched else None
    pending = totals["waiting"] + totals["working"]
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
        "hours_left": round(pending * totals["done"] / ended / per_hour, 2) if per_hour else None,
        "next_retry_in_s": round(min(e.next_retry_at for e in waiting) - now, 1) if waiting else None,
        "breaker": {
            "state": breaker.state,
            "cause": breaker.cause.value if breaker.cause else None,
            "for_s": round(max(breaker.until - now, 0.0), 1) if breaker.state == "open" else None,
            "trips": breaker.trips,
        },
        "paused": ledger.notes().get("paused"),
    }


def status_lines(document: dict[str, Any]) -> list[str]:
    """Format the status of downloads as text."""
    shown = [
        f"{document['sources']} remote sources: {document['done']} done, {document['waiting']} waiting, "
        f"{document['working']} in progress, {document['rejected']} rejected, {document['dead']} dead"
    ]
    for row in document["by_cause"]:
        shown.append(f"  {row['state']:<8} {row['cause']:<16} {row['sources']:>7}  {row['what_to_do']}")
    speed = "no speed yet" if document["per_hour"] is None else f"{document['per_hour']:.0f} an hour"
    pending = "" if document["hours_left"] is None else f", {document['hours_left']:.1f} h to go"
    shown.append(f"{document['gigabytes_on_disk']:.3f} GB of downloads on the disk, {speed}{pending}")
    if document["forgotten"]:
        shown.append(f"{document['forgotten']} tombstones")
    breaker = document["breaker"]
    if breaker["state"] != "closed":
        wait = "" if breaker["for_s"] is None else f", next attempt in {breaker['for_s']:.0f} s"
        shown.append(f"requests stopped: {breaker['cause']}{wait}")
    elif document["paused"]:
        shown.append(document["paused"])
    return shown


def describe(entry: LedgerEntry) -> str:
    """Describe a source that was not downloaded: name, state, cause and message."""
    state = str(entry.state)
    if entry.state is State.WAITING and entry.next_retry_at > time.time():
        state += f", next attempt in {duration(entry.next_retry_at - time.time())}"
    # yt-dlp repeats the cause of an error behind its message.
    message = (entry.message or "").split(" (caused by ")[0]
    return ": ".join(part for part in (entry.name, state, entry.cause, message) if part)


def duration(seconds: float) -> str:
    """Format a duration in its largest suitable unit: `40 s`, `12 min`, `5 h`, `2 d`."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
