"""Serves the gate of this machine's ledger to the other machines of the run: signed JSON over HTTP."""

from __future__ import annotations

import json
import socket
import socketserver
import sqlite3
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from curation.download.ledger import Ledger
from curation.download.machines import MachineError, parse_shard
from curation.download.wire import SIGNATURE, end_from_json, is_signed, sign, standing_to_json

_LARGEST = 1 << 20
_IDLE_S = 10.0


class RateLimiterServer:
    """Listens only where it is told to, in a thread of its own, within its `with` block.

    Raises:
        MachineError: that address cannot be listened on.
    """

    def __init__(self, ledger: Ledger, place: tuple[str, int], secret: bytes) -> None:
        def answer(call: dict[str, Any]) -> Any:
            return _CALLS[call["call"]](ledger, call["machine"], call["arguments"])

        class Handler(_Handler):
            key = secret
            call = staticmethod(answer)

        host, port = place
        server = _Server6 if ":" in host else _Server
        try:
            self._server = server(place, Handler)
        except OSError as error:
            raise MachineError(
                f"--serve-gate {host}:{port}: {error.strerror}: give an address of its own, and a free port"
            ) from error

    def __enter__(self) -> RateLimiterServer:
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="gate", daemon=True
        ).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    # The last answer goes out before the process ends.
    daemon_threads = False

    def server_bind(self) -> None:
        # Without the name of the host, which a slow resolver would be asked for.
        socketserver.TCPServer.server_bind(self)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients may hang up; they ask again."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Handler(BaseHTTPRequestHandler):
    key: bytes
    call: Callable[[dict[str, Any]], Any]
    timeout = _IDLE_S

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing: a request a second is no news."""

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > _LARGEST:
            self._reply(400, b"{}")
            return
        body = self.rfile.read(int(length))
        if not is_signed(self.key, self.headers.get(SIGNATURE), body):
            self._reply(403, b"{}")
            return
        try:
            answer = {"result": type(self).call(json.loads(body))}
        except MachineError as error:
            answer = {"refused": str(error)}
        except sqlite3.OperationalError:
            # A full disk: clients wait for room as this machine does.
            self._reply(503, b"{}")
            return
        except (KeyError, TypeError, ValueError):
            self._reply(400, b"{}")
            return
        self._reply(200, json.dumps(answer).encode(), proof=sign(self.key, body))

    def _reply(self, status: int, body: bytes, proof: str | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if proof is not None:
            self.send_header(SIGNATURE, sign(self.key, proof.encode(), body))
        self.end_headers()
        self.wfile.write(body)


_Call = Callable[[Ledger, str, dict[str, Any]], Any]


def _member(call: _Call) -> _Call:
    """Only for machines that have a part of the run."""

    def checked(ledger: Ledger, machine: str, arguments: dict[str, Any]) -> Any:
        ledger.machines().check(machine)
        return call(ledger, machine, arguments)

    return checked


def _greet(ledger: Ledger, machine: str, _: dict[str, Any]) -> None:
    """Whoever is here knows the secret."""


def _join(ledger: Ledger, machine: str, arguments: dict[str, Any]) -> None:
    ledger.machines().join(machine, parse_shard(arguments["shard"]), arguments["lease_s"])


def _end(ledger: Ledger, machine: str, _: dict[str, Any]) -> None:
    ledger.machines().end(machine)


def _look(ledger: Ledger, machine: str, _: dict[str, Any]) -> Any:
    return standing_to_json(ledger.gate_for(machine).look(), ledger.clock())


def _enter(ledger: Ledger, machine: str, arguments: dict[str, Any]) -> bool:
    return ledger.gate_for(machine).enter(**arguments)


def _renew(ledger: Ledger, machine: str, arguments: dict[str, Any]) -> None:
    ledger.machines().renew(machine, arguments["lease_s"])
    ledger.gate_for(machine).renew(**arguments)


def _leave(ledger: Ledger, machine: str, arguments: dict[str, Any]) -> None:
    ledger.gate_for(machine).leave(arguments["key"], end_from_json(arguments["end"]))


def _reserve(ledger: Ledger, machine: str, arguments: dict[str, Any]) -> float | None:
    return ledger.gate_for(machine).reserve(**arguments)


def _charge(ledger: Ledger, machine: str, arguments: dict[str, Any]) -> None:
    ledger.gate_for(machine).charge(**arguments)


def _rate_limited(ledger: Ledger, machine: str, arguments: dict[str, Any]) -> None:
    ledger.gate_for(machine).rate_limited(**arguments)


_CALLS: dict[str, _Call] = {
    "greet": _greet,
    "join": _join,
    "end": _member(_end),
    "look": _member(_look),
    "enter": _member(_enter),
    "renew": _member(_renew),
    "leave": _member(_leave),
    "reserve": _member(_reserve),
    "charge": _member(_charge),
    "rate_limited": _member(_rate_limited),
}
