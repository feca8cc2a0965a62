"""`tp-curate` over what is fetched: one line for what a user can mend, nothing outside the output folder."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from loopback import Loopback
from test_dataset_life import everything

CONFIG = """
download:
  politeness: {requests_per_minute: 6000, burst: 10, pause_s: 0}
  prefilter: {min_duration_s: null}
  disk: {min_free_gb: 0}
  wait_scale: 0.00001
  timeout_s: 2.0
"""


@pytest.fixture
def place(tmp_path) -> Path:
    """A working folder with a home of its own, so that whatever is written somewhere is seen."""
    (tmp_path / "home").mkdir()
    (tmp_path / "work").mkdir()
    (tmp_path / "config.yaml").write_text(CONFIG)
    return tmp_path


def tp_curate(place: Path, *arguments: object) -> tuple[int, str, str]:
    environment = {**os.environ, "HOME": str(place / "home"), "XDG_CACHE_HOME": str(place / "home" / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", "from curation.cli.app import main; main()", *map(str, arguments)],
        cwd=place / "work",
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


def outside(place: Path) -> list[str]:
    """Whatever lies in the working folder or the home, but for the list of fonts that matplotlib makes."""
    found = [path.relative_to(place) for name in ("home", "work") for path in (place / name).rglob("*")]
    fonts = ("home/cache", "home/.config", "home/.cache")
    return [str(one) for one in found if "matplotlib" not in one.parts and str(one) not in fonts]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_network_down_from_the_first_request(place):
    listed = place / "list.txt"
    listed.write_text("".join(f"http://127.0.0.1:{free_port()}/{i}.mp4\n" for i in range(8)))
    out = place / "out"
    code, _, error = tp_curate(place, "run", listed, "--out", out, "--config", place / "config.yaml")
    assert code == 2
    *others, last = error.strip().splitlines()
    assert last.startswith("tp-curate: error: network: no host could be reached") and "--proxy" in last
    assert not others
    assert not outside(place)


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "No such file"), ("not cookies\n", "Netscape"), ("# Netscape HTTP Cookie File\n", "no cookie")],
)
def test_wrong_cookies(place, content, message):
    cookies = place / "cookies.txt"
    if content is not None:
        cookies.write_text(content)
    out = place / "out"
    code, _, error = tp_curate(place, "run", "http://127.0.0.1:9/a.mp4", "--out", out, "--cookies", cookies)
    assert code == 2 and message in error and len(error.strip().splitlines()) == 1
    assert not out.exists() and not outside(place)
    if content is not None:
        assert cookies.read_text() == content


def test_a_proxy_that_is_none(place):
    code, _, error = tp_curate(
        place, "run", "http://127.0.0.1:9/a.mp4", "--out", place / "out", "--proxy", "nothing"
    )
    assert code == 2 and "proxy: no address of one" in error and not (place / "out").exists()


def test_an_unreadable_list(place):
    listed = place / "list.csv"
    listed.write_bytes(b"\xff\xfe\x00rubbish")
    code, _, error = tp_curate(place, "run", listed, "--out", place / "out")
    assert code == 2 and "no UTF-8 text" in error and len(error.strip().splitlines()) == 1
    assert not (place / "out").exists() and not outside(place)


@pytest.mark.parametrize("name", ["../../x", "abc;touch owned", "$(touch owned)", "http://a b/c"])
def test_hostile_names_are_one_line(place, name):
    code, _, error = tp_curate(place, "run", "--out", place / "out", "--", name)
    assert code == 2 and len(error.strip().splitlines()) == 1
    assert not (place / "out").exists() and not outside(place)


def test_a_list_with_hostile_entries_does_the_rest(place, footage_bytes):
    listed = place / "list.txt"
    with Loopback({"a.mp4": footage_bytes[0]}) as site:
        listed.write_text(f"../../etc/passwd\nx;touch owned\n$(touch owned)\n{site.url('ok/a.mp4')}\n")
        out = place / "out"
        arguments = ("run", listed, "--out", out, "--config", place / "config.yaml")
        code, text, error = tp_curate(place, *arguments, "--json")
        assert code == 3
        assert error.count("refused: list.txt: line") == 3
        document = json.loads(text)
        assert document["acquisition"]["done"] == 1 and document["sources"]["in_dataset"] == 1
        assert not outside(place)
        code, text, _ = tp_curate(place, "status", out)
        assert code == 0 and "1 sources: 1 done, 0 waiting" in text
        code, text, _ = tp_curate(place, *arguments, "--dry-run")
        assert code == 0 and "1 videos to be fetched, 0 of them left" in text
        code, text, _ = tp_curate(place, "forget", site.url("ok/a.mp4"), "--out", out)
        assert code == 0 and "sources" in text and site.url("ok/a.mp4").encode() not in everything(out)


def test_audit_and_release_from_the_command_line(place, footage_bytes):
    with Loopback({"a.mp4": footage_bytes[0]}) as site:
        addresses = [site.url("ok/a.mp4"), site.url("status/404/b")]
        out = place / "out"
        code, text, error = tp_curate(
            place, "audit", *addresses, "--out", out, "--config", place / "config.yaml"
        )
        assert code == 0 and "1 available, 1 gone" in text and "attrition 50.0 %" in text
        assert f"tp-curate: {addresses[1]}: dead: deleted: " in error and "caused by" not in error
        code, text, _ = tp_curate(
            place, "fetch", addresses[0], "--out", out, "--require-license", "creativecommons", "--json"
        )
        assert code == 0 and json.loads(text)["acquisition"]["rejected"] == 1
    code, _, error = tp_curate(place, "release", out, "--to", place / "r", "--ids-only")
    assert code == 2 and "holds no manifest" in error and not (place / "r").exists()
    code, _, error = tp_curate(place, "rebuild", place / "nothing", "--out", place / "b")
    assert code == 2 and "no Parquet" in error and not (place / "b").exists()
    assert not outside(place)


def test_settings_in_the_yaml_are_those_in_the_code():
    from curation.config import load_config
    from curation.download.settings import DownloadSettings

    assert load_config().download == DownloadSettings()
