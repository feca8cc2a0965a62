"""Clothes: the torso as one layer that is painted once and moved as a whole, and patterns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from curation.detect.measurements import FloatArray
from curation.synthetic import colors, parts
from curation.synthetic.canvas import Canvas, Finish, Mask, Pattern, Touch, disc, moved, points, smooth
from curation.synthetic.identity import Identity
from talkingpose.io.image import Image

# The layer extends below the frame, so that a raised torso shows no gap.
LAYER_HEIGHT = 1.12
_WHITE: colors.Color = (240, 240, 242)


@dataclass(frozen=True)
class Torso:
    """Clothed torso at rest: `color` (h, s, 3), `alpha` (h, s) and `outline` (n, 2)."""

    color: Image
    alpha: Mask
    outline: FloatArray


def fabric_ramp(identity: Identity) -> Image:
    """Shading ramp of the garment's main colour."""
    return colors.cloth_ramp(identity.clothing.color)


def pattern_tile(identity: Identity, size: int) -> Mask | None:
    """One period of the garment's pattern, (p, p), 255 for the second colour; None if it is plain."""
    clothing = identity.clothing
    if clothing.pattern == "plain":
        return None
    period = max(4, round(clothing.period * size * (0.55 if clothing.pattern == "pinstripes" else 1.0)))
    axis = (np.arange(period) + 0.5) / period
    line = np.clip((0.25 - np.abs(axis - 0.5)) * period + 0.5, 0.0, 1.0)
    if clothing.pattern == "stripes":
        tile = np.repeat(line[:, None], period, axis=1)
    elif clothing.pattern == "pinstripes":
        thin = np.clip((0.09 - np.abs(axis - 0.5)) * period + 0.5, 0.0, 1.0)
        tile = np.repeat(thin[None], period, axis=0) * 0.75
    elif clothing.pattern == "checks":
        tile = 0.5 * (line[:, None] + line[None])
    else:
        radius = np.hypot(*np.meshgrid(axis - 0.5, axis - 0.5))
        tile = np.clip((0.24 - radius) * period + 0.5, 0.0, 1.0)
    return np.asarray(np.rint(tile * 255), np.uint8)


def sleeve_pattern(
    identity: Identity, tile: Mask | None, size: int, start: FloatArray, end: FloatArray, length: float
) -> Pattern | None:
    """Pattern along a limb of this `length`, seen from `start` to `end`."""
    if tile is None:
        return None
    along = (end - start)[:2]
    seen = max(float(np.hypot(*along)), 1e-4)
    down = along / seen
    # Foreshortening squeezes the pattern along the limb.
    squeeze = max(seen / length, 0.35)
    origin = start[:2] * size
    matrix = np.array([[down[1], down[0] * squeeze, origin[0]], [-down[0], down[1] * squeeze, origin[1]]])
    return Pattern(tile, colors.cloth_ramp(identity.clothing.second), matrix)


def neckline(identity: Identity) -> FloatArray:
    """Edge of the garment at the neck from right to left, (n, 2)."""
    body, garment = identity.body, identity.clothing.garment
    half, top = body.neck_half, body.chin_y + 0.045
    deep = {"vneck": 0.135, "shirt": 0.085, "hoodie": 0.08, "turtleneck": 0.03}.get(garment, 0.07)
    if garment == "suit":
        deep = 0.085 if identity.clothing.tie else 0.13
    wide = {"turtleneck": 1.04, "suit": 1.2, "vneck": 1.3}.get(garment, 1.15)
    pointed = garment in ("vneck", "suit", "shirt")
    x = half * wide * np.array([-1.0, -0.75, -0.4, 0.0, 0.4, 0.75, 1.0])
    near, mid = (0.25, 0.6) if pointed else (0.5, 0.87)
    fall = np.array([0.0, near, mid, 1.0, mid, near, 0.0])
    edge = points(body.center_x + x, top + deep * fall)
    return edge if pointed else smooth(edge, 3, closed=False)


