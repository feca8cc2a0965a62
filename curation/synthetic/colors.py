"""Colours of the drawn speakers and the shading ramps that turn one colour into a lit surface."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

Color = tuple[int, int, int]

SKIN: tuple[Color, ...] = (
    (247, 214, 190),
    (240, 196, 166),
    (229, 180, 146),
    (214, 160, 122),
    (192, 136, 98),
    (165, 110, 76),
    (134, 86, 60),
    (104, 66, 48),
)
HAIR: tuple[Color, ...] = (
    (38, 30, 30),
    (58, 42, 36),
    (84, 56, 40),
    (118, 76, 46),
    (152, 98, 52),
    (196, 148, 84),
    (222, 186, 128),
    (156, 70, 40),
    (120, 118, 122),
    (196, 194, 194),
    (46, 44, 62),
)
IRIS: tuple[Color, ...] = ((74, 50, 34), (104, 72, 42), (86, 112, 72), (70, 110, 150), (92, 104, 116))
CLOTH: tuple[Color, ...] = (
    (44, 62, 92),
    (30, 84, 110),
    (66, 116, 140),
    (120, 160, 176),
    (38, 88, 84),
    (74, 120, 98),
    (128, 146, 96),
    (196, 164, 84),
    (214, 136, 70),
    (196, 92, 66),
    (158, 54, 58),
    (186, 96, 112),
    (120, 66, 96),
    (92, 78, 132),
    (62, 62, 70),
    (104, 106, 114),
    (232, 226, 214),
    (238, 238, 240),
    (214, 196, 172),
    (112, 82, 64),
)
SUIT: tuple[Color, ...] = (
    (40, 48, 68),
    (56, 58, 64),
    (88, 92, 100),
    (74, 60, 52),
    (38, 60, 62),
    (120, 104, 88),
)
WALL: tuple[Color, ...] = (
    (206, 198, 186),
    (188, 196, 198),
    (170, 186, 190),
    (150, 172, 168),
    (186, 192, 168),
    (214, 196, 164),
    (216, 182, 156),
    (204, 168, 160),
    (178, 164, 180),
    (146, 158, 182),
    (112, 130, 148),
    (92, 116, 116),
    (126, 108, 100),
    (86, 88, 104),
    (222, 214, 206),
)
WOOD: tuple[Color, ...] = ((122, 84, 58), (158, 116, 78), (94, 66, 50), (196, 164, 124), (222, 214, 204))


def mix(a: Color, b: Color, amount: float) -> Color:
    """Return the colour `amount` of the way from `a` to `b`."""
    red, green, blue = (round(x + (y - x) * amount) for x, y in zip(a, b, strict=True))
    return red, green, blue


def luminance(color: Color) -> float:
    """Return the luma of a colour in [0, 255]."""
    return 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2]


def distance(a: Color, b: Color) -> float:
    """Return a perceptual distance of two colours: luma counts twice."""
    chroma = sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) ** 0.5
    return chroma + abs(luminance(a) - luminance(b))


@lru_cache(maxsize=512)
def skin_ramp(color: Color) -> np.ndarray:
    """Shading ramp of skin: its shadows turn warm and red, as light scatters in it. (256, 1, 3) uint8."""
    shadow = (color[0] * 0.50 + 8, color[1] * 0.32, color[2] * 0.30)
    light = tuple(min(255.0, c * 1.10 + 26) for c in color)
    return _ramp(shadow, color, light)


@lru_cache(maxsize=512)
def cloth_ramp(color: Color, gloss: float = 0.35) -> np.ndarray:
    """Shading ramp of cloth, hair and things: shadows turn cool, lights warm. (256, 1, 3) uint8."""
    # White cloth never gets as dark as black cloth does.
    deep = 0.27 + 0.20 * luminance(color) / 255
    shadow = (color[0] * deep, color[1] * deep + 2, color[2] * (deep + 0.08) + 8)
    light = tuple(c + (255 - c) * gloss * w for c, w in zip(color, (1.0, 0.96, 0.86), strict=True))
    return _ramp(shadow, color, light)


def _ramp(shadow: tuple[float, ...], middle: tuple[float, ...], light: tuple[float, ...]) -> np.ndarray:
    stops = np.array([shadow, middle, light], dtype=np.float64)
    steps = np.linspace(0.0, 2.0, 256)
    table = np.stack([np.interp(steps, (0.0, 1.0, 2.0), stops[:, channel]) for channel in range(3)], axis=1)
    ramp = np.clip(np.rint(table), 0, 255).astype(np.uint8).reshape(256, 1, 3)
    ramp.setflags(write=False)
    return ramp
