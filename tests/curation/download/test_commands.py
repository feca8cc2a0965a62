"""`tp-curate` with remote sources: one line per error, nothing written outside the output folder."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from commands import tp_curate
from fake_detectors import SPEAKER
from loopback import Loopback
from scenario import own
from shot_videos import write_shots
from test_dataset_life import everything

pytestmark = pytest.mark.usefixtures("in_this_process", "fake_models")

CONFIG = """
download:
  politeness: {requests_per_minute: 6000, burst: 10, pause_s: 0}
  prefilter: {min_duration_s: null}
  disk: {min_free_gb: 0}
  wait_scale: 0.00001
  timeout_s: 2.0
"""


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A working folder with a home of its own, which show everything that is written elsewhere."""
    (tmp_path / "home").mkdir()
    (tmp_path / "work").mkdir()
    (tmp_path / "config.yaml").write_text(CONFIG)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home" / "cache"))
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def outside(place: Path) -> list[str]:
    """Return what was written in the working folder or the home, except the font cache of matplotlib."""
    found = [path.relative_to(place) for name in ("home", "work") for path in (place / name).rglob("*")]
    fonts = ("home/cache", "home/.config", "home/.cache")
    return [str(one) for one in found if "matplotlib" not in one.parts and str(one) not in fonts]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_network_that_is_down_is_one_line(place):
    listed = place / "list.txt"
    listed.write_text("".join(f"http://127.0.0.1:{free_port()}/{i}.mp4\n" for i in range(8)))
    out = place / "out"
    code, _, error = tp_curate("run", listed, "--out", out, "--config", place / "config.yaml")
    assert code == 2
    *others, last = error.strip().splitlines()
    assert last.startswith("tp-curate: error: network: no host could be reached") and "--proxy" in last
    assert not others
    assert not outside(place)


def test_local_files_are_curated_although_the_network_is_down(place):
    """Local files are kept, the missing sources are listed, and the folder accepts local files afterwards."""
    write_shots(place / "in" / "talk.mp4", [(SPEAKER, 80)])
    address = f"http://127.0.0.1:{free_port()}/a.mp4"
    out = place / "out"
    arguments = ("--out", out, "--config", place / "config.yaml", "--workers", 1)
    code, text, error = tp_curate("run", place / "in", address, *arguments, "--json")
    assert code == 3 and "no host could be reached" in error
    document = json.loads(text)
    assert document["clips"]["kept"] == 1 and document["sources"]["worked_on"] == 1
    assert [one["source"] for one in document["download"]["missing"]] == [address]
    assert "no host could be reached" in document["download"]["network_error"]
    assert len(list(out.glob("clips/*.parquet"))) == 1
    code, text, _ = tp_curate("run", place / "in", address, *arguments)
    assert code == 3 and f"not downloaded: {address}" in text and "1 clips" in text
    write_shots(place / "in" / "more.mp4", [(SPEAKER, 85)], seed=7)
    code, text, error = tp_curate("run", place / "in", *arguments, "--json")
    assert code == 0 and json.loads(text)["sources"]["in_dataset"] == 2 and "network" not in error
    assert "download" not in json.loads(text)


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "No such file"), ("not cookies\n", "Netscape"), ("# Netscape HTTP Cookie File\n", "no cookie")],
)
def test_invalid_cookies(place, content, message):
    cookies = place / "cookies.txt"
    if content is not None:
        cookies.write_text(content)
    out = place / "out"
    code, _, error = tp_curate("run", "http://127.0.0.1:9/a.mp4", "--out", out, "--cookies", cookies)
    assert code == 2 and message in error and len(error.strip().splitlines()) == 1
    assert not out.exists() and not outside(place)
    if content is not None:
        assert cookies.read_text() == content


def test_an_invalid_proxy(place):
    code, _, error = tp_curate(
        "run", "http://127.0.0.1:9/a.mp4", "--out", place / "out", "--proxy", "nothing"
    )
    assert code == 2 and "invalid proxy URL" in error and not (place / "out").exists()