def torso_outline(identity: Identity) -> FloatArray:
    """Outline of the clothed torso at rest, (n, 2)."""
    body = identity.body
    s, y = body.shoulder_half, body.shoulder_y
    loose = {"suit": 0.012, "hoodie": 0.014, "sweater": 0.008}.get(identity.clothing.garment, 0.0)
    edge = neckline(identity)[-1]
    hip = body.hip_half
    shoulder = [edge[0] - body.center_x, body.neck_half + 0.032, 0.66 * s, s - 0.020]
    flank = [
        s + 0.016,
        s + 0.008,
        0.90 * s,
        0.82 * s,
        0.55 * (0.78 * s) + 0.45 * hip,
        hip + 0.018,
        hip + 0.022,
    ]
    down = np.array([-0.056, -0.048, -0.032, 0.006, 0.07, 0.17, 0.26, 0.38])
    side = points([*shoulder, *(x + loose for x in flank)], [edge[1], *(y + down), body.hip_y, 1.3])
    line = smooth(side, 4, closed=False)
    right = line[::-1] * (-1.0, 1.0)
    shift = np.array([body.center_x, 0.0])
    return np.concatenate([right + shift, neckline(identity), line + shift])


def paint_torso(identity: Identity, size: int, tile: Mask | None) -> Torso:
    """Paint the clothed torso at rest, once per identity."""
    rows = round(LAYER_HEIGHT * size)
    canvas = Canvas(np.empty((rows, size, 3), np.uint8), identity.light, rows / size)
    canvas.image[:] = identity.clothing.color
    outline = torso_outline(identity)
    pattern = None
    if tile is not None:
        left = identity.body.center_x * size - tile.shape[0] / 2
        shift = np.array([[1.0, 0.0, left], [0.0, 1.0, 0.3 * size]])
        pattern = Pattern(tile, colors.cloth_ramp(identity.clothing.second), shift)
    finish, folds, beyond = Finish(0.10, 0.62, 0.12, soften=0.014), _folds(identity), _shoulders(identity)
    ramp = fabric_ramp(identity)
    canvas.paint([outline], ramp, parts.TORSO, finish, touches=folds, pattern=pattern, beyond=beyond)
    alpha = canvas.cover.copy()
    _DETAILS[identity.clothing.garment](canvas, identity)
    return Torso(canvas.image, np.maximum(alpha, canvas.cover), outline)


def _shoulders(identity: Identity) -> list[FloatArray]:
    """Discs where the torso continues into the upper arms."""
    body = identity.body
    middle = np.array([body.center_x, body.shoulder_y + 0.065])
    reach = np.array([body.shoulder_half + 0.045, 0.0])
    return [disc(middle + sign * reach, (0.075, 0.085)) for sign in (-1.0, 1.0)]


def paint_collar_behind(canvas: Canvas, identity: Identity, torso_map: FloatArray) -> None:
    """Paint the part of the garment behind the neck."""
    garment = identity.clothing.garment
    if garment not in ("shirt", "suit", "hoodie"):
        return
    edge = neckline(identity)
    body = identity.body
    rise, wide = (0.035, 0.05) if garment == "hoodie" else (0.014, 0.008)
    left, right, top, x = edge[0, 0], edge[-1, 0], edge[0, 1], body.center_x
    across = [left - wide, left - wide * 0.6, x, right + wide * 0.6, right + wide, x]
    shape = smooth(
        points(across, [top + 0.03, top - rise, top - rise - 0.006, top - rise, top + 0.03, top + 0.06])
    )
    color = identity.clothing.color if garment != "suit" else _WHITE
    shape = shape @ torso_map[:, :2].T + torso_map[:, 2]
    canvas.paint([shape], colors.cloth_ramp(colors.mix(color, (24, 22, 34), 0.35)), parts.NECK, Finish(0.02))


def _folds(identity: Identity) -> list[Touch]:
    body = identity.body
    s, y = body.shoulder_half, body.shoulder_y
    lines = (
        ((s - 0.03, 0.14), (0.62 * s, 0.20), (0.35 * s, 0.22), -26, 0.016),
        ((s - 0.04, 0.19), (0.66 * s, 0.27), (0.42 * s, 0.31), -20, 0.014),
        ((0.72 * s, 0.42), (0.40 * s, 0.45), (0.10 * s, 0.44), -16, 0.014),
        ((0.70 * s, 0.36), (0.42 * s, 0.385), (0.18 * s, 0.38), 12, 0.014),
        ((0.30 * s, 0.0), (0.45 * s, 0.06), (0.50 * s, 0.13), 12, 0.03),
    )
    touches = []
    for side in (-1.0, 1.0):
        for a, b, c, amount, width in lines:
            line = np.array([a, b, c]) * (side, 1.0) + (body.center_x, y)
            touches.append(Touch(smooth(line, 4, closed=False), amount, width))
    return touches


