"""Search of local videos, and their identification by content."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from curation.sources import SourceError, find_sources, identify


def touch(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_folders_are_searched_in_order_and_named_files_are_taken(tmp_path):
    for name in ("b.mp4", "a/z.MKV", "a/c.mov", "notes.txt", ".hidden.mp4", ".cache/d.mp4"):
        touch(tmp_path / "footage" / name)
    named = touch(tmp_path / "raw.bin")
    found = find_sources([tmp_path / "footage", named, tmp_path / "footage" / "b.mp4"])
    assert [f.name for f in found] == ["footage/a/c.mov", "footage/a/z.MKV", "footage/b.mp4", "raw.bin"]


def test_odd_names(tmp_path):
    for name in ("with 'quotes' \"and\" spaces.mp4", "new\nline.mp4", "..mp4x.mp4", "bytes\udcff.mp4"):
        touch(tmp_path / name)
    names = [f.name for f in find_sources([tmp_path])]
    assert len(names) == 3  # one is hidden
    assert all(name.encode() for name in names)


def test_missing_files_and_empty_folders(tmp_path):
    with pytest.raises(SourceError, match="No such file"):
        find_sources([tmp_path / "missing"])
    touch(tmp_path / "folder" / "notes.txt")
    with pytest.raises(SourceError, match="no video in this folder"):
        find_sources([tmp_path / "folder"])


def test_the_id_is_the_hash_of_the_content(tmp_path):
    one, two = (
        identify(f)
        for f in find_sources([touch(tmp_path / "a.mp4", b"same"), touch(tmp_path / "b.mp4", b"same")])
    )
    assert one.source_id == two.source_id == hashlib.sha256(b"same").hexdigest()[:16]
    assert one.sha256 == hashlib.sha256(b"same").hexdigest()


def test_a_file_that_cannot_be_read_is_a_source_with_a_problem(tmp_path):
    link = tmp_path / "gone.mp4"
    link.symlink_to(tmp_path / "nowhere")
    touch(tmp_path / "a.mp4")
    (source,) = (identify(f) for f in find_sources([tmp_path]) if f.path.name == "gone.mp4")
    assert source.sha256 is None
    assert source.problem is not None and "gone.mp4" in source.problem
