"""What feedback controllers can do at all: a linear sampler in the place of the model, on tp-mini.

    .venv/bin/python tests/perf/feedback_plant.py [--sampler-gain G] [--jitter J] [--frames N] [--only NAME]

No denoiser is run. Frame k of a validation clip is made as decode(mu(k) + g * z_T(k) + jitter * n(k)): mu
are the latents of the real frame, so pose and person are right; g says how much of the noise comes through
(DDIM on a Gaussian mode of variance v: about the root of v); n is white noise, anew for every frame, for all
that makes a model tremble other than z_T. Autoencoder: the bundled one of the tiny model; its round trip is
the first row. It shows which effects are possible and what a controller costs where something moves. It does
not show what a trained model does: tests/perf/feedback.py does.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL

ROOT = Path(__file__).resolve().parents[2]
# For the packages of this checkout.
sys.path.insert(0, str(ROOT))

from talkingpose.pipeline.feedback import (  # noqa: E402
    CONTROLLERS,
    FeedbackState,
    FixedGain,
    FrameContext,
    ShrunkNoise,
    TemporalFilter,
    describe,
)

VAE = ROOT / "talkingpose" / "checkpoints" / "tiny" / "vae"
CHUNK = 32
STILL = 3


class Clip:
    """A clip with its latents: pictures uint8 (T, H, W, 3), poses the same, latents (T, C, h, w)."""

    def __init__(self, dataset, clip, vae: AutoencoderKL, frames: int | None) -> None:  # type: ignore[no-untyped-def]
        from talkingpose.media import VideoReader
        from talkingpose.pose.pose_image import pose_image

        self.pictures = np.stack([f.image for f in VideoReader(dataset.video(clip))][:frames])
        keypoints = np.asarray(dataset.keypoints(clip), np.float32)[:frames]
        self.poses = torch.from_numpy(np.stack([pose_image(k, clip.height, clip.width) for k in keypoints]))
        pixels = torch.from_numpy(self.pictures).permute(0, 3, 1, 2).float() / 127.5 - 1
        means = [vae.encode(part).latent_dist.mean for part in pixels.split(CHUNK)]
        self.latents = torch.cat(means) * vae.config.scaling_factor


def main() -> None:
    """Print one line a controller."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sampler-gain", type=float, default=0.26, help="g; 0.26 for a variance of 0.1")
    parser.add_argument("--jitter", type=float, default=0.1, help="of the latents, which have a spread of 1")
    parser.add_argument("--frames", type=int, help="of a clip")
    parser.add_argument("--only", help="of the controllers, those whose name begins so")
    options = parser.parse_args()
    from benchmark.data.bundled import open_dataset

    torch.set_grad_enabled(False)
    vae = AutoencoderKL.from_pretrained(VAE).float()
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


def plant(clip: Clip, controller, g: float, jitter: float, *, fresh: bool = False) -> torch.Tensor:  # type: ignore[no-untyped-def]
    """The latents (T, C, h, w) of a clip as a linear sampler in the loop makes them."""
    random = torch.Generator().manual_seed(0)
    shape = clip.latents[:1].shape
    state = FeedbackState(torch.randn(shape, generator=random))
    made = []
    for mean, pose in zip(clip.latents.split(1), clip.poses.split(1), strict=True):
        frame = FrameContext(pose, clip.latents[:1])
        tremble, other = (torch.randn(shape, generator=random) for _ in range(2))
        initial = other if fresh else controller.initial_latents(state, frame)
        final, memory = controller.finish(state, frame, mean + g * initial + jitter * tremble)
        state = state.after(final, memory)
        made.append(final)
    return torch.cat(made)


def show(name: str, videos: list[torch.Tensor], clips: list[Clip], vae: AutoencoderKL) -> None:
    """Decode and print the means over the clips."""
    rows = [scores(clip.pictures, decode(video, vae)) for video, clip in zip(videos, clips, strict=True)]
    print(f"| {name} | {' | '.join(f'{value:.2f}' for value in np.mean(rows, axis=0))} |", flush=True)


def decode(latents: torch.Tensor, vae: AutoencoderKL) -> np.ndarray:
    """uint8 (T, H, W, 3) of latents, as the pipeline decodes them."""
    parts = [vae.decode(part).sample for part in (latents / vae.config.scaling_factor).split(CHUNK)]
    pixels = (torch.cat(parts) / 2 + 0.5).clamp(0, 1) * 255
    return pixels.to(torch.uint8).permute(0, 2, 3, 1).numpy()


def scores(real: np.ndarray, made: np.ndarray) -> tuple[float, float, float, float]:
    """PSNR, TJE at 2 and 8, and the mean change from frame to frame where the real one is still."""
    error = np.square(real.astype(float) - made).mean(axis=(1, 2, 3))
    still = np.abs(np.diff(real.astype(np.int16), axis=0)).max(axis=-1) <= STILL
    change = np.abs(np.diff(made.astype(np.int16), axis=0)).mean(axis=-1)
    return (
        float((10 * np.log10(255**2 / error)).mean()),
        tje(real, made, 2),
        tje(real, made, 8),
        change[still].mean(),
    )


def tje(real: np.ndarray, made: np.ndarray, delta: int) -> float:
    """Temporal jittering error (docs/reference/metrics/tje.md)."""
    changes = (np.abs(v[delta:].astype(np.int16) - v[:-delta]) for v in (real, made))
    return float(np.abs(next(changes) - next(changes)).mean())


if __name__ == "__main__":
    main()