def _band(identity: Identity, width: float) -> FloatArray:
    """Band along the outside of the neckline."""
    edge = neckline(identity)
    center = np.array([identity.body.center_x, edge[0, 1] - 0.01])
    outward = edge - center
    outward = outward / np.linalg.norm(outward, axis=1, keepdims=True)
    return np.concatenate([edge - 0.003 * outward, (edge + width * outward)[::-1]])


def _shadow(
    canvas: Canvas, shape: FloatArray, opacity: float, blur: float, color: colors.Color = (10, 8, 16)
) -> None:
    canvas.glow(shape, color, opacity, blur, on_cover=True)


def _sew(canvas: Canvas, shape: FloatArray, color: colors.Color, bulge: float, depth: float = 0.5) -> None:
    canvas.paint([shape], colors.cloth_ramp(color), parts.TORSO, Finish(bulge, depth))


def _tee(canvas: Canvas, identity: Identity) -> None:
    plain = identity.clothing.pattern == "plain"
    color = identity.clothing.color if plain else identity.clothing.second
    _sew(canvas, _band(identity, 0.018), colors.mix(color, (20, 20, 30), 0.12), 0.008)


def _sweater(canvas: Canvas, identity: Identity) -> None:
    band = _band(identity, 0.028)
    _shadow(canvas, moved(band, 0.0, 0.006), 0.3, 0.008)
    _sew(canvas, band, colors.mix(identity.clothing.color, (20, 20, 30), 0.14), 0.012)


def _turtleneck(canvas: Canvas, identity: Identity) -> None:
    body = identity.body
    half, top = body.neck_half * 1.10, body.chin_y + 0.024
    across = body.center_x + half * np.array([-1, 0, 1, 1.14, 0, -1.14])
    shape = smooth(points(across, top + np.array([0, 0.024, 0, 0.074, 0.106, 0.074])), 5)
    _shadow(canvas, moved(shape, 0.0, 0.008), 0.3, 0.01)
    fold = points(body.center_x + half * np.array([-1.1, 0, 1.1]), top + np.array([0.05, 0.085, 0.05]))
    touches = [Touch(fold, -26, 0.008)]
    canvas.paint([shape], fabric_ramp(identity), parts.TORSO, Finish(0.03, 0.6), touches=touches)


def _vneck(canvas: Canvas, identity: Identity) -> None:
    color = identity.clothing.color
    edge = (255, 255, 255) if colors.luminance(color) < 90 else (20, 20, 30)
    _sew(canvas, _band(identity, 0.02), colors.mix(color, edge, 0.16), 0.008)


def _tie(canvas: Canvas, identity: Identity, top: float) -> None:
    x = identity.body.center_x
    ramp = colors.cloth_ramp(identity.clothing.accent, 0.5)
    blade = np.array(
        [[x - 0.014, top + 0.03], [x + 0.014, top + 0.03], [x + 0.034, 0.90], [x, 0.955], [x - 0.034, 0.90]]
    )
    knot = np.array([[x - 0.026, top], [x + 0.026, top], [x + 0.016, top + 0.042], [x - 0.016, top + 0.042]])
    _shadow(canvas, moved(blade, 0.004, 0.004), 0.4, 0.008)
    stripes = [
        Touch(np.array([[x - 0.05, y + 0.03], [x + 0.05, y - 0.03]]), 46, 0.011)
        for y in np.arange(top + 0.06, 0.96, 0.055)
    ]
    canvas.paint([blade], ramp, parts.TORSO, Finish(0.012, 0.4, soften=0.0), touches=stripes)
    canvas.paint([knot], ramp, parts.TORSO, Finish(0.012, 0.5))


def _collar_leaves(canvas: Canvas, identity: Identity, color: colors.Color, tip: float) -> None:
    edge = neckline(identity)
    x = identity.body.center_x
    lowest = min(edge[3, 1], edge[0, 1] + 0.085)
    for side in (0, -1):
        sign = -1.0 if side == 0 else 1.0
        leaf = np.array(
            [
                edge[side] + (sign * 0.004, -0.012),
                edge[side] + (sign * 0.034, 0.020),
                [x + sign * (0.050 + tip), lowest + 0.040],
                [x + sign * 0.004, lowest],
            ]
        )
        _shadow(canvas, moved(leaf, 0.0, 0.008), 0.38, 0.008)
        _sew(canvas, leaf, color, 0.012, 0.35)


