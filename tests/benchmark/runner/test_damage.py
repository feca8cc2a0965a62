"""Damaged predictions, runs and datasets: one line says what is wrong, or the number is right.

A hundred of them, drawn by hypothesis; clips and protocol are as small as they can be.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import struct
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmark.analysis.compare import compare
from benchmark.rescore.rescore import rescore
from benchmark.results import Run, read_case
from benchmark.validation import validate
from talkingpose.io.errors import UserError
from tests.benchmark.drawn_clips import Drawn, row, video_bytes, write_dataset
from tests.benchmark.tiny_runs import (
    frames,
    protocol_everywhere,
    run,
    score,
    tiny_protocol,
    write_pngs,
    write_video,
)

CLIPS = (Drawn("one", "anna", Fraction(25), 9, (32, 32)), Drawn("two", "bela", Fraction(25), 8, (32, 32)))
ONE = CLIPS[0]
DRAWN = settings(
    deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _smallest_rules() -> Iterator[None]:
    with protocol_everywhere(tiny_protocol().model_copy(update={"metrics": {"psnr": 1}})):
        yield


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of two clips."""
    folder = tmp_path_factory.mktemp("clips")
    rows = [row(clip, video_bytes(clip, folder)) for clip in CLIPS]
    return write_dataset(folder / "set", {"test": rows})


