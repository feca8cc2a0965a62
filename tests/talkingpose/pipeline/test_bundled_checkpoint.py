"""The bundled checkpoint: small, complete, and able to animate."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.data.bundled import open_dataset
from talkingpose import TalkingPosePipeline
from talkingpose.media import VideoReader
from talkingpose.model.checkpoint_folder import CheckpointError, checkpoint_folder
from talkingpose.model.inference_settings import read_inference
from talkingpose.pose.overlay import pose_image

# Frames of a clip, far enough apart for the speaker to have moved.
FRAMES = range(20, 148, 24)


@pytest.fixture(scope="module")
def folder() -> Path:
    return checkpoint_folder("tiny")


@pytest.fixture(scope="module")
def pipeline() -> TalkingPosePipeline:
    loaded = TalkingPosePipeline.from_pretrained("tiny")
    loaded.set_progress_bar_config(disable=True)
    return loaded


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2)))


def test_it_is_small(folder: Path) -> None:
    assert sum(path.stat().st_size for path in folder.rglob("*.safetensors")) <= 20_000_000


def test_a_name_works_in_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert isinstance(TalkingPosePipeline.from_pretrained("tiny", torch.float16), TalkingPosePipeline)
    with pytest.raises(CheckpointError, match="no such folder"):
        TalkingPosePipeline.from_pretrained("small")
    with pytest.raises(CheckpointError, match="owner/name: not a folder, and not available from the Hub"):
        TalkingPosePipeline.from_pretrained("owner/name")


def test_its_parts_are_those_of_the_large_model(pipeline: TalkingPosePipeline) -> None:
    names = {name: type(part).__name__ for name, part in pipeline.components.items()}
    assert names["reference_unet"] == names["denoising_unet"] == "UNet2DConditionModel"
    assert names["vae"] == "AutoencoderKL" and names["image_encoder"] == "CLIPVisionModelWithProjection"
    assert names["scheduler"] == "DDIMScheduler"


def test_it_contains_no_absolute_path(folder: Path) -> None:
    texts = [path.read_text() for path in folder.rglob("*.json")]
    assert not any('"/' in text for text in texts)
    assert json.loads((folder / "training.json").read_text())["stage"] == "perceptual"


def test_its_runs_are_recorded(folder: Path) -> None:
    runs = json.loads((folder / "runs.json").read_text())
    assert [run["name"] for run in runs][:4] == ["tiny-vae", "tiny", "tiny-decoder", "tiny-perceptual"]
    for run in runs[2:]:
        assert len(run["state_sha256"]) == 64
        assert run["configuration"]["seed"] == run["seed"]
        source = run["configuration"]["source"]["options"]
        # None of the speakers of tp-mini (900000000 and later).
        assert source["first_seed"] + source["identities"] <= 900_000_000


@pytest.fixture(scope="module")
def held_out() -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
    """Portrait, pose pictures and frames of an unseen speaker."""
    dataset = open_dataset("tp-mini")
    clip = dataset.clips("validation")[0]
    keypoints = dataset.keypoints(clip)
    with VideoReader(dataset.video(clip), name=clip.clip_id) as reader:
        images = [frame.image for frame in reader]
    poses = [pose_image(keypoints[number], clip.width, clip.height) for number in FRAMES]
    return images[0], poses, np.stack([images[number] for number in FRAMES])


def test_it_animates_an_unseen_speaker(
    pipeline: TalkingPosePipeline, folder: Path, held_out: tuple[np.ndarray, list[np.ndarray], np.ndarray]
) -> None:
    portrait, poses, frames = held_out
    own = read_inference(folder)
    made = np.stack(
        list(
            pipeline.stream(
                portrait,
                poses,
                num_inference_steps=own.num_inference_steps,
                guidance_scale=own.guidance_scale,
            )
        )
    )
    still = np.repeat(portrait[None], len(poses), axis=0)
    assert psnr(made, frames) > psnr(still, frames) + 2
    # The motion follows the poses, not the noise: frames in another order fit worse.
    assert psnr(made, frames) > psnr(made[::-1], frames) + 1


def test_frames_in_parallel_are_those_of_the_loop(
    pipeline: TalkingPosePipeline, held_out: tuple[np.ndarray, list[np.ndarray], np.ndarray]
) -> None:
    portrait, poses, _ = held_out

    def made(frames: int) -> np.ndarray:
        stream = pipeline.stream(
            portrait, poses[:4], num_inference_steps=2, guidance_scale=1.0, parallel_frames=frames,
            generator=torch.Generator().manual_seed(0), output_type="pt",
        )  # fmt: skip
        return np.stack([np.asarray(frame) for frame in stream])

    # Trained weights contract: the default tolerance gives an error below a hundredth of the range.
    assert np.abs(made(4) - made(1)).max() < 0.01