def _shirt(canvas: Canvas, identity: Identity) -> None:
    x, color = identity.body.center_x, identity.clothing.color
    top = float(neckline(identity)[:, 1].max())
    placket = np.array([[x + 0.014, top], [x + 0.019, top], [x + 0.019, 1.2], [x + 0.014, 1.2]])
    _shadow(canvas, placket, 0.4, 0.005)
    if identity.clothing.tie:
        _tie(canvas, identity, top - 0.012)
    else:
        pale = colors.mix(color, (255, 255, 255), 0.6) if colors.luminance(color) < 150 else (120, 116, 120)
        for y in np.arange(top + 0.05, 1.1, 0.085):
            canvas.flat([disc(np.array([x, y]), 0.0075)], pale)
    _collar_leaves(canvas, identity, colors.mix(color, (255, 255, 255), 0.12), 0.006)


def _suit(canvas: Canvas, identity: Identity) -> None:
    body, color = identity.body, identity.clothing.color
    x, edge = body.center_x, neckline(identity)
    low, fall = body.shoulder_y + 0.30, float(edge[:, 1].max())
    chest = np.concatenate([edge, [[x + 0.095, body.shoulder_y], [x, low], [x - 0.095, body.shoulder_y]]])
    shirt = _WHITE if colors.luminance(identity.clothing.accent) < 190 else colors.mix(_WHITE, color, 0.35)
    _sew(canvas, chest, shirt, 0.03, 0.3)
    if identity.clothing.tie:
        _tie(canvas, identity, fall - 0.014)
    _collar_leaves(canvas, identity, shirt, -0.004)
    for sign in (-1.0, 1.0):
        half, y = body.neck_half, body.shoulder_y
        out = np.array([half * 1.25 + 0.010, half + 0.050, 0.150, 0.118, 0.126, -0.004, 0.066])
        down = [edge[0, 1] + 0.004, y - 0.040, y + 0.070, y + 0.082, y + 0.110, low + 0.02, y + 0.05]
        lapel = points(x + sign * out, down)
        _shadow(canvas, moved(lapel, 0.0, 0.010), 0.45, 0.010, (6, 6, 12))
        _sew(canvas, lapel, colors.mix(color, (255, 255, 255), 0.07), 0.014, 0.45)
    dark = colors.mix(color, (8, 8, 12), 0.55)
    canvas.line(np.array([[x, low + 0.015], [x - 0.006, 1.2]]), dark, 0.005)
    for y in (low + 0.045, low + 0.135):
        canvas.flat([disc(np.array([x + 0.016, y]), 0.009)], dark)


def _hoodie(canvas: Canvas, identity: Identity) -> None:
    body = identity.body
    edge = neckline(identity)
    x = body.center_x
    center = np.array([x, edge[0, 1] - 0.02])
    outer = center + (edge - center) * (1.75, 1.55)
    roll = np.concatenate([edge, outer[::-1]])
    _shadow(canvas, moved(roll, 0.0, 0.012), 0.45, 0.014, (8, 6, 14))
    _sew(canvas, roll, identity.clothing.color, 0.022, 0.6)
    low = float(edge[:, 1].max())
    for sign, length in ((-1.0, 0.145), (1.0, 0.165)):
        across = x + sign * np.array([0.030, 0.036, 0.032])
        cord = smooth(points(across, [low + 0.012, low + 0.5 * length, low + length]), 4, closed=False)
        canvas.line(moved(cord, 0.004, 0.004), colors.mix(identity.clothing.color, (8, 8, 12), 0.6), 0.008)
        canvas.line(cord, identity.clothing.second, 0.007)
        canvas.flat([disc(cord[-1], 0.007)], identity.clothing.second)
    pocket = np.array([[x - 0.10, 0.86], [x + 0.10, 0.86], [x + 0.145, 1.2], [x - 0.145, 1.2]])
    canvas.line(pocket, colors.mix(identity.clothing.color, (8, 8, 12), 0.45), 0.005, closed=True)


_DETAILS = {"tee": _tee, "sweater": _sweater, "shirt": _shirt, "suit": _suit, "hoodie": _hoodie}
_DETAILS |= {"vneck": _vneck, "turtleneck": _turtleneck}