def test_an_unreadable_list(place):
    listed = place / "list.csv"
    listed.write_bytes(b"\xff\xfe\x00rubbish")
    code, _, error = tp_curate("run", listed, "--out", place / "out")
    assert code == 2 and "not UTF-8 text" in error and len(error.strip().splitlines()) == 1
    assert not (place / "out").exists() and not outside(place)


@pytest.mark.parametrize("name", ["../../x", "abc;touch owned", "$(touch owned)", "http://a b/c"])
def test_hostile_names_are_one_line(place, name):
    code, _, error = tp_curate("run", "--out", place / "out", "--", name)
    assert code == 2 and len(error.strip().splitlines()) == 1
    assert not (place / "out").exists() and not outside(place)


def test_the_valid_entries_of_a_hostile_list_are_processed(place, footage_bytes):
    listed = place / "list.txt"
    with Loopback({"a.mp4": footage_bytes[0]}) as site:
        listed.write_text(f"../../etc/passwd\nx;touch owned\n$(touch owned)\n{site.url('ok/a.mp4')}\n")
        out = place / "out"
        arguments = ("run", listed, "--out", out, "--config", place / "config.yaml")
        code, text, error = tp_curate(*arguments, "--json")
        assert code == 3
        assert error.count("refused: list.txt: line") == 3
        document = json.loads(text)
        assert document["download"]["done"] == 1 and document["sources"]["in_dataset"] == 1
        assert not outside(place)
        code, text, _ = tp_curate("status", out)
        assert code == 0 and "1 remote sources: 1 done, 0 waiting" in text
        code, text, _ = tp_curate(*arguments, "--dry-run")
        assert code == 0 and "1 remote sources, 0 to download" in text
        code, text, _ = tp_curate("forget", site.url("ok/a.mp4"), "--out", out)
        assert code == 0 and "sources" in text and site.url("ok/a.mp4").encode() not in everything(out)


def test_audit_and_release_from_the_command_line(place, footage_bytes):
    with Loopback({"a.mp4": footage_bytes[0]}) as site:
        addresses = [site.url("ok/a.mp4"), site.url("status/404/b")]
        out = place / "out"
        code, text, error = tp_curate("audit", *addresses, "--out", out, "--config", place / "config.yaml")
        assert code == 0 and "1 available, 1 gone" in text and "attrition 50.0 %" in text
        assert f"tp-curate: {addresses[1]}: dead: deleted: " in error and "caused by" not in error
        code, text, _ = tp_curate(
            "fetch", addresses[0], "--out", out, "--require-license", "creativecommons", "--json"
        )
        assert code == 0 and json.loads(text)["download"]["rejected"] == 1
    code, _, error = tp_curate("release", out, "--to", place / "r", "--ids-only")
    assert code == 2 and "no manifest" in error and not (place / "r").exists()
    code, _, error = tp_curate("rebuild", place / "nothing", "--out", place / "b")
    assert code == 2 and "no Parquet" in error and not (place / "b").exists()
    assert not outside(place)


def test_shards_of_one_folder_download_and_curate_disjoint_parts(place, footage_bytes):
    names = [f"{number}.mp4" for number in range(6)]
    out = place / "out"
    with Loopback({name: own(footage_bytes[0], place) for place, name in enumerate(names)}) as site:
        listed = place / "list.txt"
        listed.write_text("".join(site.url(f"ok/{name}") + "\n" for name in names))
        common = (listed, "--out", out, "--config", place / "config.yaml")
        code, text, _ = tp_curate("fetch", *common, "--shard", "1/2", "--json")
        first = json.loads(text)["download"]["done"]
        assert code == 0 and 0 < first < 6
        code, text, error = tp_curate("run", *common, "--shard", "2/2", "--json")
        document = json.loads(text)
        assert code == 0 and document["sources"]["worked_on"] == 6 - first and "tp-curate export" in error
        code, text, _ = tp_curate("run", *common, "--json")
        assert code == 0 and json.loads(text)["sources"]["in_dataset"] == 6
        assert len(site.requests("ok/")) == 2 * 6  # each is looked up once and downloaded once


def test_defaults_of_the_yaml_and_the_code_are_equal():
    from curation.config import load_config
    from curation.download.settings import DownloadSettings

    assert load_config().download == DownloadSettings()
