from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import talkingpose.animate.model_choice as model_choice
from talkingpose.animate.model_choice import choose_model
from talkingpose.data.clips import load_clips
from talkingpose.io.errors import UserError
from talkingpose.media import VideoReader
from tests.talkingpose.animate.test_animator import run
from tests.talkingpose.animate.test_driving_poses import save

PHOTO = np.zeros((480, 360, 3), np.uint8)
DRAWN = np.zeros((128, 128, 3), np.uint8)


@pytest.fixture(autouse=True)
def no_published_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALKINGPOSE_WEIGHTS", str(tmp_path / "weights"))


def test_without_the_published_weights_a_photograph_gets_warp_and_the_command_that_fetches_them() -> None:
    model, line = choose_model("auto", PHOTO)
    assert model == "warp" and line is not None
    assert "tp-eval weights fetch --for talkingpose" in line and "GB" in line and "MIT" in line
    assert choose_model("auto", DRAWN)[0] == "tiny"


def test_the_published_weights_are_taken_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_choice, "published_weights_present", lambda: True)
    assert choose_model("auto", PHOTO) == ("hub", None)


def test_a_named_model_is_taken_and_tiny_warns_of_photographs() -> None:
    assert choose_model("warp", DRAWN) == ("warp", None)
    assert choose_model("some/folder", PHOTO) == ("some/folder", None)
    assert choose_model("tiny", DRAWN) == ("tiny", None)
    model, line = choose_model("tiny", PHOTO)
    assert model == "tiny" and line is not None and line.startswith("warning")


@pytest.fixture
def inputs(tmp_path: Path) -> list[str]:
    """Portrait of 192 pixels and five poses of a drawn speaker."""
    clip = load_clips("tp-mini", split="test")[2]
    Image.fromarray(clip.portrait).resize((192, 193)).save(tmp_path / "a.png")
    save(tmp_path / "p.npz", keypoints=clip.keypoints[:5], fps=25.0)
    return ["--reference", str(tmp_path / "a.png"), "--driving", str(tmp_path / "p.npz")]


def test_a_film_without_weights(tmp_path: Path, inputs: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "film.mp4"
    assert run([*inputs, "--out", str(out)]) == 0
    captured = capfd.readouterr()
    assert captured.out.strip() == str(out) and "tp-eval weights fetch" in captured.err
    with VideoReader(out) as reader:
        shapes = [frame.image.shape for frame in reader]
    assert shapes == [(192, 192, 3)] * 5
    assert Image.open(tmp_path / "film.preview.png").size == (3 * 192, 192)

    # What exists is kept, unless the user says otherwise.
    before = out.read_bytes()
    with pytest.raises(UserError, match="overwrite"):
        run([*inputs, "--out", str(out)])
    assert out.read_bytes() == before
    assert run([*inputs, "--out", str(out), "--overwrite", "--model", "warp"]) == 0
    assert out.read_bytes() == before


def test_warp_has_no_steps(tmp_path: Path, inputs: list[str]) -> None:
    with pytest.raises(UserError, match="--steps"):
        run([*inputs, "--out", str(tmp_path / "film.mp4"), "--model", "warp", "--steps", "2"])
