"""Locks of an output folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from curation.dataset.webdataset import write_webdataset
from curation.release.release import release_ids
from curation.sources import LocalSource
from curation.store import Store, StoreError
from talkingpose.io.errors import UserError
from talkingpose.io.shard import Shard


def refused(store: Store, shard: Shard | None = None) -> bool:
    try:
        with Store(store.out).locked(shard):
            return False
    except StoreError as error:
        assert "another tp-curate" in str(error)
        return True


def test_shards_work_beside_one_another_but_not_beside_a_whole_run(tmp_path, monkeypatch):
    monkeypatch.setattr("curation.store._SHARD_START_S", 0.2)
    store = Store(tmp_path / "out")
    with store.locked(Shard(1, 2)):
        assert not refused(store, Shard(2, 2))
        assert refused(store, Shard(1, 2)) and refused(store) and refused(store, Shard(3, 3))
        with Store(store.out).locked(Shard(2, 2)):
            assert refused(store)
    with store.locked():
        assert refused(store, Shard(1, 2)) and refused(store)
    assert not refused(store)


def test_temporary_files_of_other_shards_are_kept(tmp_path):
    store = Store(tmp_path / "out")
    with store.locked(Shard(1, 2)):
        temporary = store.state / ".clip.1-ab.part.mp4"
        temporary.write_bytes(b"in progress")
        with Store(store.out).locked(Shard(2, 2)):
            assert temporary.exists()
    with store.locked():
        assert not temporary.exists()


def test_shards_share_the_known_files(tmp_path):
    files = [tmp_path / "a.mp4", tmp_path / "b.mp4"]
    for path in files:
        path.write_bytes(path.name.encode())
    one, two = Store(tmp_path / "out"), Store(tmp_path / "out")
    with one.locked(Shard(1, 2)), two.locked(Shard(2, 2)):
        first = one.identify([LocalSource(files[0], "a.mp4")])
        next(first)
        list(two.identify([LocalSource(files[1], "b.mp4")]))
        list(first)
    assert len(json.loads((tmp_path / "out" / ".curation" / "hashes.json").read_text())) == 2


@pytest.mark.parametrize("name", ["caf\udce9", "two\nlines", "x" * 300])
def test_unusable_names_are_refused_before_anything_is_written(tmp_path, name):
    with pytest.raises(StoreError), Store(tmp_path / "new" / name).locked():
        pass
    assert not (tmp_path / "new").exists()


def test_spaces_and_letters_of_all_scripts_are_accepted(tmp_path):
    with Store(tmp_path / "a\u3000b \u00e9\u4e2d").locked():
        pass


@pytest.mark.parametrize("name", ["caf\udce9", "line\nbreak", "n" * 300])
def test_names_of_released_folders_are_checked_first(tmp_path: Path, name: str) -> None:
    for write in (release_ids, write_webdataset):
        with pytest.raises(UserError, match=r"give another name|give a shorter name"):
            write(tmp_path / "out", tmp_path / "below" / name)
    assert not (tmp_path / "below").exists()


@pytest.mark.parametrize("name", ["../victim.txt", "/victim.txt", "clips/../../victim.txt"])
def test_a_forged_export_deletes_nothing_outside(tmp_path: Path, name: str) -> None:
    """`Store.wipe` removes files by the names in exported.json, which a stranger may have written."""
    victim = tmp_path / "victim.txt"
    victim.write_text("kept")
    store = Store(tmp_path / "out")
    (store.state / "sources").mkdir(parents=True)
    store.remember_export({"files": [str(victim) if name.startswith("/") else name]})
    assert store.exported() == {}
    store.wipe()
    assert victim.read_text() == "kept"


@pytest.mark.parametrize("content", ["[]", "3", '{"files": -1e308}', '{"settings": []}', "\x82", "{"])
def test_a_damaged_export_counts_as_none(tmp_path: Path, content: str) -> None:
    store = Store(tmp_path / "out")
    store.state.mkdir(parents=True)
    (store.state / "exported.json").write_bytes(content.encode("latin-1"))
    assert store.exported() == {}
