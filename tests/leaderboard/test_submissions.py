"""Archives of runs: written, verified, taken in by the board; hostile archives are refused in one line."""

from __future__ import annotations

import hashlib
import io
import json
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark.results import ResultError, read_case, read_run
from benchmark.submission import MANIFEST, SubmissionError, extract_submission, write_submission
from leaderboard.cli import app
from leaderboard.entries.submissions import opened_submissions
from tests.leaderboard.run_documents import checked, make_run, trusted, write_run

Members = dict[str, bytes]


def _trusted(folder: Path):
    return checked(
        read_run(folder), [read_case(p) for p in sorted((folder / "cases").glob("*.json"))], folder
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("submit") / "mine"
    write_run(folder, make_run("talkingpose", n_cases=2), video=True, seconds=0.2, size=64)
    (folder / "frames").mkdir()
    for name in ("clip00", "clip01"):
        (folder / f"frames/{name}.parquet").write_bytes(b"scores of " + name.encode())
    (folder / "notes.txt").write_text("not part of the run")
    return folder


@pytest.fixture(scope="module")
def archive(run: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("benchmark.submission.check_run", _trusted)
        write_submission(run, run.parent / "mine.zip")
    return run.parent / "mine.zip"


@pytest.fixture(scope="module")
def members(archive: Path) -> Members:
    with zipfile.ZipFile(archive) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def test_archive_gives_back_the_files_of_the_run(run: Path, archive: Path, tmp_path: Path):
    manifest = extract_submission(archive, tmp_path / "out")
    found = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*")}
    assert found == set(manifest.files) and "notes.txt" not in found and len(found) == 7
    assert all((tmp_path / "out" / name).read_bytes() == (run / name).read_bytes() for name in found)


def test_same_run_gives_the_same_archive(run: Path, archive: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("benchmark.submission.check_run", _trusted)
    write_submission(run, run.parent / "again.zip")
    assert (run.parent / "again.zip").read_bytes() == archive.read_bytes()


@pytest.mark.parametrize("change", [{"status": "partial"}, {"comparable": False, "limit": 1}])
def test_run_that_no_board_ranks_is_not_packed(tmp_path: Path, change: dict, monkeypatch: pytest.MonkeyPatch):
    folder = write_run(tmp_path / "r", make_run("talkingpose", n_cases=1, **change))
    monkeypatch.setattr("benchmark.submission.check_run", _trusted)
    with pytest.raises(SubmissionError):
        write_submission(folder, tmp_path / "r.zip")
    assert not (tmp_path / "r.zip").exists()


def pack(path: Path, members: Members, *, listed: Members | None = None, **options: int) -> Path:
    """Write an archive; `listed` are the files in its list, by default those in it."""
    manifest = json.loads(members[MANIFEST])
    files = {name: data for name, data in (listed or members).items() if name != MANIFEST}
    manifest["files"] = {
        name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()
    }
    with zipfile.ZipFile(path, "w", **options) as to:
        to.writestr(MANIFEST, json.dumps(manifest))
        for name, data in members.items():
            if name != MANIFEST:
                to.writestr(name, data)
    return path


def _added(name: str) -> Callable[[Path, Members], Path]:
    return lambda path, members: pack(path, {**members, name: b"x"})


def _compressed(path: Path, members: Members) -> Path:
    return pack(path, {**members, "videos/bomb.mp4": bytes(1 << 20)}, compression=zipfile.ZIP_DEFLATED)


def _forged_hash(path: Path, members: Members) -> Path:
    video = next(name for name in members if name.endswith(".mp4"))
    return pack(path, {**members, video: members[video][::-1]}, listed=members)


def _oversize(path: Path, members: Members) -> Path:
    return pack(path, {**members, "run.json": members["run.json"] + b" " * 99}, listed=members)


def _unlisted(path: Path, members: Members) -> Path:
    return pack(path, {**members, "videos/more.mp4": b"x"}, listed=members)


def _missing(path: Path, members: Members) -> Path:
    return pack(path, {k: v for k, v in members.items() if k != "cases/clip00.json"}, listed=members)


def _link(path: Path, members: Members) -> Path:
    pack(path, members)
    with zipfile.ZipFile(path, "a") as to:
        info = zipfile.ZipInfo("videos/link.mp4")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        to.writestr(info, "/etc/passwd")
    return path


def _duplicate(path: Path, members: Members) -> Path:
    pack(path, members)
    with zipfile.ZipFile(path, "a") as to, pytest.warns(UserWarning):
        to.writestr("run.json", b"{}")
    return path


def _overlap(path: Path, members: Members) -> Path:
    """Claim a larger member: it would reach into the ones behind it."""
    pack(path, {**members, "videos/z.mp4": bytes(100)})
    data = bytearray(path.read_bytes())
    at = data.rfind(b"PK\x01\x02")
    data[at + 20 : at + 28] = (len(data) * 3).to_bytes(4, "little") * 2
    path.write_bytes(data)
    return path


def _no_manifest(path: Path, members: Members) -> Path:
    with zipfile.ZipFile(path, "w") as to:
        to.writestr("run.json", members["run.json"])
    return path


def _deep_manifest(path: Path, members: Members) -> Path:
    with zipfile.ZipFile(path, "w") as to:
        to.writestr(MANIFEST, "[" * 100_000)
    return path


def _truncated(path: Path, members: Members) -> Path:
    path.write_bytes(pack(path, members).read_bytes()[:-30])
    return path


def _cut_inside(path: Path, members: Members) -> Path:
    data = pack(path, members).read_bytes()
    path.write_bytes(data[:400] + data[900:])
    return path


def _no_zip(path: Path, members: Members) -> Path:
    path.write_bytes(b"PK\x03\x04 not an archive")
    return path


def _symbolic_archive(path: Path, members: Members) -> Path:
    path.symlink_to(pack(path.with_name("real.bin"), members))
    return path


HOSTILE = {
    "parent": _added("../evil.json"),
    "inner parent": _added("videos/../../evil.mp4"),
    "absolute": _added("/tmp/evil.mp4"),
    "backslash": _added("videos\\..\\evil.mp4"),
    "hidden": _added("videos/.htaccess"),
    "other folder": _added("bin/tool"),
    "folder": _added("videos/"),
    "case": _added("RUN.json"),
    "new line": _added("videos/a\nb.mp4"),
    "compressed": _compressed,
    "forged hash": _forged_hash,
    "oversize": _oversize,
    "unlisted": _unlisted,
    "missing": _missing,
    "link": _link,
    "duplicate": _duplicate,
    "overlap": _overlap,
    "no manifest": _no_manifest,
    "deep manifest": _deep_manifest,
    "truncated": _truncated,
    "cut inside": _cut_inside,
    "no zip": _no_zip,
    "symbolic archive": _symbolic_archive,
}


@pytest.mark.parametrize("attack", HOSTILE)
def test_hostile_archive_is_refused_in_one_line(attack: str, members: Members, tmp_path: Path):
    inbox = tmp_path / "in"
    inbox.mkdir()
    path = HOSTILE[attack](inbox / "a.zip", members)
    with pytest.raises(SubmissionError) as caught:
        extract_submission(path, tmp_path / "deep/er/out")
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)
    allowed = {tmp_path / name for name in ("in", "deep")}
    assert set(tmp_path.iterdir()) <= allowed, "nothing is written outside the folder"
    assert {p.name for p in (tmp_path / "deep").rglob("*")} <= {"er", "out", *_plain(members)}


def _plain(members: Members) -> set[str]:
    return {part for name in members for part in name.split("/")} | {"more.mp4", "bomb.mp4", "z.mp4"}


def test_two_members_at_one_place_cannot_hide_in_a_large_list(tmp_path: Path):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as to:
        to.writestr(MANIFEST, "{}")
    text = bytearray(data.getvalue())
    at = text.rfind(b"PK\x05\x06")
    text[at + 12 : at + 16] = (1 << 31).to_bytes(4, "little")
    (tmp_path / "a.zip").write_bytes(text)
    with pytest.raises(SubmissionError, match="directory"):
        extract_submission(tmp_path / "a.zip", tmp_path / "out")


def test_board_takes_in_archives_and_lists_refused_ones(
    archive: Path,
    members: Members,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.setattr("leaderboard.site.check_runs", trusted)
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "good.zip").write_bytes(archive.read_bytes())
    _forged_hash(inbox / "bad.zip", members)
    args = ["--submissions", str(inbox), "--out", str(tmp_path / "site"), "--json"]
    assert app(args=args, standalone_mode=False) == 3
    shown = capsys.readouterr()
    assert json.loads(shown.out)["runs"] == 1
    assert "bad.zip" in shown.err and "good.zip" not in shown.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["inbox", "site"]
    (inbox / "good.zip").unlink()
    with pytest.raises(ResultError, match="no run"):
        app(args=args, standalone_mode=False)
    with pytest.raises(ValueError, match="no archive"), opened_submissions(tmp_path / "site", tmp_path / "x"):
        pass
