"""How machines of a run talk about the gate: addresses, the shared secret, and values as JSON."""

from __future__ import annotations

import hashlib
import hmac
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from curation.download.failures import Cause, DownloadFailure
from curation.download.machines import MachineError
from curation.download.rate_limiter import BreakerState, End, RateLimiterState

SECRET_VARIABLE = "TP_CURATE_GATE_SECRET"
SIGNATURE = "X-Signature"
_LEAST_SECRET = 16


def parse_place(option: str, text: str) -> tuple[str, int]:
    """Read HOST:PORT, an IPv6 address in brackets; raises MachineError, which names the option."""
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port or parts.netloc != text or "@" in text:
        raise MachineError(f"{option} {text}: no address: give HOST:PORT, as 192.168.0.5:7100")
    return host, port


def read_secret(file: Path | None) -> bytes:
    """The secret that all machines of a run share, from a file or the environment; raises MachineError."""
    if file is not None:
        try:
            secret = file.read_bytes().strip()
        except OSError as error:
            raise MachineError(
                f"--gate-secret {file}: {error.strerror}: give a file with the secret"
            ) from error
    else:
        secret = os.environ.get(SECRET_VARIABLE, "").strip().encode()
        if not secret:
            raise MachineError(f"--gate: no secret: give --gate-secret FILE, or set {SECRET_VARIABLE}")
    if len(secret) < _LEAST_SECRET:
        raise MachineError(f"--gate-secret: too short: at least {_LEAST_SECRET} characters")
    return secret


def sign(secret: bytes, *parts: bytes) -> str:
    """The proof of the secret for some bytes; the secret itself is never sent."""
    return hmac.new(secret, b"\n".join(parts), hashlib.sha256).hexdigest()


def is_signed(secret: bytes, signature: str | None, *parts: bytes) -> bool:
    """Whether that proof is right, compared in constant time."""
    return hmac.compare_digest((signature or "").encode(), sign(secret, *parts).encode())


def end_to_json(end: End | DownloadFailure) -> Any:
    """An end of a session; a failure without its message, which stays on its machine."""
    return asdict(end) | {"message": ""} if isinstance(end, DownloadFailure) else end.value


def end_from_json(value: Any) -> End | DownloadFailure:
    """The other way."""
    return (
        End(value) if isinstance(value, str) else DownloadFailure(**value | {"cause": Cause(value["cause"])})
    )


def standing_to_json(standing: RateLimiterState, now: float) -> Any:
    """The gate as it stands; times relative, for the clocks of machines differ."""
    breaker = standing.breaker
    return {
        "state": breaker.state,
        "cause": breaker.cause,
        "for_s": max(breaker.until - now, 0.0),
        "trips": breaker.trips,
        "full_hosts": sorted(standing.full_hosts),
    }


def standing_from_json(value: Any, now: float) -> RateLimiterState:
    """The other way."""
    cause = Cause(value["cause"]) if value["cause"] else None
    breaker = BreakerState(value["state"], cause, now + value["for_s"], value["trips"])
    return RateLimiterState(breaker, frozenset(value["full_hosts"]))
