"""The page of `tp-animate app`."""

from __future__ import annotations

import shlex
import shutil
import threading
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from talkingpose.animate import app, cli
from talkingpose.animate.app import PageProgress, StoppedError, Studio, command_line, models_of, options_of
from talkingpose.data.clips import load_clips
from talkingpose.io.errors import UserError
from talkingpose.media import VideoReader, VideoWriter, probe
from tests.talkingpose.animate.test_driving_poses import person

SETTINGS: dict[str, Any] = {
    "start": 0, "duration": 1.0, "model": "warp", "pose": "auto", "retarget": "auto", "size": "",
    "steps": None, "guidance": None, "gain": None, "seed": 42, "audio": False,
}  # fmt: skip


@pytest.fixture
def uploads(tmp_path: Path) -> tuple[Path, Path]:
    """Portrait of a drawn speaker, and its first eight frames as a video."""
    clip = load_clips("tp-mini", split="test")[2]
    Image.fromarray(clip.portrait).resize((192, 192)).save(tmp_path / "a b.png")
    with VideoWriter(tmp_path / "talk.mp4", fps=Fraction(25)) as writer:
        for _ in range(8):
            writer.write(np.asarray(Image.fromarray(clip.portrait).resize((192, 192))))
    return tmp_path / "a b.png", tmp_path / "talk.mp4"


def test_a_film_with_driving_video_and_skeleton(
    uploads: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poses = np.stack([person(0.4 + k / 50) for k in range(8)])
    monkeypatch.setattr("talkingpose.animate.animator.portrait_pose", lambda *_: person())
    monkeypatch.setattr("talkingpose.pose.estimator.HolisticEstimator.__call__", lambda *_: poses[0].copy())
    studio, seen = Studio(("warp",)), []
    try:
        film, shown, skeleton, lines = studio.make(
            str(uploads[0]), str(uploads[1]), SETTINGS, lambda share, line: seen.append((share, line))
        )
        assert [probe(path).num_frames for path in (film, shown, skeleton)] == [8, 8, 8]
        assert Path(film).parents[1].stat().st_mode & 0o077 == 0, "other users could read the films"
        assert "8 frames" in lines and any(share is not None for share, _ in seen)

        # The command that the page shows makes the same film.
        command = shlex.split(command_line(str(uploads[0]), str(uploads[1]), SETTINGS))
        monkeypatch.chdir(tmp_path)
        assert cli.app(args=command[1:], prog_name="tp-animate", standalone_mode=False) == 0
        assert (tmp_path / "film.mp4").read_bytes() == Path(film).read_bytes()
    finally:
        studio.close()
    assert not Path(film).exists()


def test_what_is_missing_is_said_and_a_setting_is_checked(uploads: tuple[Path, Path]) -> None:
    studio = Studio(("warp",))
    with pytest.raises(UserError, match="no portrait"):
        studio.make(None, str(uploads[1]), SETTINGS, lambda *_: None)
    with pytest.raises(UserError, match="no driving video"):
        studio.make(str(uploads[0]), None, SETTINGS, lambda *_: None)
    with pytest.raises(UserError, match="512x512"):
        studio.make(str(uploads[0]), str(uploads[1]), SETTINGS | {"size": "big"}, lambda *_: None)
    studio.close()


def test_only_its_own_session_stops_a_film() -> None:
    stopped = threading.Event()
    progress = PageProgress(lambda *_: None, stopped)
    progress.advance()
    studio = Studio(("warp",))
    studio._owner, studio._stopped = "one", stopped
    studio.stop("another")
    progress.advance()
    studio.stop("one")
    with pytest.raises(StoppedError):
        progress.advance()
    studio.close()


def test_time_left_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0.0, 0.0, 1.0, 2.0])
    monkeypatch.setattr(app.time, "monotonic", lambda: next(now))
    seen: list[tuple[float | None, str]] = []
    progress = PageProgress(lambda share, line: seen.append((share, line)), threading.Event())
    progress.start("frames", 8)
    progress.advance()
    progress.advance()
    assert seen[-1] == (0.25, "frames: 2 of 8, about 6 s left")


def test_values_of_the_page_become_options() -> None:
    options = options_of(SETTINGS | {"duration": 9999, "size": " 640x360 ", "steps": 4.0, "gain": 0.2})
    assert options.duration == app.LONGEST_S and options.size == (640, 360) and options.steps == 4
    command = command_line("x/p.png", "y/t.webm", SETTINGS | {"gain": 0.2, "audio": True, "start": 1.5})
    assert command.startswith("tp-animate --reference p.png --driving t.webm --model warp --start 1.5")
    assert "--gain 0.2" in command and "--audio" in command and "--seed" not in command


def test_the_selected_model_comes_first(parity_folder: Path) -> None:
    assert models_of()[0] == "auto"
    assert models_of("tiny")[0] == "tiny" and models_of(str(parity_folder))[0] == str(parity_folder)
    with pytest.raises(UserError, match="no such folder"):
        models_of("nowhere")


def test_without_gradio_one_line_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "gradio", None)
    with pytest.raises(UserError, match=r"pip install 'talkingpose\[app\]'"):
        app.serve()


@pytest.mark.soak
def test_the_page_in_a_browser(footage: Path, tmp_path: Path) -> None:
    """Upload, generate, play and an error; the page loads nothing from elsewhere."""
    pytest.importorskip("gradio")
    browsers = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("needs chromium")
    studio = Studio(models_of("warp"))
    page, address = app.launch(studio)
    try:
        with browsers.sync_playwright() as play:
            browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            tab = browser.new_page()
            tab.set_default_timeout(300_000)
            foreign: list[str] = []
            own = (address.rstrip("/"), "data:", "blob:")
            tab.on("request", lambda r: None if r.url.startswith(own) else foreign.append(r.url))
            tab.goto(address)
            tab.click("#generate")
            assert "no portrait" in tab.inner_text(".toast-body")

            clip = load_clips("tp-mini", split="test")[2]
            Image.fromarray(clip.portrait).resize((192, 192)).save(tmp_path / "a.png")
            with VideoWriter(tmp_path / "talk.mp4", fps=Fraction(25)) as writer:
                talk = VideoReader(footage / "upper_body_hands" / "stage_talk_2.mp4", size=(256, 256))
                for frame in talk:
                    if frame.index == 8:
                        break
                    writer.write(frame.image)
            tab.locator("input[type=file]").nth(0).set_input_files(tmp_path / "a.png")
            tab.wait_for_selector("img[alt]", state="attached")
            tab.locator("input[type=file]").last.set_input_files(tmp_path / "talk.mp4")
            tab.wait_for_function("document.querySelectorAll('video').length > 0")
            tab.click("#generate")
            tab.wait_for_selector("#film video")
            for name in ("film", "driving", "skeleton"):
                tab.wait_for_function(f"document.querySelector('#{name} video').readyState >= 2")
                assert tab.evaluate(f"document.querySelector('#{name} video').duration") > 0.2
            assert "tp-animate --reference" in tab.input_value("#command textarea, #command input")
            assert not foreign
            browser.close()
    finally:
        page.close()
        studio.close()
