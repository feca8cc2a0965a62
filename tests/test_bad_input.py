"""Hundreds of wrong command lines: one line and an exit code, never a traceback and never a hang."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import re
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import click
import pytest
import typer
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from talkingpose.io import console
from tests.benchmark.tiny_runs import protocol_everywhere, run, tiny, tiny_protocol, tiny_rows  # noqa: F401
from tests.hostile_files import NOISE, make_all
from tests.test_docs import APPS

LEGACY = Path(__file__).parent / "data" / "legacy"
EXIT_CODES = {console.EXIT_COMPLETE, console.EXIT_USAGE, console.EXIT_PARTIAL, console.EXIT_REGRESSION}
LIMIT_S = 20
# Short command lines that are complete and sound. RUN, SET, CURATED, ... stand for paths of the fixture.
SOUND = """
tp-eval run --model frozen --dataset SET --device cpu --limit 1 --out OUT
tp-eval cases --dataset SET --limit 1 --out OUT
tp-eval score --predictions VIDEOS --dataset SET --name mine --out OUT
tp-eval score --predictions VIDEOS --map MAP.csv --dataset SET --name mine --out OUT
tp-eval rescore RUN
tp-eval compare RUN RUN
tp-eval validate RUN
tp-eval ls metrics
tp-eval schema
tp-eval weights list
tp-eval weights verify
tp-curate run BLANK.mp4 --out OUT --workers 1
tp-curate export CURATED
tp-curate status CURATED
tp-curate synth --out OUT --clips 1 --frames 2 --size 64
tp-curate fetch LIST.txt --out OUT
tp-curate audit LIST.txt --out OUT
tp-curate rebuild RELEASE --out OUT
tp-curate forget room --out CURATED
tp-curate release CURATED --to OUT
tp-curate explain CURATED room
tp-curate report CURATED
tp-curate calibrate LIST.txt CURATED
tp-curate estimate BLANK.mp4
tp-curate webdataset CURATED --to OUT
tp-animate --reference PORTRAIT.png --driving BLANK.mp4 --out OUT.mp4 --max-frames 1 --steps 1
tp-train --config CONFIG.yaml --out OUT --steps 1
tp-leaderboard RUN --out OUT
""".strip().splitlines()
NUMBERS = ["-1", "0", "1", "1e9", "nan", "inf", "-inf", "9" * 400, "0x10", "1,5", "", " ", "\u0661"]
# fmt: off
TEXTS = [
    *("", " ", "a" * 5_000, "<script>alert(1)</script>", "../..", "~", "%s%n", "{}", "--help", "-", ","),
    *("psnr,psnr", "tp-long@9", "tp-mini@1@1", "module:Class", "os:system", "json:loads", "line\nbreak"),
    *("cuda:99", "tpu", "http://127.0.0.1:9/x", "https://[", "file:///etc/passwd", "s3://x/y"),
    *("youtube:", "=,=", "é\udcff"),
]
# fmt: on


@dataclass
class Workplace:
    """Paths that commands are given."""

    root: Path
    hostile: list[str]
    count: int = 0

    def fill(self, words: list[str]) -> list[str]:
        """Replace the names of paths; folders that a command writes to are new in every call."""
        self.count += 1
        new = self.root / f"call{self.count}"
        new.mkdir()
        paths = {path.name.partition(".")[0]: path for path in (self.root / "sound").iterdir()}
        filled = []
        for word in words:
            stem = word.partition(".")[0]
            if stem == "OUT":
                word = str(new / word)
            elif stem in paths:
                word = str(self._own(paths[stem], new))
            filled.append(word)
        return filled

    def _own(self, path: Path, new: Path) -> Path:
        if path.is_file():
            return path
        copy = new / path.name
        if not copy.exists():
            shutil.copytree(path, copy, symlinks=True)
        return copy


@pytest.fixture(scope="module", autouse=True)
def _tiny_rules() -> Iterator[None]:
    with protocol_everywhere(tiny_protocol()):
        yield


@pytest.fixture(scope="module")
def workplace(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Workplace:  # noqa: F811
    root = tmp_path_factory.mktemp("bad")
    (root / "hostile").mkdir()
    hostile = make_all(root / "hostile")
    sound = root / "sound"
    sound.mkdir()
    shutil.copytree(tiny, sound / "SET")
    with contextlib.redirect_stderr(io.StringIO()):
        run("frozen", tiny, sound / "RUN")
    shutil.copytree(sound / "RUN" / "videos", sound / "VIDEOS")
    shutil.copytree(LEGACY / "rebuilt", sound / "CURATED")
    shutil.copytree(LEGACY / "release", sound / "RELEASE")
    shutil.copy(root / "hostile" / "blank.mp4", sound / "BLANK.mp4")
    from PIL import Image

    Image.new("RGB", (64, 64), (90, 120, 150)).save(sound / "PORTRAIT.png")
    (sound / "LIST.txt").write_text("ftp://nowhere\n")
    (sound / "MAP.csv").write_text("clip_id,prediction\ntiny-a,tiny-a.mp4\n")
    (sound / "CONFIG.yaml").write_text("out: 3\n")
    return Workplace(root, hostile)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what is written by a relative path out of the checkout."""
    monkeypatch.chdir(tmp_path)


