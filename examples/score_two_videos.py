"""Score a generated video against the real one, without a dataset or a run.

    python examples/score_two_videos.py REAL.mp4 GENERATED.mp4

Without arguments it scores two drawn clips: the real frames and a brighter copy.
"""

from __future__ import annotations

import sys
from itertools import islice

import numpy as np

from benchmark import score
from talkingpose import load_clips

METRICS = ["psnr", "ssim", "tje@2", "flicker"]


def main(arguments: list[str]) -> None:
    """Print one line per metric."""
    if arguments:
        real, generated = arguments
        scores = score(real, generated, metrics=METRICS)
    else:
        frames = np.stack(list(islice(load_clips("tp-mini")[0].frames(), 16)))
        scores = score(frames, np.clip(frames + 8.0, 0, 255).astype(np.uint8), metrics=METRICS)
    for name, result in scores.items():
        print(f"{name:<10} {result.value} {result.unit} ({result.direction} is better)")


if __name__ == "__main__":
    main(sys.argv[1:])
