"""Local files are identified by the workers that process them."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import pytest
from fake_detectors import FAKE, NOBODY
from in_process import IN_PROCESS
from shot_videos import write_shots

from curation import curate, sources
from curation.config import load_config
from curation.download.ledger import BarredContents, _digest
from curation.run import Curator, RunOptions
from curation.sources import LocalSource, UnreadFile, find_sources
from curation.store import Store
from talkingpose.io.progress import Progress


def run(folder: Path, out: Path):
    return curate(folder, out, workers=1, options=RunOptions(detectors=FAKE, executor=IN_PROCESS))


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A video without a face, which is judged at once."""
    return write_shots(tmp_path_factory.mktemp("video") / "a.mp4", [(NOBODY, 60)]).read_bytes()


def test_no_file_is_read_before_the_work_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in (("a", "12"), ("b", "34"), ("c", "567")):
        (tmp_path / f"{name}.mp4").write_text(text)
    opened = []
    plain = Path.open
    monkeypatch.setattr(
        Path, "open", lambda path, *a, **k: opened.append(path.suffix) or plain(path, *a, **k)
    )
    found = Store(tmp_path / "out").recognise(find_sources([tmp_path]))
    monkeypatch.undo()
    assert ".mp4" not in opened
    assert [(one.name.rpartition("/")[2], [path.name for path in one.alike]) for one in found] == [
        ("a.mp4", []),
        ("b.mp4", ["a.mp4"]),
        ("c.mp4", []),
    ]
    assert all(one.copied() is None for one in found)


def test_equal_files_end_as_one_whichever_is_known(tmp_path: Path, video: bytes) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    (folder / "b.mp4").write_bytes(video)
    (folder / "c.mp4").write_bytes(video[:-1] + b"x")  # equal size, other content
    first = run(folder, out)
    assert (first.worked_on, first.done_before, len(first.records)) == (2, 0, 2)
    # A copy before the known file, and the known file under another name.
    (folder / "a.mp4").write_bytes(video)
    (folder / "c.mp4").rename(folder / "z.mp4")
    (folder / "d.mp4").write_bytes(video)
    second = run(folder, out)
    assert (second.worked_on, len(second.records)) == (0, 2)
    assert {record.name for record in second.records} == {record.name for record in first.records}
    third = run(folder, out)
    assert (third.worked_on, third.done_before) == (0, 2)
    assert not any(isinstance(one, UnreadFile) for one in Store(out).recognise(find_sources([folder])))


def test_a_file_that_changes_during_the_run_is_read_again(tmp_path: Path, video: bytes) -> None:
    file = tmp_path / "talk.mp4"
    file.write_bytes(video)

    class Overwriting(Progress):
        def advance(self, amount: int = 1, **_: object) -> None:
            file.write_bytes(video + b"new content")

    store = Store(tmp_path / "out")
    options = RunOptions(detectors=FAKE, executor=IN_PROCESS, workers=1)
    with store.locked():
        curator = Curator(store, load_config(), options)
        curator._progress = Overwriting()
        curator.work([LocalSource(file, "talk.mp4")])
    (again,) = store.recognise([LocalSource(file, "talk.mp4")])
    assert isinstance(again, UnreadFile)


def test_forgotten_content_is_not_processed_under_a_new_name(tmp_path: Path, video: bytes) -> None:
    file = tmp_path / "again.mp4"
    file.write_bytes(video)
    sha256 = hashlib.sha256(video).hexdigest()
    barred = pickle.loads(
        pickle.dumps(BarredContents("salt", frozenset({_digest("salt", f"sha256:{sha256}")})))
    )
    assert barred(sha256) and not barred("0" * 64) and not barred(None)
    store = Store(tmp_path / "out")
    options = RunOptions(detectors=FAKE, executor=IN_PROCESS, workers=1)
    with store.locked():
        curator = Curator(store, load_config(), options, is_forgotten=barred)
        assert curator.work([LocalSource(file, "again.mp4")]) == set()
        summary = curator.finish()
    assert (summary.worked_on, summary.records) == (0, [])


def test_a_file_that_cannot_be_read_is_an_error_of_that_file(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "gone.mp4").symlink_to(tmp_path / "nowhere.mp4")
    summary = run(tmp_path / "in", tmp_path / "out")
    assert [name for name, _ in summary.errors] == ["in/gone.mp4"] and "No such file" in summary.errors[0][1]
    assert sources.identify(find_sources([tmp_path / "in"])[0]).problem is not None
