"""Parity with the official inference on every path of the pipeline."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from talkingpose import TalkingPosePipeline
from talkingpose.pipeline.stream_state import StreamState

TOLERANCE = 1e-3
RUNS = {
    "cfg": {"num_inference_steps": 6, "guidance_scale": 3.5, "gain": 0.05},
    "nocfg": {"num_inference_steps": 4, "guidance_scale": 1.0, "gain": 0.05},
    "open": {"num_inference_steps": 6, "guidance_scale": 3.5, "gain": 0.0},
}


def run(pipe, golden, noise, name, output_type):
    return pipe(
        golden["reference"], golden["poses"], latents=noise, output_type=output_type, **RUNS[name]
    ).frames.numpy()


@pytest.mark.parametrize("name", RUNS)
def test_one_clip_in_one_call(pipe, golden, noise, name):
    latents = run(pipe, golden, noise, name, "latent")
    np.testing.assert_allclose(latents, golden[f"{name}_latents"], atol=TOLERANCE)


@pytest.mark.parametrize("name", RUNS)
def test_frame_by_frame(pipe, golden, noise, name):
    stream = pipe.stream(
        golden["reference"], iter(golden["poses"]), latents=noise, output_type="pt", **RUNS[name]
    )
    for expected in golden[f"{name}_frames"]:
        np.testing.assert_allclose(next(stream).numpy(), expected, atol=TOLERANCE)
    assert next(stream, None) is None


@pytest.mark.parametrize("name", RUNS)
def test_in_a_batch(pipe, golden, noise, name):
    portraits = [golden["reference"][::-1], golden["reference"]]
    clips = [golden["poses"][::-1], golden["poses"]]
    noises = torch.stack([-noise, noise])
    other, video = pipe(portraits, clips, latents=noises, output_type="latent", **RUNS[name]).frames
    np.testing.assert_allclose(video.numpy(), golden[f"{name}_latents"], atol=TOLERANCE)
    assert np.abs(other.numpy() - golden[f"{name}_latents"]).max() > 100 * TOLERANCE


def test_in_chunks(pipe, golden, noise, name="cfg"):
    stream = pipe.stream(
        golden["reference"], golden["poses"], latents=noise, output_type="pt", chunk_size=3, **RUNS[name]
    )
    for frame, expected in zip(stream, golden[f"{name}_frames"], strict=True):
        np.testing.assert_allclose(frame.numpy(), expected, atol=TOLERANCE)


def test_frames_in_parallel(pipe, golden, noise, name="cfg"):
    settings = {**RUNS[name], "parallel_frames": 5, "parallel_tolerance": 1e-5}
    latents = pipe(
        golden["reference"], golden["poses"], latents=noise, output_type="latent", **settings
    ).frames
    np.testing.assert_allclose(latents.numpy(), golden[f"{name}_latents"], atol=TOLERANCE)


def test_resumed_from_a_file(pipe, golden, noise, tmp_path: Path):
    settings = {"output_type": "latent", **RUNS["cfg"]}
    stream = pipe.stream(golden["reference"], golden["poses"], latents=noise, **settings)
    frames = [next(stream) for _ in range(2)]
    stream.state.save(tmp_path / "state.pt")
    stream.close()
    state = StreamState.load(tmp_path / "state.pt")
    frames += list(pipe.stream(golden["reference"], golden["poses"][state.index :], state=state, **settings))
    np.testing.assert_allclose(torch.stack(frames).numpy(), golden["cfg_latents"], atol=TOLERANCE)


def test_uint8_is_truncated(pipe, golden, noise):
    frames = pipe(golden["reference"], golden["poses"][:1], latents=noise, **RUNS["nocfg"]).frames
    exact = run(pipe, golden, noise, "nocfg", "pt")[:1].transpose(0, 2, 3, 1) * 255
    assert frames.shape == (1, 128, 128, 3) and frames.dtype == np.uint8
    assert np.array_equal(frames, exact.astype(np.uint8))
    assert not np.array_equal(frames, exact.round().astype(np.uint8))


@pytest.mark.parametrize("layout", ["diffusers", "official"])
def test_after_saving_and_loading(pipe, golden, noise, tmp_path: Path, layout):
    folder = tmp_path / "saved"
    if layout == "diffusers":
        pipe.save_pretrained(folder)
        loaded = TalkingPosePipeline.from_pretrained(folder)
    else:
        pipe.save_official(folder)
        loaded = TalkingPosePipeline.from_official(folder)
    assert loaded.scheduler.config["beta_schedule"] == "linear"
    latents = run(loaded, golden, noise, "nocfg", "latent")
    np.testing.assert_allclose(latents, golden["nocfg_latents"], atol=TOLERANCE)


def test_bfloat16_stays_close(parity_folder, golden, noise):
    half = TalkingPosePipeline.from_official(parity_folder, torch_dtype=torch.bfloat16)
    assert half.denoising_unet.dtype == half.vae.dtype == half.pose_guider.dtype == torch.bfloat16
    settings = {"latents": noise, "output_type": "pt", **RUNS["nocfg"]}
    frames = half(golden["reference"], golden["poses"][:2], **settings).frames.numpy()
    error = frames - golden["nocfg_frames"][:2]
    assert 10 * np.log10(1 / np.mean(error**2)) > 40
