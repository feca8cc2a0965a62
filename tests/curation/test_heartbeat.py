"""Heartbeats: the source of each worker of a run that is going on."""

from __future__ import annotations

import os
import time
from pathlib import Path

from commands import tp_curate

from curation import heartbeat
from curation.heartbeat import beating, heartbeats
from curation.store import Store


def test_a_worker_is_shown_while_it_works_and_silent_when_it_was_killed(tmp_path: Path) -> None:
    store = Store(tmp_path / "out")
    with store.locked():
        pass
    with beating(store.state, "talks/ä.mp4"):
        (worker,) = heartbeats(store.state)
        assert (worker.source, worker.pid, worker.is_alive) == ("talks/ä.mp4", os.getpid(), True)
        code, text, _ = tp_curate("status", tmp_path / "out")
        assert code == 0 and f"{os.getpid()}: talks/ä.mp4" in text
        (killed,) = heartbeats(store.state, now=time.time() + 900)
        assert not killed.is_alive and killed.silent_s > 800
    assert heartbeats(store.state) == []


def test_the_sign_of_life_is_renewed(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(heartbeat, "_EVERY_S", 0.02)
    with beating(tmp_path, "a.mp4"):
        (path,) = (tmp_path / heartbeat.FOLDER).glob("*.json")
        os.utime(path, (0, 0))
        deadline = time.monotonic() + 10
        while path.stat().st_mtime == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert path.stat().st_mtime > 0


def test_damaged_and_left_over_files_do_no_harm(tmp_path: Path) -> None:
    store = Store(tmp_path / "out")
    with store.locked():
        pass
    folder = store.state / heartbeat.FOLDER
    folder.mkdir()
    for name, text in (("a", "{"), ("b", "[]"), ("c", '{"host": "x"}')):
        (folder / f"{name}.json").write_text(text)
    assert heartbeats(store.state) == []
    with store.locked():
        assert not folder.exists()
