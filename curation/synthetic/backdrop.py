"""Room behind a speaker: a static picture."""

from __future__ import annotations

import cv2
import numpy as np

from curation.detect.measurements import FloatArray
from curation.synthetic import colors
from curation.synthetic.canvas import Canvas, Finish, disc, smooth
from curation.synthetic.colors import Color
from curation.synthetic.identity import Identity
from curation.synthetic.seeds import stream
from talkingpose.io.image import Image


def paint_backdrop(identity: Identity, size: int) -> Image:
    """Paint the room out of focus, uint8 (size, size, 3) RGB."""
    backdrop = identity.backdrop
    rng = stream("backdrop", backdrop.seed)
    canvas = Canvas(_wall(identity, size), identity.light)
    rooms = {"gallery": _gallery, "shelf": _shelf, "window": _window}
    rooms |= {"studio": _studio, "panels": _panels, "office": _office}
    rooms[backdrop.kind](canvas, identity, rng)
    if rng.random() < 0.45 and backdrop.kind != "studio":
        _plant(canvas, identity, rng, float(rng.choice((0.08, 0.92))))
    radius = canvas.pixels(0.004 * backdrop.blur)
    kernel = (2 * radius + 1, 2 * radius + 1)
    image = cv2.blur(cv2.blur(canvas.image, kernel), kernel)
    return _vignette(np.asarray(image, np.uint8), identity.light)


def _wall(identity: Identity, size: int) -> Image:
    axis = (np.arange(size) + 0.5) / size
    x, y = np.meshgrid(axis - 0.5, axis - 0.5)
    slope = np.clip(0.5 + 0.55 * (x * identity.light[0] + y * identity.light[1]), 0.0, 1.0)[..., None]
    wall = np.array(identity.backdrop.wall, np.float64)
    dark, bright = wall * 0.74, wall + (255.0 - wall) * 0.28
    return np.asarray(np.rint(dark + (bright - dark) * slope), np.uint8)


def _vignette(image: Image, light: tuple[float, float]) -> Image:
    axis = (np.arange(image.shape[0]) + 0.5) / image.shape[0] - 0.5
    x, y = np.meshgrid(axis - 0.12 * light[0], axis - 0.12 * light[1])
    gain = 1.03 - 0.36 * (x * x + y * y)
    return np.asarray(np.clip(np.rint(image * gain[..., None]), 0, 255), np.uint8)


def _box(x0: float, y0: float, x1: float, y1: float) -> FloatArray:
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])


def _solid(
    canvas: Canvas, shape: FloatArray, color: Color, depth: float = 0.25, bulge: float = 0.012
) -> None:
    """Paint an object in front of the wall, with its shadow."""
    away = -0.012 * np.array(canvas.light)
    canvas.glow(shape + away, (20, 16, 24), 0.35, 0.012)
    canvas.paint([shape], colors.cloth_ramp(color), 0, Finish(bulge, depth))


def _gallery(canvas: Canvas, identity: Identity, rng: np.random.Generator) -> None:
    for side in (0.04, 0.70):
        top = float(rng.uniform(0.03, 0.12))
        while top < 0.62:
            width, height = float(rng.uniform(0.17, 0.26)), float(rng.uniform(0.16, 0.28))
            left = side + float(rng.uniform(-0.02, 0.05))
            _solid(canvas, _box(left, top, left + width, top + height), identity.backdrop.wood)
            inner = _box(left + 0.018, top + 0.018, left + width - 0.018, top + height - 0.018)
            canvas.flat([inner], (238, 234, 226))
            _art(canvas, identity, rng, left + 0.034, top + 0.034, left + width - 0.034, top + height - 0.034)
            top += height + float(rng.uniform(0.06, 0.12))
    canvas.flat([_box(-0.1, 0.86, 1.1, 1.1)], colors.mix(identity.backdrop.wall, (30, 26, 30), 0.22))
    canvas.flat([_box(-0.1, 0.845, 1.1, 0.862)], colors.mix(identity.backdrop.wall, (255, 255, 255), 0.35))