def command_of(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that a line names, and the words after its name."""
    command: Any = typer.main.get_command(importlib.import_module(APPS[words[0]]).app)
    rest = words[1:]
    # Options instead of the name of a command belong to the group itself.
    while hasattr(command, "commands") and rest and rest[0] in command.commands:
        command, rest = command.commands[rest[0]], rest[1:]
    return command, rest


@st.composite
def wrong_lines(draw: st.DrawFn) -> list[str]:
    """A sound command line with one or two changes; HOSTILE:N stands for a path of `make_all`."""
    words = draw(st.sampled_from(SOUND)).split()
    command, rest = command_of(words)
    start = len(words) - len(rest)
    value = st.one_of(
        st.sampled_from(TEXTS), st.sampled_from(NUMBERS), st.integers(0, 200).map(lambda n: f"HOSTILE:{n}")
    )
    for _ in range(draw(st.integers(1, 2))):
        kind = draw(st.sampled_from(["replace", "option", "option", "drop", "insert"]))
        if kind == "option":
            options = [p for p in command.params if p.param_type_name == "option" and p.opts[0] != "--help"]
            if not options:
                continue
            option = draw(st.sampled_from(options))
            words.append(draw(st.sampled_from([*option.opts, *option.secondary_opts])))
            if not getattr(option, "is_flag", False):
                words.append(draw(value))
        elif kind == "insert" or len(words) == start:
            words.insert(draw(st.integers(start, len(words))), draw(value))
        else:
            index = draw(st.integers(start, len(words) - 1))
            words[index : index + 1] = [draw(value)] if kind == "replace" else []
    return words


def call(words: list[str]) -> tuple[int, str, str]:
    """Run a command line in this process: exit code, stdout, stderr."""
    module = importlib.import_module(APPS[words[0]])
    raw, err = io.BytesIO(), io.StringIO()
    out = io.TextIOWrapper(raw, "utf-8", "surrogateescape")
    code: object = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), time_limit(words):
        try:
            console.run(module.app, words[0], words[1:])
        except SystemExit as stop:
            code = stop.code
    out.flush()
    assert isinstance(code, int)
    return code, raw.getvalue().decode("utf-8", "replace"), err.getvalue()


@contextlib.contextmanager
def time_limit(words: list[str]) -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        raise AssertionError(f"more than {LIMIT_S} s: {words}")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, LIMIT_S * (6 if os.getloadavg()[0] > 3 else 2))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def check(workplace: Workplace, line: list[str]) -> None:
    paths = workplace.hostile
    words = [paths[int(w[8:]) % len(paths)] if w.startswith("HOSTILE:") else w for w in line]
    judge(workplace.fill(words))


def judge(words: list[str]) -> None:
    """Run a command line and check its exit code and its messages."""
    code, out, err = call(words)
    shown = f"{words}\n{out[-500:]}\n{err[-1500:]}"
    assert code in EXIT_CODES, shown
    assert "Traceback (most recent call last)" not in err + out, shown
    if code == console.EXIT_USAGE and not out.startswith("Usage:"):
        last = err.strip().splitlines()[-1]
        assert re.match(rf"{words[0]}: error: .", last) or "validate" in words, shown
        assert len(last) < 2_000, shown
    if "--json" in words and out.strip() and "--help" not in words:
        json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} in the output: {shown}"))
    assert "weights_only=False" not in err + out, shown


READ = [line for line in SOUND if re.search("SET|RUN|CURATED|RELEASE|VIDEOS", line)]


@st.composite
def damages(draw: st.DrawFn) -> tuple[list[str], int, str, float]:
    """A sound command line, the number of a file that it may read, and the damage to the file."""
    kinds = ["cut", "flip", "empty", "noise", "delete", "folder", "number", "text"]
    return (
        draw(st.sampled_from(READ)).split(),
        draw(st.integers(0, 10_000)),
        draw(st.sampled_from(kinds)),
        draw(st.floats(0, 1)),
    )


def damage(path: Path, kind: str, place: float) -> None:
    """Damage a file at a place given as a part of its length."""
    content = path.read_bytes()
    index = min(int(place * len(content)), len(content) - 1)
    if kind == "delete":
        path.unlink()
    elif kind == "folder":
        path.unlink()
        path.mkdir()
    elif kind in ("number", "text"):
        numbers = list(re.finditer(rb"-?\d+(\.\d+)?", content))
        if not numbers:
            return
        found = numbers[int(place * (len(numbers) - 1))]
        new = {"number": b"-1e308", "text": b'"<b>"'}[kind]
        path.write_bytes(content[: found.start()] + new + content[found.end() :])
    else:
        changed = {
            "cut": content[:index],
            "flip": content[:index] + bytes([content[index] ^ 0x5A]) + content[index + 1 :],
            "empty": b"",
            "noise": NOISE,
        }
        path.write_bytes(changed[kind])


def check_damaged(workplace: Workplace, drawn: tuple[list[str], int, str, float]) -> None:
    line, number, kind, place = drawn
    words = workplace.fill(line)
    new = workplace.root / f"call{workplace.count}"
    files = sorted(path for path in new.rglob("*") if path.is_file() and path.stat().st_size)
    chosen = files[number % len(files)]
    damage(chosen, kind, place)
    try:
        judge(words)
    except AssertionError as error:
        raise AssertionError(f"{chosen.relative_to(new)}, {kind} at {place}: {error}") from error


DRAWN = settings(
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@settings(DRAWN, max_examples=60)
@given(line=wrong_lines())
def test_wrong_command_lines(workplace: Workplace, line: list[str]) -> None:
    check(workplace, line)


@settings(DRAWN, max_examples=60)
@given(drawn=damages())
def test_damaged_files(workplace: Workplace, drawn: tuple[list[str], int, str, float]) -> None:
    check_damaged(workplace, drawn)


@pytest.mark.soak
@settings(DRAWN, max_examples=600)
@given(drawn=damages())
def test_damaged_files_at_length(workplace: Workplace, drawn: tuple[list[str], int, str, float]) -> None:
    check_damaged(workplace, drawn)


@pytest.mark.soak
@settings(DRAWN, max_examples=600)
@given(line=wrong_lines())
def test_wrong_command_lines_at_length(workplace: Workplace, line: list[str]) -> None:
    check(workplace, line)
