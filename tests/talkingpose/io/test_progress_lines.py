"""Progress without a terminal: a line a minute, also while one long step runs."""

from __future__ import annotations

import time

from talkingpose.io import progress


def test_a_long_step_without_a_terminal_still_prints_lines(monkeypatch, capsys):
    monkeypatch.setattr(progress, "_LINE_EVERY_S", 0.05)
    with progress.ConsoleProgress() as shown:
        shown.start("sources", 7)
        deadline = time.monotonic() + 10
        while "sources: 0 of 7" not in (text := capsys.readouterr().err) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert "sources: 0 of 7" in text and "left" not in text
        shown.advance(3)
        text = ""
        while "3 of 7, about" not in text and time.monotonic() < deadline:
            time.sleep(0.02)
            text += capsys.readouterr().err
        assert "3 of 7, about" in text
    capsys.readouterr()
    time.sleep(0.2)
    assert "sources" not in capsys.readouterr().err
