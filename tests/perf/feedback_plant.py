"""Simulate feedback controllers with a linear sampler instead of the model, on tp-mini.

    .venv/bin/python tests/perf/feedback_plant.py [--sampler-gain G] [--jitter J] [--frames N] [--only NAME]

No denoiser runs. Frame k of a validation clip is decode(mu(k) + g * z_T(k) + jitter * n(k)): mu are the
latents of the real frame, so pose and person are correct; g is the gain of the sampler for the noise (DDIM on
a Gaussian mode of variance v: about the square root of v); n is white noise, drawn for every frame, for all
other sources of jitter. The autoencoder is that of the tiny model; its round trip is the first row. The
simulation shows possible effects of a controller and its cost under motion, not those of a trained model: for
these see tests/perf/feedback.py.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from talkingpose import TalkingPosePipeline  # noqa: E402
from talkingpose.pipeline.feedback import (  # noqa: E402
    CONTROLLERS,
    FeedbackController,
    FeedbackState,
    FixedGain,
    FrameContext,
    ShrunkNoise,
    TemporalFilter,
    describe,
)

CHUNK = 32
STILL = 3


class Clip:
    """Clip with its latents: pictures and poses uint8 (T, H, W, 3), latents (T, C, h, w)."""

    def __init__(self, dataset: Any, clip: Any, vae: AutoencoderKL, frames: int | None) -> None:
        from talkingpose.media import VideoReader
        from talkingpose.pose.overlay import pose_image

        self.pictures = np.stack([f.image for f in VideoReader(dataset.video(clip))][:frames])
        keypoints = np.asarray(dataset.keypoints(clip), np.float32)[:frames]
        self.poses = torch.from_numpy(np.stack([pose_image(k, clip.height, clip.width) for k in keypoints]))
        pixels = torch.from_numpy(self.pictures).permute(0, 3, 1, 2).float() / 127.5 - 1
        means = [vae.encode(part).latent_dist.mean for part in pixels.split(CHUNK)]
        self.latents = torch.cat(means) * vae.config.scaling_factor


def main() -> None:
    """Print one line per controller."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sampler-gain", type=float, default=0.26, help="g; 0.26 for a variance of 0.1")
    parser.add_argument("--jitter", type=float, default=0.1, help="standard deviation; the latents have 1")
    parser.add_argument("--frames", type=int, help="maximum number of frames of a clip")
    parser.add_argument("--only", help="prefix of controller names")
    options = parser.parse_args()
    from benchmark.data.bundled import open_dataset

    torch.set_grad_enabled(False)
    vae = TalkingPosePipeline.from_pretrained("tiny").vae
    dataset = open_dataset("tp-mini")
    clips = [Clip(dataset, clip, vae, options.frames) for clip in dataset.clips("validation")]
    print("| | PSNR | TJE@2 | TJE@8 | flicker where nothing moves |\n|---|---:|---:|---:|---:|")
    show("round trip of the autoencoder", [clip.latents for clip in clips], clips, vae)
    g, jitter = options.sampler_gain, options.jitter
    show("fresh noise", [plant(clip, FixedGain(0), g, jitter, fresh=True) for clip in clips], clips, vae)
    show("fixed noise", [plant(clip, FixedGain(0), g, jitter) for clip in clips], clips, vae)
    defaults = [kind() for kind in CONTROLLERS.values()]
    for controller in [*defaults, FixedGain(0.2), ShrunkNoise(0), TemporalFilter(scale=0)]:
        name = describe(controller)
        if name.startswith(options.only or ""):
            show(name, [plant(clip, controller, g, jitter) for clip in clips], clips, vae)


def plant(
    clip: Clip, controller: FeedbackController, g: float, jitter: float, *, fresh: bool = False
) -> torch.Tensor:
    """Return the latents (T, C, h, w) of a clip from a linear sampler in the loop."""
    random = torch.Generator().manual_seed(0)
    shape = clip.latents[:1].shape
    state = FeedbackState(torch.randn(shape, generator=random))
    finals = []
    for mean, pose in zip(clip.latents.split(1), clip.poses.split(1), strict=True):
        frame = FrameContext(pose, clip.latents[:1])
        jitter_noise, fresh_noise = (torch.randn(shape, generator=random) for _ in range(2))
        initial = fresh_noise if fresh else controller.initial_latents(state, frame)
        final, memory = controller.finish(state, frame, mean + g * initial + jitter * jitter_noise)
        state = state.after(final, memory)
        finals.append(final)
    return torch.cat(finals)


def show(name: str, videos: list[torch.Tensor], clips: list[Clip], vae: AutoencoderKL) -> None:
    """Decode videos and print the means of their scores."""
    rows = [scores(clip.pictures, decode(video, vae)) for video, clip in zip(videos, clips, strict=True)]
    print(f"| {name} | {' | '.join(f'{value:.2f}' for value in np.mean(rows, axis=0))} |", flush=True)


def decode(latents: torch.Tensor, vae: AutoencoderKL) -> np.ndarray:
    """Decode latents as the pipeline does, to uint8 (T, H, W, 3)."""
    parts = [vae.decode(part).sample for part in (latents / vae.config.scaling_factor).split(CHUNK)]
    pixels = (torch.cat(parts) / 2 + 0.5).clamp(0, 1) * 255
    return pixels.to(torch.uint8).permute(0, 2, 3, 1).numpy()


def scores(real: np.ndarray, generated: np.ndarray) -> tuple[float, float, float, float]:
    """Return PSNR, TJE at 2 and 8, and the mean change between frames where the real frame is still."""
    error = np.square(real.astype(float) - generated).mean(axis=(1, 2, 3))
    still = np.abs(np.diff(real.astype(np.int16), axis=0)).max(axis=-1) <= STILL
    change = np.abs(np.diff(generated.astype(np.int16), axis=0)).mean(axis=-1)
    return (
        float((10 * np.log10(255**2 / error)).mean()),
        tje(real, generated, 2),
        tje(real, generated, 8),
        change[still].mean(),
    )


def tje(real: np.ndarray, generated: np.ndarray, delta: int) -> float:
    """Return the temporal jittering error (docs/reference/metrics/tje.md)."""
    changes = (np.abs(v[delta:].astype(np.int16) - v[:-delta]) for v in (real, generated))
    return float(np.abs(next(changes) - next(changes)).mean())


if __name__ == "__main__":
    main()
