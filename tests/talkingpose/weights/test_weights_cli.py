"""`tp-eval weights` on a lock file of stand-ins."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from benchmark.cli import weights
from talkingpose.io import console
from talkingpose.weights import lock as lock_module


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    monkeypatch.setenv("TALKINGPOSE_WEIGHTS", str(tmp_path / "weights"))

    def call(lock: Path, *args: str) -> tuple[int, str, str]:
        monkeypatch.setattr(lock_module, "LOCK_FILE", lock)
        with pytest.raises(SystemExit) as stopped:
            console.run(weights.app, "tp-eval weights", list(args))
        out, err = capsys.readouterr()
        return stopped.value.code, out, err  # type: ignore[return-value]

    return call


def test_list_fetch_verify(server: Any, make: Any, run: Any, content: bytes, tmp_path: Path) -> None:
    lock = make.lock(make.entry(server.serve("/net", make.answer(content))))

    def state() -> str:
        return json.loads(run(lock, "list", "--json")[1])["files"][0]["state"]

    assert state() == "missing"
    code, out, err = run(lock, "fetch", "--for", "metric-a")
    path = tmp_path / "weights" / "nets" / "net.bin"
    assert (code, out) == (0, f"net: fetched: {path}\n")
    assert err == "net: 0.3 MB; licence: MIT\n"
    assert "300.0 kB" in run(lock, "list")[1]
    assert run(lock, "verify")[:2] == (0, "net: verified\n")
    assert run(lock, "fetch", "--all")[1].startswith("net: already present")

    path.write_bytes(content[::-1])
    code, out, err = run(lock, "verify")
    assert code == 3 and out.startswith("net: damaged: SHA-256 is ")
    assert err == "tp-eval weights: net: damaged: tp-eval weights fetch net\n"
    assert json.loads(run(lock, "verify", "--json")[1])[0]["state"] == "damaged"
    assert json.loads(run(lock, "fetch", "net", "--json")[1])[0]["downloaded"]
    assert state() in ("present", "verified")


def test_verify_of_an_empty_folder_fails_only_for_a_named_file(make: Any, run: Any) -> None:
    lock = make.lock(make.entry("https://example.org/net"))
    assert run(lock, "verify")[0] == 0
    assert run(lock, "verify", "net")[0] == 3


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["fetch"], "nothing to fetch"),
        (["fetch", "other"], "no such file: choose from net"),
        (["fetch", "--for", "other"], "choose from metric-a"),
        (["fetch", "net"], "research only: to accept these terms, give --accept-licence"),
        (["verify", "other"], "no such file"),
    ],
)
def test_user_errors_are_one_line_and_exit_code_2(make: Any, run: Any, args: list[str], message: str) -> None:
    lock = make.lock(make.entry("https://example.org/net", commercial="no", licence="research only"))
    code, out, err = run(lock, *args)
    assert (code, out) == (2, "")
    assert message in err and len(err.splitlines()) == 1


def test_a_failure_among_others_is_partial(server: Any, make: Any, run: Any, content: bytes) -> None:
    bad = make.entry(server.serve("/bad", make.answer(status=404)), id="bad", file="bad.bin")
    lock = make.lock(bad, make.entry(server.serve("/net", make.answer(content))))
    code, out, err = run(lock, "fetch", "--all")
    assert code == 3 and out.startswith("net: fetched")
    assert err.splitlines()[-1].startswith("tp-eval weights: error: bad: not fetched: ")
    assert run(lock, "fetch", "bad")[0] == 2


def test_offline_is_one_line_for_any_number_of_files(make: Any, run: Any) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}/net"
        lock = make.lock(make.entry(address), make.entry(address, id="other", file="other.bin"))
        code, out, err = run(lock, "fetch", "--all")
    errors = [line for line in err.splitlines() if "error" in line]
    assert (code, out, len(errors)) == (2, "", 1)
    assert "tp-eval weights fetch net other --dest FOLDER" in errors[0]
