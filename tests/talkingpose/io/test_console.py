"""Entry point of the commands."""

from __future__ import annotations

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