@pytest.fixture(scope="module")
def sound(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run over them."""
    out = tmp_path_factory.mktemp("runs") / "sound"
    run("frozen", clips, out)
    return out


class Workplace:
    """A new folder for each draw."""

    def __init__(self, root: Path) -> None:
        self._root, self._count = root, 0

    def __call__(self) -> Path:
        shutil.rmtree(self._root / str(self._count), ignore_errors=True)
        self._count += 1
        folder = self._root / str(self._count)
        folder.mkdir(parents=True)
        return folder


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    return Workplace(tmp_path_factory.mktemp("fresh"))


def outcome(work: Callable[[], Any]) -> Any:
    """Result of a call; None if it ended with one line for the user. Any other exception fails the test."""
    try:
        return work()
    except UserError as error:
        assert str(error).strip() and len(str(error)) < 2000
        return None


def failed(found: Run) -> dict[str | None, str]:
    messages = {entry.clip_id: entry.message for entry in found.audit if entry.kind == "failed"}
    assert all(message.strip() and "\n" not in message for message in messages.values())
    return messages


# Predictions


@cache
def a_video(num_frames: int, width: int, height: int, fps: Fraction) -> bytes:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        image = np.full((height, width, 3), 90, np.uint8)
        return write_video(Path(folder) / "v.mp4", [image] * num_frames, fps=fps).read_bytes()


sizes = st.sampled_from([(32, 32), (32, 32), (32, 32), (30, 32), (64, 64), (32, 16)])
rates = st.sampled_from(
    [Fraction(25), Fraction(25), Fraction(25), Fraction(30), Fraction(1), Fraction(24999, 1000)]
)
names = st.sampled_from(
    ["one.mp4"] * 3
    + ["one.mkv", "one.MOV", "one.npy", "one.txt", "One.mp4", "one", "one .mp4", "one.mp4.part", "../one.mp4"]
)
foreign = st.text(st.characters(blacklist_characters="/\0", codec="utf-8"), min_size=1, max_size=40)


@st.composite
def damaged_files(draw: st.DrawFn) -> dict[str, bytes]:
    """Files for clip `one`, and foreign ones; by name."""
    length = draw(st.sampled_from([9, 9, 9, 8, 10, 1]))
    data = a_video(length, *draw(sizes), draw(rates))
    cut = draw(st.sampled_from([1.0, 1.0, 1.0, 0.9, 0.5, 0.02, 0.0]))
    files = {draw(names): data[: int(len(data) * cut)]}
    for name in draw(st.lists(foreign, max_size=2)):
        files[name] = draw(st.binary(max_size=40))
    if draw(st.integers(0, 9)) == 0:
        files["one.avi"] = data
    return files


@given(files=damaged_files())
@settings(DRAWN, max_examples=25)
def test_videos(clips: Path, fresh: Workplace, files: dict[str, bytes]) -> None:
    folder = fresh()
    (folder / "made").mkdir()
    for name, data in files.items():
        try:
            (folder / "made" / name).write_bytes(data)
        except OSError:  # no name that this file system can hold
            continue
    (folder / "made/two.mp4").write_bytes(a_video(8, 32, 32, Fraction(25)))
    found = outcome(lambda: score(folder / "made", clips, folder / "run"))
    if found is None:
        return
    whole = (a_video(9, 32, 32, Fraction(25)), a_video(9, 32, 32, Fraction(24999, 1000)))
    good = any(name in ("one.mp4", "one.mkv", "one.MOV") and data in whole for name, data in files.items())
    assert ("one" in failed(found)) == (not good), failed(found)
    assert found.status == ("complete" if good else "partial")
    for summary in found.metrics.values():
        assert summary.n_cases == 1 + good and summary.state == ("ok" if good else "partial")
    json.dumps(found.model_dump(mode="json"), allow_nan=False).encode()


@st.composite
def frame_damage(draw: st.DrawFn) -> Callable[[Path], object]:
    number = draw(st.integers(0, 8))
    path = f"{number:04}.png"
    return draw(
        st.sampled_from(
            [
                lambda f: (f / path).unlink(),
                lambda f: (f / path).rename(f / "frame.png"),
                lambda f: (f / path).rename(f / "0042.png"),
                lambda f: (f / path).rename(f / f"{number}.jpg"),
                lambda f: shutil.copy(f / path, f / f"{number}.png"),
                lambda f: (f / path).write_bytes((f / path).read_bytes()[:60]),
                lambda f: (f / path).write_bytes(b""),
                lambda f: deepen(f / path),
                lambda f: (f / "notes.txt").write_text("x"),
                lambda f: (f / "0009.png").mkdir(),
                lambda f: write_pngs(f, [np.zeros((16, 16, 3), np.uint8)]),
                lambda f: (f / path).unlink() or (f / path).symlink_to("nowhere"),
                lambda f: (f / path).unlink() or os.mkfifo(f / path),
            ]
        )
    )


def deepen(path: Path) -> None:
    """The header says 16 bits."""
    data = path.read_bytes()
    path.write_bytes(data[:24] + struct.pack(">B", 16) + data[25:])


@given(change=frame_damage())
@settings(DRAWN, max_examples=12)
def test_frames(clips: Path, fresh: Workplace, change: Callable[[Path], object]) -> None:
    folder = fresh()
    write_pngs(folder / "made/one", frames(ONE))
    write_pngs(folder / "made/two", frames(CLIPS[1]))
    change(folder / "made/one")
    found = outcome(lambda: score(folder / "made", clips, folder / "run"))
    assert found is not None and list(failed(found)) == ["one"] and found.status == "partial"


# Runs

HOSTILE = [
    *("NaN", "Infinity", "-1e999", "1e999", "1e308", str(10**400), "-1", "0", "0.5", "99.5", "null", "true"),
    *('""', '"x"', '"../../etc/passwd"', '"/etc/passwd"', '"a\\u0000b"', '"\\ud800"', '"clip"'),
    *("[]", "{}", "[1, 2]", '{"value": 1}', "[" * 3000 + "]" * 3000),
]
# What may be changed without moving a number: wall-clock facts, texts for people.
SILENT = {
    *("env", "command", "finished_at", "cost", "audit", "generation_s", "scoring_s", "seed", "key", "split"),
    *("location", "revision", "contestant", "weights", "comparable", "limit", "max_frames", "reason", "id"),
    *("width", "height", "frames_sha256", "long_form", "cases_sha256", "schema", "cluster"),
}


def places(document: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every key and index of a document."""
    children = document.items() if isinstance(document, dict) else enumerate(document)
    found = []
    for key, value in children:
        found.append((*here, key))
        if isinstance(value, dict | list):
            found += places(value, (*here, key))
    return found


@given(
    file=st.sampled_from(["run.json", "cases/one.json", "cases/two.json"]),
    where=st.integers(0, 10**6),
    value=st.sampled_from([*HOSTILE, None]),
)
@settings(DRAWN, max_examples=45)
def test_runs(sound: Path, fresh: Workplace, file: str, where: int, value: str | None) -> None:
    folder = fresh() / "run"
    shutil.copytree(sound, folder)
    document = json.loads((folder / file).read_text())
    known = places(document)
    place = known[where % len(known)]
    parent = document
    for key in place[:-1]:
        parent = parent[key]
    before = parent[place[-1]]
    if value is None:
        del parent[place[-1]]
    else:
        parent[place[-1]] = "@here@"
    (folder / file).write_text(json.dumps(document).replace('"@here@"', value or ""))
    # What is left out or null has a default; a video that the case does not name is not looked at.
    unchanged = value == json.dumps(before) or (value is None and before in (None, 0, [], {}))
    unchanged |= place == ("video",) and value in (None, "null")
    unchanged |= value == "true" and before == 1

    checked = outcome(lambda: validate(str(folder)))
    if not unchanged and not SILENT & {str(part) for part in place}:
        assert checked is None or not checked.sound, (place, value)
    renewed = outcome(lambda: rescore(folder, dataset=None, metrics=None, statistics=True))
    for found in (outcome(lambda: compare(folder, sound)), outcome(lambda: compare(sound, folder))):
        for line in found.metrics if found is not None else ():
            assert line.difference is None or math.isfinite(line.difference)
    if renewed is not None:
        json.dumps(renewed.model_dump(mode="json"), allow_nan=False)


@pytest.mark.parametrize(
    "text", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"NaN", b'{"schema": 1}', b"null", b"0" * 99]
)
@pytest.mark.parametrize("file", ["run.json", "cases/one.json", "frames/one.parquet", "videos/one.mp4"])
def test_files_of_a_run(sound: Path, fresh: Workplace, file: str, text: bytes) -> None:
    folder = fresh() / "run"
    shutil.copytree(sound, folder)
    (folder / file).write_bytes(text)
    checked = outcome(lambda: validate(str(folder)))
    assert checked is None or not checked.sound
    outcome(lambda: compare(folder, sound))
    outcome(lambda: rescore(folder, dataset=None, metrics=None, statistics=True))


