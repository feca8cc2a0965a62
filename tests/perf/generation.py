"""Measure generation: the pipeline against a plain loop on the same weights, and memory against length.

    .venv/bin/python tests/perf/generation.py [--model parity|quarter|sd15] [--device cuda] [--compile B ...]

The plain loop is `plain_loop.py`, the computation of the official code, one clip at a time. Both methods make
the same frames; their difference is printed. On the CPU the clock is the CPU time of one thread, which
depends less on other work on the machine, or wall time with --threads N on a quiet machine; on a GPU it is
wall time. The share of the matrix rate of the device, measured with one large product, shows the possible
gain.

    parity    the model of the parity tests, 128 x 128: its numbers are those of the official inference
    quarter   Stable Diffusion 1.5, image encoder and VAE at a quarter of their channels and heads, 256 x 256
    sd15      the same at full width, 512 x 512; both with random weights
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
PARITY = ROOT / "tests" / "data" / "parity"

SHORT, LONG = 100, 10_000


@dataclass(frozen=True)
class Measurement:
    """Result of a method: seconds per frame, peak MiB on a GPU, the frames of the first clip."""

    name: str
    seconds: float
    memory: float
    frames: Any


def random_model(
    unet: dict[str, Any],
    vae: tuple[int, ...],
    vae_layers: int,
    encoder: dict[str, int],
    device: str = "cpu",
) -> Any:
    """Make a pipeline with random weights.

    Args:
        unet: configuration of both UNets.
        vae: channels of the VAE.
        vae_layers: layers per block of the VAE.
        encoder: configuration of the image encoder.
        device: of the weights.
    """
    import torch
    from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
    from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

    from talkingpose import TalkingPosePipeline
    from talkingpose.model.official_checkpoint import OFFICIAL_SCHEDULER
    from talkingpose.model.pose_guider import PoseGuider

    torch.manual_seed(0)
    with torch.device(device):
        weights = {
            "vae": AutoencoderKL(
                down_block_types=("DownEncoderBlock2D",) * len(vae),
                up_block_types=("UpDecoderBlock2D",) * len(vae),
                block_out_channels=vae,
                layers_per_block=vae_layers,
                norm_num_groups=min(vae[0] // 2, 32),
            ),
            "image_encoder": CLIPVisionModelWithProjection(CLIPVisionConfig(**encoder)),
            "reference_unet": UNet2DConditionModel(**unet),
            "denoising_unet": UNet2DConditionModel(**unet),
            "pose_guider": PoseGuider(unet["block_out_channels"][0]),
        }
    return TalkingPosePipeline(
        **{name: part.eval() for name, part in weights.items()},
        image_processor=CLIPImageProcessor(),
        scheduler=DDIMScheduler(**OFFICIAL_SCHEDULER),
    )


def scaled_model(width: float, device: str) -> Any:
    """Make Stable Diffusion 1.5, its VAE and CLIP ViT-L/14, random, with a share of their channels and heads.

    Heads keep their width: with narrower heads than in any real model, exponentials would dominate.
    """

    def channels(*full: int) -> tuple[int, ...]:
        return tuple(round(number * width) for number in full)

    token, hidden, inner = channels(768, 1024, 4096)
    unet = {
        "sample_size": 64,
        "cross_attention_dim": token,
        "block_out_channels": channels(320, 640, 1280, 1280),
        # The number of heads, by its name in diffusers.
        "attention_head_dim": channels(8)[0],
        "norm_num_groups": 32 if width == 1 else 16,
    }
    encoder = {
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": 24,
        "num_attention_heads": channels(16)[0],
        "patch_size": 14,
        "projection_dim": token,
    }
    return random_model(unet, channels(128, 256, 512, 512), 2, encoder, device)


def smallest_model() -> Any:
    """Make the smallest possible model, so that memory depends on the frames only."""
    unet = {
        "sample_size": 8,
        "cross_attention_dim": 8,
        "block_out_channels": (8,),
        "layers_per_block": 1,
        "down_block_types": ("CrossAttnDownBlock2D",),
        "up_block_types": ("CrossAttnUpBlock2D",),
        "attention_head_dim": 1,
        "norm_num_groups": 4,
    }
    encoder = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    return random_model(unet, (4, 4, 4, 4), 1, {**encoder, "projection_dim": 8, "patch_size": 112})


def make_model(options: argparse.Namespace) -> tuple[Any, int]:
    """Return the pipeline and the side of its pictures in pixels."""
    import diffusers
    import torch

    from talkingpose import TalkingPosePipeline

    diffusers.utils.logging.set_verbosity_error()
    if options.model == "parity":
        pipeline, side = TalkingPosePipeline.from_official(PARITY), 128
    else:
        width, side = {"quarter": (0.25, 256), "sd15": (1.0, 512)}[options.model]
        pipeline = scaled_model(width, options.device)
    pipeline.to(options.device, torch.float16 if options.device != "cpu" else torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline, options.side or side


def clock(device: str) -> float:
    """Return CPU seconds of one thread, or wall time after the GPU has finished."""
    import torch

    if device != "cpu":
        torch.cuda.synchronize()
    elif torch.get_num_threads() == 1:
        return time.process_time()
    return time.perf_counter()


def measure(name: str, device: str, clips: int, make: Callable[[], Any]) -> Measurement:
    """Measure one method; `make` returns the frames of the first clip."""
    import torch

    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
    started = clock(device)
    frames = make()
    seconds = clock(device) - started
    memory = torch.cuda.max_memory_allocated() / 2**20 if device != "cpu" else 0.0
    return Measurement(name, seconds / clips / len(frames), memory, frames)


def speed(options: argparse.Namespace) -> None:
    """Print the table of all methods and their ratios."""
    import numpy as np
    import torch
    from plain_loop import PlainLoop

    if options.device == "cpu":
        torch.set_num_threads(options.threads)
    pipeline, side = make_model(options)
    generator = np.random.default_rng(0)
    portrait = generator.integers(0, 256, (side, side, 3), dtype=np.uint8)
    poses = list(generator.integers(0, 256, (options.frames, side, side, 3), dtype=np.uint8))
    shape = (pipeline.denoising_unet.config.in_channels, *(side // pipeline.vae_scale_factor,) * 2)
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(options.device)
    settings = {"num_inference_steps": options.steps, "guidance_scale": options.guidance}
    plain = PlainLoop(pipeline)

    def plain_frames() -> Any:
        return np.stack(list(plain(portrait, poses, latents=noise[None], **settings)))

    def generate(clips: int, driving: list[Any] = poses, **more: Any) -> Any:
        stream = pipeline.stream(
            [portrait] * clips, [driving] * clips, latents=noise, output_type="pt", **settings, **more
        )
        return np.stack([frames[0].float().cpu().numpy() for frames in stream])

    # The first run chooses kernels and allocates memory.
    warm_up = {**settings, "num_inference_steps": 1}
    list(plain(portrait, poses[:1], latents=noise[None], **warm_up))
    list(pipeline.stream(portrait, poses[:1], latents=noise, **warm_up))
    print(
        f"{options.model}, {side}x{side}, {options.frames} frames, {options.steps} steps, "
        f"guidance {options.guidance:g}, {options.device}, {pipeline.denoising_unet.dtype}; "
        f"load {os.getloadavg()[0]:.1f}"
    )
    print(f"{'':32}{'s/frame':>10}{'ratio':>8}{'error':>10}{'rate':>8}{'MiB':>8}")
    rate = matrix_rate(options.device, pipeline.denoising_unet.dtype)
    work = flops_per_frame(pipeline, portrait, poses[0], settings)
    baseline = measure("plain loop", options.device, 1, plain_frames)

    def show(row: Measurement) -> None:
        """Print a row at once: the later ones may take long, or fail."""
        error = np.abs(row.frames - baseline.frames).max()
        share = "" if row is baseline else f"{work / row.seconds / rate:.0%}"
        ratio = baseline.seconds / row.seconds
        memory = f"{row.memory:8.0f}" if row.memory else ""
        print(f"{row.name:32}{row.seconds:10.3f}{ratio:8.2f}{error:10.1e}{share:>8}{memory}", flush=True)

    show(baseline)
    if options.device != "cpu":
        pipeline.enable_channels_last()
    chunk = options.clips if options.device == "cpu" else 8 * options.clips
    several = min(options.parallel, options.frames)
    one, all_clips = "one clip", f"{options.clips} clips"
    for name, clips, more in (
        (f"pipeline, {one}", 1, {"chunk_size": min(8, options.frames)}),
        (f"pipeline, {all_clips}", options.clips, {"chunk_size": chunk}),
        (f"{one}, {several} frames at once", 1, {"parallel_frames": several}),
    ):
        show(measure(name, options.device, clips, lambda clips=clips, more=more: generate(clips, **more)))
    graphs = options.device != "cpu"
    for backend in options.compile or ():
        pipeline.enable_compile(cuda_graphs=graphs and backend == "inductor", backend=backend)
        for name, clips in ((one, 1), (all_clips, options.clips)):
            # Compile for this batch size only.
            torch.compiler.reset()
            started = time.perf_counter()
            generate(clips, poses[:2])
            print(f"compiled and first two frames: {time.perf_counter() - started:.0f} s")
            show(measure(f"{backend}, {name}", options.device, clips, lambda clips=clips: generate(clips)))
    print(f"{work / 1e9:.1f} GFLOP a frame; matrix rate {rate / 1e9:.0f} GFLOP/s")


def matrix_rate(device: str, dtype: Any) -> float:
    """Return the FLOP per second of a large matrix product."""
    import torch

    side, times = (2048, 5) if device == "cpu" else (8192, 20)
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    a @ b
    started = clock(device)
    for _ in range(times):
        a @ b
    return 2 * side**3 * times / (clock(device) - started)


def flops_per_frame(pipeline: Any, portrait: Any, pose: Any, settings: dict[str, Any]) -> float:
    """Return the FLOP of one more frame of a clip, counted by torch."""
    from torch.utils.flop_counter import FlopCounterMode

    def count(frames: int) -> int:
        with FlopCounterMode(display=False) as counter:
            list(pipeline.stream(portrait, [pose] * frames, **settings))
        return counter.get_total_flops()

    return count(2) - count(1)


def memory(options: argparse.Namespace) -> None:
    """Print the peak memory of streams of two lengths, each in a separate process."""
    peaks = []
    for frames in (SHORT, options.long):
        words = [sys.executable, __file__, "--stream", str(frames)]
        words += ["--checkpoint", options.checkpoint] if options.checkpoint else []
        # Linux counts the memory of the parent in the peak of a child; this process has loaded nothing.
        found = subprocess.run(
            words, check=True, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
        peak, seconds = map(float, found.stdout.split())
        peaks.append(peak)
        print(f"{frames:6} frames: peak {peak:.1f} MiB, {seconds:.0f} s CPU", flush=True)
    more = 100 * (peaks[1] / peaks[0] - 1)
    print(f"{options.long // SHORT} times the length: {more:+.1f} %; at most 5 % is required")


def stream_to_file(frames: int, checkpoint: str | None) -> None:
    """Run in the process that `memory` starts: stream to an encoder, then print MiB and seconds."""
    import resource

    import numpy as np

    from talkingpose.media import VideoWriter
    from talkingpose.pipeline.load import load_pipeline

    def pictures() -> Iterator[Any]:
        generator = np.random.default_rng(0)
        for _ in range(frames):
            yield generator.integers(0, 256, (64, 64, 3), dtype=np.uint8)

    pipeline = load_pipeline(checkpoint, "cpu") if checkpoint else smallest_model()
    portrait = np.zeros((64, 64, 3), np.uint8)
    with (
        tempfile.TemporaryDirectory() as folder,
        VideoWriter(f"{folder}/video.mp4", fps=Fraction(25)) as writer,
    ):
        for frame in pipeline.stream(portrait, pictures(), num_inference_steps=1, guidance_scale=1.0):
            writer.write(frame)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print(usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime)


def main() -> None:
    """Run the selected measurements."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", choices=["parity", "quarter", "sd15"], default="parity")
    parser.add_argument("--device", default="cpu", help="cpu (float32) or cuda (float16)")
    parser.add_argument("--side", type=int, help="of the pictures, pixels; default: the model's own")
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--guidance", type=float, default=3.5)
    parser.add_argument("--clips", type=int, default=8, help="of the batch")
    parser.add_argument("--threads", type=int, default=1, help="on the CPU")
    parser.add_argument("--parallel", type=int, default=8, help="frames of one clip at once")
    parser.add_argument(
        "--compile",
        nargs="+",
        metavar="BACKEND",
        help="also with these backends of torch.compile: inductor (on a GPU with CUDA graphs), cudagraphs",
    )
    parser.add_argument("--only", choices=["speed", "memory"])
    parser.add_argument("--checkpoint", help="of the measurement of memory; default: a smallest model")
    parser.add_argument("--long", type=int, default=LONG, help="frames of the long stream")
    parser.add_argument("--stream", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.stream:
        return stream_to_file(options.stream, options.checkpoint)
    if options.only != "speed":
        memory(options)
    if options.only != "memory":
        speed(options)
    return None


if __name__ == "__main__":
    main()
