"""Parity of the compiled pipeline with the official inference."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest

from talkingpose import TalkingPosePipeline

# Compiling for a CPU takes minutes of a C++ compiler: on request only.
ASKED = bool(os.environ.get("TALKINGPOSE_TEST_INDUCTOR")) and shutil.which("g++") is not None
INDUCTOR = pytest.param(
    "inductor", marks=pytest.mark.skipif(not ASKED, reason="TALKINGPOSE_TEST_INDUCTOR=1 runs it")
)


@pytest.mark.parametrize(
    "backend",
    [
        # Traces UNet and decoder as one graph each, as every backend does, and runs the graph unchanged.
        "eager",
        INDUCTOR,
    ],
)
def test_compiled_frames_are_the_same(parity_folder, golden, noise, backend):
    pipe = TalkingPosePipeline.from_official(parity_folder)
    weights = list(pipe.denoising_unet.state_dict())
    pipe.enable_compile(backend=backend)
    settings = {"num_inference_steps": 4, "guidance_scale": 1.0, "latents": noise, "output_type": "pt"}
    frames = pipe(golden["reference"], golden["poses"][:2], **settings).frames
    np.testing.assert_allclose(frames.numpy(), golden["nocfg_frames"][:2], atol=1e-3)
    assert list(pipe.denoising_unet.state_dict()) == weights


def test_channels_last_frames_are_the_same(parity_folder, golden, noise):
    pipe = TalkingPosePipeline.from_official(parity_folder)
    pipe.enable_channels_last()
    settings = {"num_inference_steps": 4, "guidance_scale": 1.0, "latents": noise, "output_type": "pt"}
    frames = pipe(golden["reference"], golden["poses"][:1], **settings).frames
    np.testing.assert_allclose(frames.numpy(), golden["nocfg_frames"][:1], atol=1e-3)
