"""Videos of coloured shots, each with its own texture and a moving part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from talkingpose.media import VideoWriter

WIDTH, HEIGHT, FPS = 160, 96, Fraction(25)


def frames(
    colour: Sequence[int], count: int, seed: int, size: tuple[int, int] = (WIDTH, HEIGHT)
) -> Iterator[np.ndarray]:
    """RGB pictures around a colour; bars move to the right by 3 pixels per frame."""
    width, height = size
    rng = np.random.default_rng(seed)
    texture = np.kron(rng.integers(-35, 36, (height // 16, width // 16, 1)), np.ones((16, 16, 1)))
    still = np.clip(np.array(colour) + texture, 0, 255).astype(np.uint8)
    for index in range(count):
        picture = still.copy()
        bars = (np.arange(width) - 3 * index) % 48 < 16
        picture[40:56, bars] = 255 - picture[40:56, bars]
        yield picture


def write_shots(
    path: Path, shots: Sequence[tuple[Sequence[int], int]], *, seed: int = 0, fps: Fraction = FPS
) -> Path:
    """Write a video of (colour, number of frames) shots."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, fps=fps, preset="ultrafast") as writer:
        for number, (colour, count) in enumerate(shots):
            for picture in frames(colour, count, seed * 100 + number):
                writer.write(picture)
    return path
