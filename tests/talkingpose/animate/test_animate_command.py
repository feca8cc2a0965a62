"""`tp-animate` and the loading of checkpoints, as a user meets them."""

from __future__ import annotations

import subprocess
import sys
import warnings
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from talkingpose import TalkingPosePipeline
from talkingpose.media import VideoWriter
from talkingpose.model.checkpoint_folder import CheckpointError
from talkingpose.pipeline.device import DeviceError, pick_device
from talkingpose.pipeline.load import load_pipeline, native_size
from talkingpose.pose import draw_pose

COMMAND = Path(sys.executable).parent / "tp-animate"


@pytest.fixture
def portrait(tmp_path: Path, golden: dict[str, np.ndarray]) -> Path:
    Image.fromarray(golden["reference"]).save(tmp_path / "portrait.png")
    return tmp_path / "portrait.png"


@pytest.fixture
def poses(tmp_path: Path, parity_folder: Path) -> Path:
    with np.load(parity_folder / "dwpose_render.npz") as data:
        keypoints = data["keypoints"][:3]
    np.savez(tmp_path / "poses.npz", keypoints=keypoints, fps=24000 / 1001, width=512, height=512)
    return tmp_path / "poses.npz"


def animate(*options: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([COMMAND, *map(str, options)], capture_output=True, text=True, check=False)


def test_film_is_what_the_pipeline_makes(
    tmp_path: Path, portrait: Path, poses: Path, parity_folder: Path, pipe: TalkingPosePipeline
) -> None:
    out = tmp_path / "film.mp4"
    options = ("--checkpoint", parity_folder, "--out", out, "--steps", "2", "--guidance", "1", "--seed", "7")
    result = animate("--reference", portrait, "--driving", poses, *options)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == str(out)
    with np.load(poses) as data:
        pictures = [draw_pose(keypoints, 128, 128) for keypoints in data["keypoints"]]
    expected = pipe(
        np.asarray(Image.open(portrait)),
        pictures,
        num_inference_steps=2,
        guidance_scale=1.0,
        generator=torch.Generator().manual_seed(7),
    ).frames
    with VideoWriter(tmp_path / "expected.mp4", fps=Fraction(24000, 1001)) as writer:
        for frame in expected:
            writer.write(frame)
    assert out.read_bytes() == (tmp_path / "expected.mp4").read_bytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"--reference": "nothing.png"}, "nothing.png"),
        ({"--driving": "nothing.mp4"}, "nothing.mp4"),
        ({"--driving": "nothing.npz"}, "cannot be read"),
        ({"--checkpoint": "nowhere"}, "no such folder"),
        ({"--out": "film.gif"}, "ends in .mp4"),
        ({"--device": "abacus"}, "unknown"),
        ({"--steps": "0"}, "--steps"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    tmp_path: Path, portrait: Path, poses: Path, parity_folder: Path, change: dict[str, str], message: str
) -> None:
    options = {
        "--reference": str(portrait),
        "--driving": str(poses),
        "--checkpoint": str(parity_folder),
        "--out": str(tmp_path / "film.mp4"),
    } | change
    before = set(tmp_path.iterdir())
    result = animate(*(part for pair in options.items() for part in pair))
    assert result.returncode == 2
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) <= 2
    assert "Traceback" not in result.stderr
    assert set(tmp_path.iterdir()) == before


def test_portrait_of_another_shape_is_refused(tmp_path: Path, poses: Path, parity_folder: Path) -> None:
    Image.new("RGB", (200, 100)).save(tmp_path / "wide.png")
    options = ("--checkpoint", parity_folder, "--out", tmp_path / "film.mp4")
    result = animate("--reference", tmp_path / "wide.png", "--driving", poses, *options)
    assert result.returncode == 2
    assert "crop the portrait" in result.stderr


def test_both_layouts_load_alike(tmp_path: Path, pipe: TalkingPosePipeline, parity_folder: Path) -> None:
    pipe.save_pretrained(tmp_path / "diffusers")
    for folder in (parity_folder, tmp_path / "diffusers"):
        loaded = load_pipeline(folder, "cpu")
        for name in ("reference_unet", "denoising_unet", "pose_guider", "vae", "image_encoder"):
            expected = getattr(pipe, name).state_dict()
            state = getattr(loaded, name).state_dict()
            assert state.keys() == expected.keys()
            assert all(torch.equal(state[key], expected[key]) for key in state)


def test_loading_prints_and_warns_of_nothing(
    tmp_path: Path, pipe: TalkingPosePipeline, capfd: pytest.CaptureFixture[str]
) -> None:
    pipe.save_pretrained(tmp_path)
    capfd.readouterr()
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        load_pipeline(tmp_path, "cpu")
    assert capfd.readouterr() == ("", "")


def test_a_folder_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="neither"):
        load_pipeline(tmp_path, "cpu")


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(DeviceError, match="give --device cpu"):
        pick_device(f"cuda:{torch.cuda.device_count()}")


@pytest.mark.parametrize(
    ("frame", "size"),
    [
        ((512, 512), (128, 128)),
        ((288, 512), (72, 128)),
        ((1920, 1080), (128, 72)),
        ((64, 64), (128, 128)),
        ((96, 512), (24, 128)),
    ],
)
def test_native_size_keeps_the_shape(
    pipe: TalkingPosePipeline, frame: tuple[int, int], size: tuple[int, int]
) -> None:
    assert native_size(pipe, *frame) == size