def _art(
    canvas: Canvas, identity: Identity, rng: np.random.Generator, x0: float, y0: float, x1: float, y1: float
) -> None:
    sky = colors.mix(identity.backdrop.accent, (255, 250, 240), float(rng.uniform(0.35, 0.7)))
    canvas.flat([_box(x0, y0, x1, y1)], sky)
    if rng.random() < 0.5:
        canvas.flat(
            [disc(np.array([x0 + 0.65 * (x1 - x0), y0 + 0.35 * (y1 - y0)]), 0.2 * (x1 - x0))], (246, 214, 140)
        )
    for level, shade in ((0.55, 0.15), (0.72, 0.45)):
        ridge = y0 + (y1 - y0) * (level + 0.10 * rng.normal(0, 1, 5).clip(-1, 1))
        line = smooth(np.stack([np.linspace(x0, x1, 5), np.minimum(ridge, y1)], axis=1), 4, closed=False)
        shape = np.concatenate([line, [[x1, y1], [x0, y1]]])
        canvas.flat([shape], colors.mix(identity.backdrop.accent, (30, 34, 48), shade))


def _shelf(canvas: Canvas, identity: Identity, rng: np.random.Generator) -> None:
    wood = identity.backdrop.wood
    canvas.flat([_box(-0.1, -0.1, 1.1, 1.1)], colors.mix(wood, (24, 20, 26), 0.62))
    for top in (-0.02, 0.27, 0.56, 0.85):
        x = -0.02
        while x < 1.02:
            if rng.random() < 0.14:
                x += float(rng.uniform(0.05, 0.12))
                if rng.random() < 0.6:
                    _solid(
                        canvas,
                        disc(np.array([x - 0.05, top + 0.215]), 0.036),
                        identity.backdrop.accent,
                        0.5,
                        0.03,
                    )
                continue
            width, height = float(rng.uniform(0.022, 0.05)), float(rng.uniform(0.15, 0.235))
            palette = (identity.backdrop.accent, *colors.CLOTH)
            color = colors.mix(palette[int(rng.integers(len(palette)))], wood, 0.25)
            book = _box(x, top + 0.25 - height, x + width, top + 0.255)
            canvas.paint([book], colors.cloth_ramp(color), 0, Finish(0.008, 0.3))
            canvas.flat(
                [_box(x + 0.005, top + 0.27 - height, x + width - 0.005, top + 0.285 - height)],
                colors.mix(color, (250, 236, 200), 0.6),
            )
            x += width + 0.003
        _solid(canvas, _box(-0.1, top + 0.25, 1.1, top + 0.275), wood)
    for x in (-0.01, 0.985):
        _solid(canvas, _box(x, -0.1, x + 0.025, 1.1), wood)


def _window(canvas: Canvas, identity: Identity, rng: np.random.Generator) -> None:
    left = 0.04 if identity.light[0] < 0 else 0.46
    right, top, bottom = left + 0.5, 0.03, 0.68
    _solid(canvas, _box(left - 0.03, top - 0.03, right + 0.03, bottom + 0.03), (236, 232, 224))
    for index in range(12):
        y0 = top + (bottom - top) * index / 12
        color = colors.mix((150, 196, 226), (236, 238, 226), index / 11)
        canvas.flat([_box(left, y0, right, y0 + (bottom - top) / 12 + 0.004)], color)
    for layer, color in ((0.14, (150, 176, 172)), (0.08, (112, 146, 118))):
        hills = bottom - layer * rng.uniform(0.6, 1.6, 6)
        line = smooth(np.stack([np.linspace(left, right, 6), hills], axis=1), 4, closed=False)
        canvas.flat([np.concatenate([line, [[right, bottom], [left, bottom]]])], color)
    middle = 0.5 * (left + right)
    _solid(canvas, _box(middle - 0.01, top, middle + 0.01, bottom), (236, 232, 224))
    _solid(canvas, _box(left, 0.33, right, 0.35), (236, 232, 224))
    _solid(canvas, _box(left - 0.05, bottom + 0.03, right + 0.05, bottom + 0.06), (226, 222, 214))
    for x, lean in ((left - 0.09, 0.02), (right + 0.01, -0.02)):
        curtain = np.array([[x, -0.1], [x + 0.10, -0.1], [x + 0.10 + lean, 0.95], [x + lean, 0.95]])
        _solid(canvas, curtain, identity.backdrop.accent, 0.45, 0.02)
        for fold in (0.03, 0.065):
            canvas.glow(
                np.array(
                    [[x + fold, -0.1], [x + fold + 0.008, -0.1], [x + fold + 0.008, 0.95], [x + fold, 0.95]]
                ),
                (20, 20, 30),
                0.30,
                0.006,
            )


