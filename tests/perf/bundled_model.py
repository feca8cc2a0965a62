"""Quality of a checkpoint on single frames of tp-mini, LPIPS of faces, hands and mouths included.

    .venv/bin/python tests/perf/bundled_model.py [--checkpoint tiny] [--pairs 6] [--sheet FILE.png]

Each clip gives pairs of frames, two frames apart, spread evenly over its length. All frames of a clip start
from one noise, without feedback. Prints means over clips as JSON. This takes a minute of one core, where
`tp-eval` takes half an hour, and gives LPIPS of regions, which no protocol has. It does not replace a run.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmark.data.bundled import open_dataset
from benchmark.features.regions import regions
from talkingpose.io.image import Image
from talkingpose.model.checkpoint_folder import checkpoint_folder
from talkingpose.model.inference_settings import read_inference
from talkingpose.model.lpips import Lpips, weighted_mean
from talkingpose.pipeline.load import load_pipeline
from talkingpose.training.data.groups import REGIONS, region_masks

DISTANCE = 2


def psnr(error: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.square(error).mean()))


def scores(real: Image, made: Image, keypoints: np.ndarray, lpips: Lpips) -> dict[str, float]:
    """Return the scores of frames (n, H, W, 3) of one clip; pairs are neighbours."""
    from skimage.metrics import structural_similarity

    side = real.shape[1]
    pictures = [torch.from_numpy(x).permute(0, 3, 1, 2).float() / 127.5 - 1 for x in (made, real)]
    with torch.no_grad():
        maps = lpips(*pictures)
    error = made.astype(float) - real
    row = {
        "psnr": float(np.mean([psnr(frame) for frame in error])),
        "ssim": float(
            np.mean(
                [
                    structural_similarity(
                        a, b, channel_axis=2, gaussian_weights=True, sigma=1.5,
                        use_sample_covariance=False, data_range=255,
                    )
                    for a, b in zip(made, real, strict=True)
                ]
            )
        ),
        "lpips": float(sum(layer.mean() for layer in maps)),
    }  # fmt: skip
    masks = torch.from_numpy(np.stack([region_masks(points, side) for points in keypoints]))
    for number, name in enumerate(REGIONS[:3]):
        mask = masks[:, number : number + 1]
        seen = mask.flatten(1).any(dim=1)
        row[f"lpips_{name}"] = float(weighted_mean([m[seen] for m in maps], mask[seen]).mean())
    found: dict[str, list[float]] = {}
    for frame, points in zip(error, keypoints, strict=True):
        for name, area in regions(points, side, side).items():
            inside = frame[area.rows, area.columns]
            found.setdefault(name, []).append(psnr(inside if area.mask is None else inside[area.mask > 0]))
    row |= {f"psnr_{name}": float(np.mean(values)) for name, values in found.items()}
    moved = [np.abs(np.diff(x.astype(int).reshape(-1, 2, *x.shape[1:]), axis=1)) for x in (real, made)]
    row["tje@2"], row["tje@2 of frozen"] = float(np.abs(moved[0] - moved[1]).mean()), float(moved[0].mean())
    return row


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkpoint", default="tiny")
    parser.add_argument("--pairs", type=int, default=6)
    parser.add_argument("--split", default="test")
    parser.add_argument("--sheet", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    pipeline = load_pipeline(options.checkpoint, "cpu")
    settings = read_inference(checkpoint_folder(options.checkpoint))
    dataset, lpips = open_dataset("tp-mini"), Lpips(needed_by="this measurement")
    rows: list[dict[str, Any]] = []
    strips = []
    for clip in dataset.clips(options.split):
        frames, keypoints = list(clip.frames()), clip.keypoints
        starts = np.linspace(5, len(frames) - DISTANCE - 2, options.pairs).astype(int)
        chosen = [int(t) for start in starts for t in (start, start + DISTANCE)]
        poses = [settings.draw(keypoints[t], clip.height, clip.width) for t in chosen]
        stream = pipeline.stream(
            [frames[0]] * len(chosen),
            [[pose] for pose in poses],
            num_inference_steps=settings.num_inference_steps,
            guidance_scale=settings.guidance_scale,
            gain=0.0,
            generator=[torch.Generator().manual_seed(0) for _ in chosen],
        )
        made, real = np.stack(next(stream)), np.stack([frames[t] for t in chosen])
        rows.append(scores(real, made, keypoints[chosen], lpips))
        strips.append(np.concatenate([frames[0], real[4], made[4], real[8], made[8]], axis=1))
    result = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    result["skill"] = 1 - result["tje@2"] / result["tje@2 of frozen"]
    print(json.dumps({name: round(value, 4) for name, value in result.items()}, indent=2))
    if options.sheet:
        import PIL.Image

        PIL.Image.fromarray(np.concatenate(strips)).save(options.sheet)


if __name__ == "__main__":
    main()