# Datasets

CELLS: dict[str, list[Any]] = {
    "clip_id": ["two", "", "../one", "a/b", ".hidden", "o\nne", None, 7, "x" * 300, "ö", "CON"],
    "fps": [0.0, -25.0, math.nan, math.inf, 1e-9, 1e9, None, "25", 24.0, 50.0],
    "width": [0, -32, 2**31 - 1, None, "32", 64, 32.5],
    "height": [0, 31, None, 10**12],
    "num_frames": [0, -1, 8, 10, 2**31 - 1, None, "9", 9.5],
    "video": [None, {"bytes": None, "path": "/etc/passwd"}, {"bytes": b"", "path": None},
              {"bytes": b"no video", "path": "x.mp4"}, "path.mp4", b"bytes"],
    "keypoints": [
        None, [], "none", [1.0, 2.0], [[[0.5, 0.5, 1.0]] * 133] * 8, [[[0.5, 0.5]] * 133] * 9,
        [[[math.nan] * 3] * 133] * 9, [[[None] * 3] * 133] * 9,
    ],
    "sha256": ["0" * 64, "", 5, "../x"],
}  # fmt: skip


@given(data=st.data())
@settings(DRAWN, max_examples=25)
def test_datasets(clips: Path, fresh: Workplace, data: st.DataObject) -> None:
    column = data.draw(st.sampled_from(sorted(CELLS)))
    value = data.draw(st.sampled_from(CELLS[column]))
    folder = fresh() / "set"
    shutil.copytree(clips, folder)
    path = next((folder / "clips").iterdir())
    rows = pyarrow.parquet.read_table(path).to_pylist()
    rows[0][column] = value
    try:
        table = pyarrow.Table.from_pylist(rows)
    except pyarrow.ArrowException:  # Parquet has one type for a column: of the other row's value, too
        rows[1][column] = value
        table = pyarrow.Table.from_pylist(rows)
    pyarrow.parquet.write_table(table, path)
    found = outcome(lambda: run("frozen", folder, folder.parent / "run"))
    checked = outcome(lambda: validate(str(folder)))
    if column == "clip_id" and value in ("ö", "CON"):
        return
    assert checked is None or not checked.sound, (column, value)
    if found is not None and "fps" not in column:
        assert found.status != "complete" and "one" in failed(found), (column, value)


def test_the_cases_of_a_sound_run_are_those_of_its_clips(sound: Path) -> None:
    assert validate(str(sound)).sound
    assert {read_case(path).clip_id for path in (sound / "cases").iterdir()} == {"one", "two"}