def _studio(canvas: Canvas, identity: Identity, rng: np.random.Generator) -> None:
    canvas.glow(disc(np.array([0.5 + 0.2 * identity.light[0], 0.38]), 0.36), (255, 250, 240), 0.32, 0.16)
    for _ in range(int(rng.integers(4, 9))):
        center, radius = rng.uniform((0.0, 0.0), (1.0, 0.8)), float(rng.uniform(0.03, 0.10))
        color = colors.mix(identity.backdrop.accent, (255, 238, 210), float(rng.uniform(0.2, 0.7)))
        canvas.flat([disc(center, radius)], color, float(rng.uniform(0.18, 0.42)))


def _panels(canvas: Canvas, identity: Identity, rng: np.random.Generator) -> None:
    width = float(rng.uniform(0.09, 0.2))
    for index in range(int(1.2 / width) + 1):
        x = index * width - 0.05
        tone = colors.mix(identity.backdrop.wood, identity.backdrop.wall, float(rng.uniform(0.25, 0.55)))
        canvas.paint([_box(x, -0.1, x + width - 0.008, 1.1)], colors.cloth_ramp(tone), 0, Finish(0.02, 0.18))
    for x in (0.13, 0.87):
        y = float(rng.uniform(0.14, 0.3))
        canvas.glow(disc(np.array([x, y]), 0.16), (255, 226, 170), 0.55, 0.10)
        _solid(canvas, _box(x - 0.03, y - 0.05, x + 0.03, y + 0.04), (250, 236, 206), 0.2)


def _office(canvas: Canvas, identity: Identity, rng: np.random.Generator) -> None:
    side = float(rng.choice((-1.0, 1.0)))
    x = 0.5 + 0.27 * side
    _solid(canvas, _box(x - 0.23, 0.06, x + 0.23, 0.44), (44, 46, 54))
    canvas.flat(
        [_box(x - 0.215, 0.075, x + 0.215, 0.42)], colors.mix(identity.backdrop.accent, (30, 40, 60), 0.35)
    )
    heights = rng.uniform(0.05, 0.25, 7)
    for index, height in enumerate(heights):
        bar = _box(x - 0.18 + 0.053 * index, 0.39 - height, x - 0.148 + 0.053 * index, 0.39)
        canvas.flat([bar], colors.mix(identity.backdrop.accent, (255, 255, 255), 0.55))
    y = float(rng.uniform(0.56, 0.64))
    lamp = 0.5 - 0.36 * side
    canvas.glow(disc(np.array([lamp, 0.26]), 0.15), (255, 232, 180), 0.6, 0.09)
    shade = np.array([[lamp - 0.05, 0.18], [lamp + 0.05, 0.18], [lamp + 0.085, 0.31], [lamp - 0.085, 0.31]])
    _solid(canvas, shade, (244, 226, 190), 0.35, 0.03)
    _solid(canvas, _box(lamp - 0.006, 0.31, lamp + 0.006, y), identity.backdrop.wood)
    _solid(canvas, _box(-0.1, y, 1.1, y + 0.035), identity.backdrop.wood)
    canvas.flat([_box(-0.1, y + 0.035, 1.1, 1.1)], colors.mix(identity.backdrop.wood, (28, 24, 30), 0.45))
    for edge in (0.0, 0.34, 0.68, 1.0):
        canvas.flat(
            [_box(edge - 0.004, y + 0.05, edge + 0.004, 1.1)],
            colors.mix(identity.backdrop.wood, (20, 16, 20), 0.7),
        )


def _plant(canvas: Canvas, identity: Identity, rng: np.random.Generator, x: float) -> None:
    base = np.array([x, 0.74])
    green = ((62, 112, 72), (84, 136, 84), (46, 92, 70), (118, 150, 86))[int(rng.integers(4))]
    _solid(
        canvas,
        np.array([[x - 0.06, 0.74], [x + 0.06, 0.74], [x + 0.045, 0.93], [x - 0.045, 0.93]]),
        (196, 122, 86),
        0.5,
        0.03,
    )
    for angle in np.linspace(-1.25, 1.25, 9) + rng.normal(0, 0.08, 9):
        length, width = float(rng.uniform(0.2, 0.36)), float(rng.uniform(0.018, 0.032))
        direction = np.array([np.sin(angle), -np.cos(angle)])
        across = np.array([direction[1], -direction[0]])
        sag = np.array([0.0, 0.10 * abs(float(angle))])
        tip = base + length * direction + sag
        middle = base + 0.55 * length * direction + 0.2 * sag
        leaf = smooth(np.stack([base, middle + width * across, tip, middle - width * across]), 5)
        canvas.paint([leaf], colors.cloth_ramp(green), 0, Finish(0.012, 0.4))
