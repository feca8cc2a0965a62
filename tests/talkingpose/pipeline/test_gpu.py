"""Parity on a GPU: launched, replayed, offloaded, in half precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from talkingpose import TalkingPosePipeline
from talkingpose.pipeline.device import place
from tests.talkingpose.pipeline.test_compiled import INDUCTOR

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

GUIDED = {"num_inference_steps": 6, "guidance_scale": 3.5, "output_type": "pt"}


@pytest.fixture(autouse=True)
def exact():
    """Convolutions in float32 without TF32, as in the official numbers."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = before
    torch.compiler.reset()


@pytest.fixture
def gpu(parity_folder):
    pipeline = TalkingPosePipeline.from_official(parity_folder).to("cuda")
    pipeline.enable_channels_last()
    return pipeline


def apart(frames, golden, key="cfg_frames"):
    frames = np.stack([frame.float().cpu().numpy() for frame in frames])
    return float(np.abs(frames - golden[key][: len(frames)]).max())


def test_frames_are_the_official_ones(gpu, golden, noise):
    frames = gpu.stream(golden["reference"], golden["poses"], latents=noise, **GUIDED)
    assert apart(frames, golden) < 1e-3


@pytest.mark.parametrize("backend", ["cudagraphs", INDUCTOR])
def test_replayed_frames_are_too(gpu, golden, noise, backend):
    """Run one clip, then two in a batch, then one that resumes from a state."""
    gpu.enable_compile(cuda_graphs=backend == "inductor", backend=backend)
    reference, poses = golden["reference"], list(golden["poses"][:2])
    stream = gpu.stream(reference, poses, latents=noise, **GUIDED)
    first = next(stream)
    resumed = gpu.stream(reference, poses[1:], state=stream.state, **GUIDED)
    second, again = next(stream).clone(), next(resumed)
    assert apart([first, second], golden) < 1e-3
    assert torch.equal(second, again)
    batch = gpu([reference] * 2, [poses] * 2, latents=noise, **GUIDED).frames
    for frames in batch:
        assert apart(frames, golden) < 1e-3


def test_replay_handles_a_guidance_interval(gpu, golden, noise):
    settings = {**GUIDED, "guidance_interval": (0.2, 0.7), "latents": noise}
    reference, poses = golden["reference"], list(golden["poses"][:3])
    expected = gpu(reference, poses, **settings).frames
    gpu.enable_compile(backend="cudagraphs")
    assert torch.allclose(gpu(reference, poses, **settings).frames, expected, atol=1e-4)


@pytest.mark.parametrize("offload", [False, True])
def test_half_precision_stays_near(parity_folder, golden, noise, offload):
    """Offloading changes nothing, and the error is that of a CPU."""
    pipeline = TalkingPosePipeline.from_official(parity_folder, torch_dtype=torch.float16)
    chosen = place(pipeline, "cuda", pixels=128 * 128, cpu_offload=offload)
    assert chosen.offload is offload
    for _ in range(2):  # what the first video moved away is there for the second
        frames = list(pipeline.stream(golden["reference"], golden["poses"], latents=noise, **GUIDED))
        assert apart(frames, golden) < 0.05
    if offload:
        resident = sum(p.numel() for p in pipeline.denoising_unet.parameters() if p.device.type == "cuda")
        assert resident == 0


def test_frames_in_parallel_are_those_of_the_loop(gpu, golden, noise):
    settings = {**GUIDED, "latents": noise}
    frames = gpu.stream(
        golden["reference"], golden["poses"], parallel_frames=4, parallel_tolerance=0.0, **settings
    )
    assert apart(frames, golden) < 1e-3
