"""The gate of a run that another machine serves."""

from __future__ import annotations

import http.client
import json
import secrets
import threading
import time
from collections.abc import Sequence
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

from curation.download.failures import DownloadFailure
from curation.download.machines import MachineError, Shard
from curation.download.rate_limiter import End, RateLimiterLost, RateLimiterState
from curation.download.wire import SIGNATURE, end_to_json, is_signed, sign, standing_from_json

_TIMEOUT_S = 5.0
# Nobody else asks a server anew that was found silent a moment ago.
_SILENT_S = 0.5


class RemoteRateLimiter:
    """See `Gate`.

    Args:
        machine: this folder's name in the run.

    All methods raise MachineError where the server refuses this machine or its secret.
    """

    def __init__(self, place: tuple[str, int], secret: bytes, machine: str) -> None:
        host, port = place
        self._name = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._secret = secret
        self._machine = machine
        # A proxy is for the hosts, not for the machine beside this one.
        self._opener = build_opener(ProxyHandler({}))
        self._lock = threading.Lock()
        self._silent_until = 0.0

    def greet(self) -> None:
        """Raises MachineError where no gate answers, or one of another secret."""
        self._first("greet")

    def join(self, shard: Shard, lease_s: float) -> None:
        """Take part in the run; raises MachineError also where no gate answers."""
        self._first("join", shard=str(shard), lease_s=lease_s)

    def end(self) -> None:
        """Nothing is left to fetch here."""
        self._call("end")

    def look(self) -> RateLimiterState:
        """See `Gate.look`."""
        return standing_from_json(self._call("look"), time.time())

    def enter(self, key: str, host: str, lease_s: float) -> bool:
        """See `Gate.enter`."""
        return bool(self._call("enter", key=key, host=host, lease_s=lease_s))

    def renew(self, keys: Sequence[str], lease_s: float) -> None:
        """See `Gate.renew`; also a sign of life of this machine."""
        self._call("renew", keys=list(keys), lease_s=lease_s)

    def leave(self, key: str, end: End | DownloadFailure) -> None:
        """See `Gate.leave`."""
        self._call("leave", key=key, end=end_to_json(end))

    def reserve(self, host: str, key: str, piece: bool = False) -> float | None:
        """See `Gate.reserve`."""
        wait_s = self._call("reserve", host=host, key=key, piece=piece)
        return None if wait_s is None else float(wait_s)

    def charge(self, requests: int) -> None:
        """See `Gate.charge`."""
        self._call("charge", requests=requests)

    def rate_limited(self, retry_after_s: float | None) -> None:
        """See `Gate.rate_limited`."""
        self._call("rate_limited", retry_after_s=retry_after_s)

    def _first(self, call: str, **arguments: Any) -> None:
        try:
            self._call(call, **arguments)
        except RateLimiterLost as lost:
            raise MachineError(f"--gate: {lost}: start the machine that serves it first") from lost

    def _call(self, call: str, **arguments: Any) -> Any:
        if time.monotonic() < self._silent_until:
            raise RateLimiterLost(f"the gate at {self._name} does not answer")
        document = {
            "call": call,
            "machine": self._machine,
            "arguments": arguments,
            # No answer to an older question is taken for one to this.
            "nonce": secrets.token_hex(8),
        }
        try:
            answer = self._asked(json.dumps(document).encode())
        except RateLimiterLost:
            with self._lock:
                self._silent_until = time.monotonic() + _SILENT_S
            raise
        if "refused" in answer:
            raise MachineError(str(answer["refused"]))
        return answer["result"]

    def _asked(self, body: bytes) -> dict[str, Any]:
        proof = sign(self._secret, body)
        request = Request(f"http://{self._name}/", data=body, headers={SIGNATURE: proof})
        try:
            with self._opener.open(request, timeout=_TIMEOUT_S) as response:
                reply, signature = response.read(), response.headers.get(SIGNATURE)
        except HTTPError as error:
            error.close()
            if error.code == 403:
                raise MachineError(
                    f"--gate {self._name}: it refuses the secret: give the one of the serving machine"
                ) from error
            raise RateLimiterLost(f"the gate at {self._name} answers with {error.code}") from error
        except (URLError, OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            words = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
            raise RateLimiterLost(f"the gate at {self._name} does not answer ({words})") from error
        if not is_signed(self._secret, signature, proof.encode(), reply):
            raise MachineError(f"--gate {self._name}: what answers there is no gate of this run")
        answer: dict[str, Any] = json.loads(reply)
        return answer
