"""Entry point of the commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from talkingpose.io import console
from talkingpose.io.errors import UserError
from talkingpose.media import MediaError
from talkingpose.pose import PoseError


def leave(error: BaseException | None, code: int | None = None) -> int | str | None:
    app = console.application("A command.")

    @app.command()
    def act() -> int | None:
        if error is not None:
            raise error
        return code

    with pytest.raises(SystemExit) as stop:
        console.run(app, "tp-test", [])
    return stop.value.code


@pytest.mark.parametrize("kind", [UserError, MediaError, PoseError])
def test_user_error_is_one_line(kind: type[Exception], capsys: pytest.CaptureFixture[str]) -> None:
    assert leave(kind("film.mp4:\n no such file")) == 2
    assert capsys.readouterr().err == "tp-test: error: film.mp4: no such file\n"


def test_exit_codes_pass_through() -> None:
    assert leave(None) == 0
    assert leave(None, console.EXIT_PARTIAL) == 3


def test_ctrl_c_names_how_to_resume(capsys: pytest.CaptureFixture[str]) -> None:
    assert leave(KeyboardInterrupt()) == 130
    assert "resume" in capsys.readouterr().err


def test_bug_keeps_its_traceback() -> None:
    app = console.application("A command.")

    @app.command()
    def act() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        console.run(app, "tp-test", [])


def test_json_holds_no_nan() -> None:
    with pytest.raises(ValueError, match="Out of range"):
        console.emit_json({"psnr": float("inf")})


APP = """
import sys
from talkingpose.io import console
app = console.application("Print text.")
@app.command()
def act():
    if sys.argv[1] == "memory":
        raise MemoryError
    if sys.argv[1] == "long":
        open("a" * 300, "w")
    if sys.argv[1] == "bug":
        open("missing")
    print("a" * 10_000 if sys.argv[1] == "text" else "caf\\udce9 \\u4e16\\n", end="")
    console.emit_json({"name": "caf\\udce9 \\u4e16"})
console.run(app, "tp-test", [])
"""


def outcome(what: str, stdout: int, **environment: str) -> tuple[int, str]:
    command = [sys.executable, "-c", APP, what]
    result = subprocess.run(
        command, stdout=stdout, stderr=subprocess.PIPE, text=True, env=os.environ | environment
    )
    return result.returncode, result.stderr


@pytest.mark.parametrize("kind", ["pipe", "full", "memory", "long"])
def test_machine_errors_are_one_line(kind: str) -> None:
    if kind == "pipe":
        read, stdout = os.pipe()
        os.close(read)
    else:
        stdout = os.open("/dev/full" if kind == "full" else os.devnull, os.O_WRONLY)
    code, err = outcome("text" if kind in ("pipe", "full") else kind, stdout)
    os.close(stdout)
    assert code == 2
    assert err.startswith("tp-test: error: ") and len(err.splitlines()) == 1


def test_other_os_errors_keep_their_traceback() -> None:
    assert "FileNotFoundError" in outcome("bug", subprocess.DEVNULL)[1]


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_any_text_is_printed(encoding: str) -> None:
    result = subprocess.run(
        [sys.executable, "-c", APP, "names"],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONIOENCODING": encoding},
    )
    assert result.returncode == 0
    assert json.loads(result.stdout.split(b"\n", 1)[1])["name"] == "caf\udce9 \u4e16"


def test_long_messages_lose_their_middle(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        console.fail("tp-x", f"path {'a' * 5_000}: no such file: check the path")
    line = capsys.readouterr().err.strip()
    assert len(line) < 1_600
    assert line.startswith("tp-x: error: path aaa") and line.endswith("no such file: check the path")


def test_version_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        console.run(console.application("Test."), "tp-test", ["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out.split()[0] == "tp-test"
