"""The command `tp-animate`, and the loading of checkpoints."""

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
from talkingpose.animate import cli
from talkingpose.io import console
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


def refused(capsys: pytest.CaptureFixture[str], *options: str | Path) -> str:
    """Run the command in this process and return its line on stderr."""
    with pytest.raises(SystemExit) as left:
        console.run(cli.app, cli.PROGRAM, list(map(str, options)))
    captured = capsys.readouterr()
    assert left.value.code == 2 and not captured.out
    assert len(captured.err.strip().splitlines()) == 1
    return captured.err


def test_the_video_is_that_of_the_pipeline(
    tmp_path: Path, portrait: Path, poses: Path, parity_folder: Path, pipe: TalkingPosePipeline
) -> None:
    out = tmp_path / "film.mp4"
    options = ("--checkpoint", parity_folder, "--out", out, "--steps", "2", "--guidance", "1", "--seed", "7")
    command = [COMMAND, "--reference", portrait, "--driving", poses, *options]
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
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
        ({"--driving": "nothing.npz"}, "nothing.npz"),
        ({"--checkpoint": "nowhere"}, "no such folder"),
        ({"--out": "film.gif"}, "ends in .mp4"),
        ({"--device": "abacus"}, "unknown"),
        ({"--steps": "0"}, "--steps"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    tmp_path: Path,
    portrait: Path,
    poses: Path,
    parity_folder: Path,
    change: dict[str, str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = {
        "--reference": str(portrait),
        "--driving": str(poses),
        "--checkpoint": str(parity_folder),
        "--out": str(tmp_path / "film.mp4"),
    } | change
    before = set(tmp_path.iterdir())
    assert message in refused(capsys, *(part for pair in options.items() for part in pair))
    assert set(tmp_path.iterdir()) == before


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
