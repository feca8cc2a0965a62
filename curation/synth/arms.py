"""Arms and hands of a posed figure, painted from back to front."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from curation.synth import clothing, colors, parts
from curation.synth.canvas import Canvas, Touch, capsule, disc
from curation.synth.figure import Figure, Hand
from curation.synth.identity import Identity

# Radii of a finger's joints and of its tip, and of the thumb's, in hand lengths.
_FINGER = (0.050, 0.045, 0.041, 0.034)
_THUMB = (0.070, 0.056, 0.050, 0.040)
_SLEEVE_EASE = {"suit": 1.24, "hoodie": 1.26, "sweater": 1.18, "shirt": 1.15, "turtleneck": 1.10}


def paint_arms(canvas: Canvas, identity: Identity, figure: Figure, tile: np.ndarray | None) -> None:
    """Paint both arms; what is nearer comes later, and each segment after the one it hangs on."""
    jobs: list[tuple[float, Callable[[], None]]] = []
    for side in (0, 1):
        shoulder, elbow, wrist = figure.shoulders[side], figure.elbows[side], figure.wrists[side]
        hand = figure.hands[side]
        upper_z = 0.5 * float(shoulder[2] + elbow[2])
        fore_z = max(upper_z, 0.5 * float(elbow[2] + wrist[2])) + 1e-3
        hand_z = max(fore_z, float(hand.joints[:, 2].mean())) + 1e-3
        jobs.append((upper_z, _job(_paint_upper_arm, canvas, identity, shoulder, elbow, side, tile)))
        jobs.append((fore_z, _job(_paint_forearm, canvas, identity, elbow, wrist, side, tile)))
        jobs.append((hand_z, _job(_paint_hand, canvas, identity, hand, side)))
    for _, paint in sorted(jobs, key=lambda job: job[0]):
        paint()


def _job(paint: Callable[..., None], *arguments: object) -> Callable[[], None]:
    return lambda: paint(*arguments)


def _paint_upper_arm(
    canvas: Canvas, identity: Identity, shoulder: np.ndarray, elbow: np.ndarray, side: int, tile: np.ndarray | None
) -> None:
    radius = identity.body.arm_radius
    part = parts.UPPER_ARM[side]
    ease = _SLEEVE_EASE.get(identity.clothing.garment, 1.08)
    top = shoulder[:2] + (0.0, 0.3 * radius)
    pattern = clothing.sleeve_pattern(identity, tile, canvas.size, shoulder, elbow, identity.body.upper_arm)
    if identity.clothing.long_sleeves:
        limb = capsule(top, elbow[:2], radius * 1.10 * ease, radius * 0.90 * ease)
        _cast_shadow(canvas, limb, 0.010, 0.26)
        canvas.paint(
            [limb],
            clothing.fabric_ramp(identity),
            part,
            bulge=0.036,
            depth=0.60,
            rim=0.10,
            touches=_creases(shoulder, elbow, radius * ease),
            soften=0.006,
            pattern=pattern,
        )
        return
    limb = capsule(top, elbow[:2], radius * 1.05, radius * 0.84)
    _cast_shadow(canvas, limb, 0.010, 0.26)
    canvas.paint([limb], colors.skin_ramp(identity.skin), part, bulge=0.036, depth=0.62)
    hem = shoulder + 0.58 * (elbow - shoulder)
    sleeve = _frustum(top, hem[:2], radius * 1.14, radius * 1.20)
    canvas.glow(sleeve + (0.0, 0.008), (30, 8, 10), 0.35, 0.008, on_cover=True)
    canvas.paint([sleeve], clothing.fabric_ramp(identity), part, bulge=0.036, depth=0.60, rim=0.10, pattern=pattern)


def _paint_forearm(
    canvas: Canvas, identity: Identity, elbow: np.ndarray, wrist: np.ndarray, side: int, tile: np.ndarray | None
) -> None:
    radius = identity.body.arm_radius
    part = parts.FOREARM[side]
    ease = _SLEEVE_EASE.get(identity.clothing.garment, 1.08)
    near = 1.0 + 0.35 * float(wrist[2])
    bare = capsule(elbow[:2], wrist[:2], radius * 0.88, radius * 0.56 * near)
    _cast_shadow(canvas, bare, 0.020, 0.40)
    if not identity.clothing.long_sleeves:
        canvas.paint([bare], colors.skin_ramp(identity.skin), part, bulge=0.032, depth=0.62)
        return
    canvas.paint([bare], colors.skin_ramp(identity.skin), part, bulge=0.02, depth=0.5)
    cuff = elbow + 0.93 * (wrist - elbow)
    sleeve = _frustum(elbow[:2], cuff[:2], radius * 0.90 * ease, radius * 0.72 * ease * near)
    pattern = clothing.sleeve_pattern(identity, tile, canvas.size, elbow, wrist, identity.body.forearm)
    canvas.paint(
        [sleeve],
        clothing.fabric_ramp(identity),
        part,
        bulge=0.032,
        depth=0.60,
        rim=0.10,
        touches=_creases(elbow, wrist, radius * ease),
        soften=0.006,
        pattern=pattern,
    )
    _paint_cuff(canvas, identity, elbow, wrist, radius * 0.74 * ease * near, part)


def _paint_cuff(
    canvas: Canvas, identity: Identity, elbow: np.ndarray, wrist: np.ndarray, radius: float, part: int
) -> None:
    garment, color = identity.clothing.garment, identity.clothing.color
    start, end = (0.93, 0.99) if garment == "suit" else (0.86, 0.95)
    band = _frustum(
        (elbow + start * (wrist - elbow))[:2], (elbow + end * (wrist - elbow))[:2], radius, radius * 0.97
    )
    shade = (240, 240, 242) if garment == "suit" else colors.mix(color, (16, 16, 24), 0.15)
    canvas.paint([band], colors.cloth_ramp(shade), part, bulge=0.02, depth=0.5)


def _frustum(a: np.ndarray, b: np.ndarray, radius_a: float, radius_b: float) -> np.ndarray:
    """Return a sleeve: round at its start, cut nearly straight, slightly bowed, at its end."""
    along = b - a
    length = max(float(np.hypot(*along)), 1e-4)
    along = along / length
    across = np.array([-along[1], along[0]])
    # A sleeve that points to the viewer shows its round opening.
    bow = min(1.0, max(0.22, 1.0 - length / (2.0 * radius_b)))
    angle = np.linspace(-np.pi / 2, np.pi / 2, 9)
    end = b + radius_b * (np.sin(angle)[:, None] * across + bow * np.cos(angle)[:, None] * along)
    outline = np.concatenate([disc(a, radius_a), end]).astype(np.float32)
    return cv2.convexHull(outline)[:, 0].astype(np.float64)


def _creases(start: np.ndarray, end: np.ndarray, radius: float) -> list[Touch]:
    along = (end - start)[:2]
    length = float(np.hypot(*along))
    if length < 0.06:
        return []
    across = np.array([-along[1], along[0]]) / length * radius
    touches = []
    for at, tilt, amount in ((0.18, 0.06, -18), (0.80, -0.07, -24), (0.90, 0.05, 16)):
        middle = start[:2] + at * along
        touches.append(Touch(np.array([middle - 0.9 * across - tilt * along, middle + 0.5 * across + tilt * along]), amount, 0.010))
    return touches


def _cast_shadow(canvas: Canvas, shape: np.ndarray, distance: float, opacity: float) -> None:
    away = -distance * np.array(canvas.light)
    canvas.glow(shape + away, (18, 8, 16), opacity, 0.4 * distance + 0.006, on_cover=True)


def _paint_hand(canvas: Canvas, identity: Identity, hand: Hand, side: int) -> None:
    joints, size = hand.joints, hand.length
    facing = float(hand.normal[2])
    ramp = colors.skin_ramp(_hand_color(identity, facing))
    fingers = [(joints[[1 + 4 * i, 2 + 4 * i, 3 + 4 * i, 4 + 4 * i]], i) for i in range(5)]
    palm = _palm(hand)
    _cast_shadow(canvas, np.concatenate([_hull(joints[:, :2])]), 0.022, 0.36)
    # The middle of the palm against the middle of a finger's outer half says which one is nearer.
    level = float(joints[[0, 5, 17], 2].mean()) + 0.01 * size
    behind = [f for f in fingers if f[0][1:, 2].mean() < level - 0.02 * size]
    front = [f for f in fingers if f[0][1:, 2].mean() >= level - 0.02 * size]
    for chain, index in sorted(behind, key=lambda f: float(f[0][:, 2].mean())):
        _paint_finger(canvas, identity, chain, index, side, hand, ramp)
    touches = _palm_touches(hand, facing)
    canvas.flat([_grown(palm[0], 0.003)], _contour(identity))
    canvas.paint(palm, ramp, parts.PALM[side], bulge=0.20 * size, depth=0.42, touches=touches, soften=0.004)
    for chain, index in sorted(front, key=lambda f: float(f[0][:, 2].mean())):
        _paint_finger(canvas, identity, chain, index, side, hand, ramp)


def _hand_color(identity: Identity, facing: float) -> colors.Color:
    """Palms are lighter and pinker than backs of hands, the more so the darker the skin."""
    palm = colors.mix(identity.skin, (236, 186, 164), 0.12 + 0.25 * (1 - colors.luminance(identity.skin) / 255))
    amount = round(8 * float(np.clip(0.5 + 1.2 * facing, 0, 1))) / 8
    return colors.mix(identity.skin, palm, amount)


def _contour(identity: Identity) -> colors.Color:
    return colors.mix(identity.skin, (92, 34, 26), 0.62)


def _hull(points: np.ndarray) -> np.ndarray:
    return cv2.convexHull(points.astype(np.float32))[:, 0].astype(np.float64)


def _grown(shape: np.ndarray, by: float) -> np.ndarray:
    center = shape.mean(axis=0)
    offset = shape - center
    return center + offset * (1.0 + by / np.maximum(np.hypot(offset[:, 0], offset[:, 1]), 1e-6))[:, None]


def _palm(hand: Hand) -> list[np.ndarray]:
    joints, size = hand.joints[:, :2], hand.length
    side = hand.thumbwards[:2] * size
    along = hand.along[:2] * size
    discs = [
        disc(joints[0] + 0.055 * side, 0.085 * size),
        disc(joints[0] - 0.060 * side, 0.080 * size),
        disc(joints[1], 0.075 * size),
        disc(joints[0] + 0.22 * along - 0.115 * side, 0.075 * size),
        *(disc(joints[index], radius * size) for index, radius in ((5, 0.056), (9, 0.056), (13, 0.054), (17, 0.05))),
    ]
    ball = capsule(joints[1], joints[2], 0.085 * size, 0.06 * size)
    return [_hull(np.concatenate(discs)), ball]


def _palm_touches(hand: Hand, facing: float) -> list[Touch]:
    joints, size = hand.joints[:, :2], hand.length
    along, side, normal = hand.along[:2] * size, hand.thumbwards[:2] * size, hand.normal[:2] * size
    if facing > 0.25:
        middle = joints[0] + 0.26 * along
        life = np.array([middle + 0.10 * side + 0.10 * along, middle + 0.03 * side, middle + 0.05 * side - 0.16 * along])
        heart = np.array([middle - 0.14 * side + 0.07 * along, middle - 0.02 * side + 0.11 * along, middle + 0.10 * side + 0.16 * along])
        hollow = disc(middle + 0.04 * along, 0.085 * size)
        return [Touch(hollow, -10), Touch(life, -30, 0.004), Touch(heart, -26, 0.004)]
    if facing < -0.25:
        touches = []
        for index in (5, 9, 13, 17):
            knuckle = joints[index] - 0.03 * normal
            touches.append(Touch(np.array([knuckle - 0.05 * along, knuckle - 0.20 * along]), 14, 0.006))
            touches.append(Touch(disc(knuckle - 0.02 * along, 0.022 * size), -14))
        return touches
    return []


def _paint_finger(
    canvas: Canvas, identity: Identity, chain: np.ndarray, index: int, side: int, hand: Hand, ramp: np.ndarray
) -> None:
    radii = np.array(_THUMB if index == 0 else _FINGER) * hand.length
    if index == 4:
        radii = radii * 0.88
    points = chain[:, :2]
    first = 1 if index == 0 else 0
    segments = [capsule(points[i], points[i + 1], radii[i], radii[i + 1]) for i in range(first, 3)]
    outline = [capsule(points[i], points[i + 1], radii[i] + 0.0035, radii[i + 1] + 0.0035) for i in range(first, 3)]
    # No contour at the root: finger and palm are one skin.
    root = points[first] + 0.6 * (points[first + 1] - points[first])
    if float(np.hypot(*(points[first + 1] - points[first]))) > 0.5 * radii[1]:
        outline[0] = capsule(root, points[first + 1], radii[first] + 0.0035, radii[first + 1] + 0.0035)
    canvas.flat(outline, _contour(identity))
    touches = []
    if hand.normal[2] < -0.2:
        tip = points[3] + 0.1 * (points[3] - points[2])
        touches.append(Touch(disc(tip, 0.55 * radii[3]), 34))
    canvas.paint(segments, ramp, parts.FINGERS[side][index], bulge=0.85 * radii[0], depth=0.45, touches=touches, soften=0.0015)
