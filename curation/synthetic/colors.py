"""Colours of synthetic speakers, and shading ramps that turn a colour into a lit surface."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from talkingpose.io.image import Image

Color = tuple[int, int, int]


def _palette(text: str) -> tuple[Color, ...]:
    """Colours from RGB hex codes."""
    return tuple((code[0], code[1], code[2]) for code in map(bytes.fromhex, text.split()))


SKIN = _palette("f7d6be f0c4a6 e5b492 d6a07a c08862 a56e4c 86563c 684230")
HAIR = _palette("261e1e 3a2a24 543828 764c2e 986234 c49454 deba80 9c4628 78767a c4c2c2 2e2c3e")
IRIS = _palette("4a3222 68482a 567048 466e96 5c6874")
CLOTH = _palette(
    "2c3e5c 1e546e 42748c 78a0b0 265854 4a7862 809260 c4a454 d68846 c45c42 "
    "9e363a ba6070 784260 5c4e84 3e3e46 686a72 e8e2d6 eeeef0 d6c4ac 705240"
)
SUIT = _palette("283044 383a40 585c64 4a3c34 263c3e 786858")
WALL = _palette(
    "cec6ba bcc4c6 aababe 96aca8 bac0a8 d6c4a4 d8b69c cca8a0 b2a4b4 929eb6 708294 5c7474 7e6c64 565868 ded6ce"
)
WOOD = _palette("7a543a 9e744e 5e4232 c4a47c ded6cc")


def mix(a: Color, b: Color, amount: float) -> Color:
    """Interpolate between two colours; `amount` is 0 for `a` and 1 for `b`."""
    red, green, blue = (round(x + (y - x) * amount) for x, y in zip(a, b, strict=True))
    return red, green, blue


def luminance(color: Color) -> float:
    """Luma of a colour, 0-255."""
    return 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2]


def distance(a: Color, b: Color) -> float:
    """Perceptual distance of two colours; luma counts twice."""
    chroma: float = sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) ** 0.5
    return chroma + abs(luminance(a) - luminance(b))


@lru_cache(maxsize=512)
def skin_ramp(color: Color) -> Image:
    """Shading ramp of skin, (256, 1, 3); shadows turn warm and red, because light scatters in it."""
    shadow = (color[0] * 0.50 + 8, color[1] * 0.32, color[2] * 0.30)
    light = tuple(min(255.0, c * 1.10 + 26) for c in color)
    return _ramp(shadow, color, light)


@lru_cache(maxsize=512)
def cloth_ramp(color: Color, gloss: float = 0.35) -> Image:
    """Shading ramp of cloth, hair and objects, (256, 1, 3); shadows turn cool, lights warm."""
    # White cloth stays lighter in the shadow than black cloth.
    deep = 0.27 + 0.20 * luminance(color) / 255
    shadow = (color[0] * deep, color[1] * deep + 2, color[2] * (deep + 0.08) + 8)
    light = tuple(c + (255 - c) * gloss * w for c, w in zip(color, (1.0, 0.96, 0.86), strict=True))
    return _ramp(shadow, color, light)


def _ramp(shadow: tuple[float, ...], middle: tuple[float, ...], light: tuple[float, ...]) -> Image:
    stops = np.array([shadow, middle, light], dtype=np.float64)
    steps = np.linspace(0.0, 2.0, 256)
    table = np.stack([np.interp(steps, (0.0, 1.0, 2.0), stops[:, channel]) for channel in range(3)], axis=1)
    ramp: Image = np.clip(np.rint(table), 0, 255).astype(np.uint8).reshape(256, 1, 3)
    ramp.setflags(write=False)
    return ramp
