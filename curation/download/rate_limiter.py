"""The gate of a run: what every session of every machine passes before it asks a host for anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from curation.download.failures import Cause, DownloadFailure


class RateLimiterLost(Exception):  # noqa: N818
    """The gate cannot be asked now; nothing may be fetched until it can."""


class End(StrEnum):
    """How a session ended that did not fail."""

    FETCHED = "fetched"
    REJECTED = "rejected"
    GIVEN_BACK = "given back"


@dataclass(frozen=True)
class BreakerState:
    """The breaker as it stands. `state` is `closed`, `open` or `probing`; `until` in seconds since 1970."""

    state: str
    cause: Cause | None
    until: float
    trips: int


@dataclass(frozen=True)
class RateLimiterState:
    """The gate as it stands; `full_hosts` have as many sessions as they may."""

    breaker: BreakerState
    full_hosts: frozenset[str]


class RateLimiter(Protocol):
    """One for all workers, processes and machines of a run. Every method may raise GateLost."""

    def look(self) -> RateLimiterState:
        """What is open and what is not."""

    def enter(self, key: str, host: str, lease_s: float) -> bool:
        """Begin the session of a source: False where the breaker, the host or another machine is against it.

        An open breaker whose wait is over lets one source through, the probe. A session that nobody renews
        for `lease_s` has died with its machine.
        """

    def renew(self, keys: Sequence[str], lease_s: float) -> None:
        """Sign on for sessions."""

    def leave(self, key: str, end: End | DownloadFailure) -> None:
        """End a session; what came of it decides about the breaker."""

    def reserve(self, host: str, key: str, piece: bool = False) -> float | None:
        """Take the next slot for one request to a host.

        Args:
            piece: a further piece of a file that is coming already; it waits for its host's pause alone, for
                the rate is of videos and descriptions that are asked for.

        Returns:
            Seconds to wait before the request; None where it may not be made: the breaker is open and this is
            not its probe, or another machine has the source.
        """

    def charge(self, requests: int) -> None:
        """Pay for requests that were made without asking, such as those of redirects."""

    def rate_limited(self, retry_after_s: float | None) -> None:
        """A host answered 429."""
