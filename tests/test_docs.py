"""Documentation: commands parse, README and tutorials run as written, named pages exist."""

from __future__ import annotations

import importlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
# Pages whose commands are run one after another, as a reader runs them.
WALKED = ["README.md", "docs/tutorials/first-benchmark.md", "docs/tutorials/first-dataset.md"]
APPS = {
    "tp-curate": "curation.cli.app",
    "tp-eval": "benchmark.cli.app",
    "tp-animate": "talkingpose.animate.cli",
    "tp-train": "talkingpose.training.cli",
    "tp-leaderboard": "leaderboard.cli",
}
# Values in place of placeholders of the documentation, where a number is expected.
NUMBERS = {"N": "1", "GB": "1"}


def fences(page: Path) -> list[tuple[str, str]]:
    """Return language and content of the fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    return re.findall(r"^```(\w*)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    return [content for name, content in fences(page) if name == language]


def commands(page: Path) -> list[list[str]]:
    """Return the command lines of a page as words, without comments."""
    return [
        shlex.split(line, comments=True)
        for language, block in fences(page)
        if language in ("bash", "sh", "")
        for line in block.replace("\\\n", " ").splitlines()
        if line.split(" ")[0] in APPS
    ]


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=name)
def test_commands_parse(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command and option of the documentation exists."""
    import typer.main

    monkeypatch.chdir(tmp_path)
    for block in blocks(ROOT / "docs/how-to/evaluate.md", "yaml"):
        (tmp_path / "run.yaml").write_text(block, encoding="utf-8")
    for words in commands(page):
        command = typer.main.get_command(importlib.import_module(APPS[words[0]]).app)
        args = [NUMBERS.get(word, word) for word in words[1:]]
        if words[0] == "tp-eval" and args[0].startswith("--"):
            args.insert(0, "run")  # the short form of `tp-eval run`
        if words[:2] == ["tp-animate", "app"]:
            from talkingpose.animate.cli import page as app_page

            command, args = typer.main.get_command(app_page), args[1:]
        parent = None
        while True:
            try:
                context = command.make_context(words[0], args, parent=parent)
            except Exception as error:
                pytest.fail(f"{name(page)}: {shlex.join(words)}: {error}")
            if not hasattr(command, "resolve_command") or not (
                rest := [*context._protected_args, *context.args]
            ):
                break
            _, command, args = command.resolve_command(context, rest)
            parent = context


@pytest.mark.parametrize("page", [page for page in PAGES if any(blocks(page, "python"))], ids=name)
def test_snippets_compile(page: Path) -> None:
    for block in blocks(page, "python"):
        if not block.startswith("--8<--"):
            compile(block, name(page), "exec")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that README and tutorials name."""
    from PIL import Image

    from talkingpose import load_clips

    folder = tmp_path_factory.mktemp("reader")
    clip = load_clips("tp-mini", split="test")[0]
    Image.fromarray(clip.portrait).resize((256, 256)).save(folder / "portrait.png")
    footage = folder / "FOOTAGE"
    footage.mkdir()
    for video in (ROOT / "tests/data/legacy/sources").glob("*.mp4"):
        (footage / video.name).write_bytes(video.read_bytes())
        (folder / "talk.mp4").write_bytes(video.read_bytes())
    return folder


@pytest.mark.parametrize("page", WALKED)
def test_pages_run_as_written(page: str, workspace: Path) -> None:
    """The commands and snippets of a page, in order, in a folder of their own."""
    scripts = Path(sys.executable).parent
    env = os.environ | {"OMP_NUM_THREADS": "1", "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"}
    for language, block in fences(ROOT / page):
        lines = [block] if language == "python" else runnable(block) if language == "bash" else []
        for line in lines:
            words = [sys.executable, "-c", line] if language == "python" else shlex.split(line, comments=True)
            done = subprocess.run(
                words, cwd=workspace, env=env, capture_output=True, text=True, check=False, timeout=300
            )
            assert done.returncode in (0, 3), f"{page}: {line}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


def runnable(block: str) -> list[str]:
    """Return the lines of a block that call a command of this project."""
    lines = block.replace("\\\n", " ").splitlines()
    return [line for line in lines if line.split(" ")[0] in APPS and not re.search(r" (CLIP|NAME)\b", line)]


def test_messages_name_pages_that_exist() -> None:
    """Every docs page that code or a message names exists."""
    packages = ("talkingpose", "curation", "benchmark", "baselines", "leaderboard")
    generated = set(importlib.import_module("tools.docs_hooks").PAGES)
    for package in packages:
        for file in [*(ROOT / package).rglob("*.py"), *(ROOT / package).rglob("*.yaml")]:
            for page in re.findall(r"docs/([\w/-]+\.md)", file.read_text(encoding="utf-8")):
                assert (ROOT / "docs" / page).is_file() or page in generated, f"{file.name}: docs/{page}"


def test_pages_are_short() -> None:
    """README has at most 450 words, every page at most 1,500 outside tables and code."""
    for page in PAGES:
        text = re.sub(r"^```.*?^```|^\|.*$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
        assert len(text.split()) <= 1500, name(page)
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= 450
