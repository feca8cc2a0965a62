"""Pictures of a training: sample sheets and the loss curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from talkingpose.io.atomic import atomic_write
from talkingpose.io.image import Image

_GAP = 2


def save_sheet(path: Path, rows: Sequence[Image]) -> None:
    """Write a PNG with one column per sample.

    Args:
        path: to write.
        rows: each uint8 (n, H, W, 3), of one size.
    """
    import PIL.Image

    padded = [np.pad(row, ((0, 0), (_GAP, _GAP), (_GAP, _GAP), (0, 0)), constant_values=255) for row in rows]
    sheet = np.concatenate([np.concatenate(list(row), axis=1) for row in padded], axis=0)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary:
        PIL.Image.fromarray(sheet).save(temporary, format="PNG")


def save_curves(
    path: Path, losses: Sequence[Mapping[str, str]], validation: Sequence[Mapping[str, str]]
) -> None:
    """Write an SVG of the loss, raw and smoothed, and of the validation PSNR over the steps."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    steps = np.array([int(row["step"]) for row in losses])
    values = np.array([float(row["loss"]) for row in losses])
    # The curve of a long training needs no more points than a page has pixels.
    stride = max(1, len(steps) // 1000)
    left.plot(steps[::stride], values[::stride], color="0.8", linewidth=0.6)
    window = max(1, len(values) // 50)
    smooth = np.convolve(values, np.ones(window) / window, mode="valid")
    left.plot(steps[window - 1 :][::stride], smooth[::stride], color="tab:blue")
    left.set(xlabel="step", ylabel="loss", yscale="log")
    right.plot([int(r["step"]) for r in validation], [float(r["psnr"]) for r in validation], marker=".")
    right.set(xlabel="step", ylabel="validation PSNR, dB")
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="svg")
