"""Arms and hands of a posed figure, painted from back to front."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from curation.synthetic import clothing, colors, parts
from curation.synthetic.canvas import Canvas, Touch, capsule, capsules, disc, moved
from curation.synthetic.figure import Figure, Hand
from curation.synthetic.identity import Identity

# Radii of a finger's joints and of its tip, and of the thumb's, in hand lengths.
_FINGER = np.array([0.050, 0.045, 0.041, 0.034])
_RADII = np.stack([[0.070, 0.056, 0.050, 0.040], _FINGER, _FINGER, _FINGER, 0.88 * _FINGER])
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
    canvas: Canvas,
    identity: Identity,
    shoulder: np.ndarray,
    elbow: np.ndarray,
    side: int,
    tile: np.ndarray | None,
) -> None:
    radius = identity.body.arm_radius
    part = parts.UPPER_ARM[side]
    ease = _SLEEVE_EASE.get(identity.clothing.garment, 1.08)
    medial = 1.0 if side == 0 else -1.0
    cap = 0.94 * ease * radius + 0.003
    top = moved(shoulder[:2], -0.05 * medial * radius, cap - 0.45 * radius)
    # The shoulder grows out of the torso between neck and armpit.
    fade = disc(moved(shoulder[:2], 0.75 * medial * radius, 0.20 * radius), (1.25 * radius, 1.65 * radius))
    chest = shoulder[:2] + radius * np.array([[-0.2, -0.5], [2.6, -0.9], [2.6, 2.6], [0.2, 2.0]]) * (
        medial,
        1.0,
    )
    pattern = clothing.sleeve_pattern(identity, tile, canvas.size, shoulder, elbow, identity.body.upper_arm)
    cloth = clothing.fabric_ramp(identity)
    if identity.clothing.long_sleeves:
        limb = capsule(top, elbow[:2], cap, radius * 0.88 * ease)
        _cast_shadow(
            canvas, capsule(0.6 * top + 0.4 * elbow[:2], elbow[:2], radius, 0.9 * radius), 0.010, 0.24
        )
        creases = _creases(shoulder, elbow, radius * ease)
        canvas.paint(
            [limb],
            cloth,
            part,
            bulge=0.036,
            depth=0.56,
            rim=0.06,
            touches=creases,
            pattern=pattern,
            beyond=[chest],
            fade=fade,
        )
        return
    # The bare arm starts inside the sleeve.
    limb = _frustum(elbow[:2], 0.5 * (top + elbow[:2]), radius * 0.84, radius * 0.92)
    _cast_shadow(canvas, limb, 0.010, 0.24)
    canvas.paint([limb], colors.skin_ramp(identity.skin), part, bulge=0.036, depth=0.62)
    hem = shoulder + 0.58 * (elbow - shoulder)
    sleeve = _frustum(top, hem[:2], cap, radius * 1.16)
    hem_shadow = capsule(hem[:2], hem[:2] + 0.06 * (elbow - shoulder)[:2], radius * 0.8, radius * 0.8)
    canvas.glow(hem_shadow, (60, 20, 18), 0.24, 0.010, on_cover=True)
    canvas.paint(
        [sleeve],
        cloth,
        part,
        bulge=0.034,
        depth=0.56,
        rim=0.06,
        pattern=pattern,
        beyond=[chest],
        fade=fade,
    )


def _paint_forearm(
    canvas: Canvas,
    identity: Identity,
    elbow: np.ndarray,
    wrist: np.ndarray,
    side: int,
    tile: np.ndarray | None,
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
        touches.append(
            Touch(
                np.array([middle - 0.9 * across - tilt * along, middle + 0.5 * across + tilt * along]),
                amount,
                0.010,
            )
        )
    return touches


def _cast_shadow(canvas: Canvas, shape: np.ndarray, distance: float, opacity: float) -> None:
    away = -distance * np.array(canvas.light)
    canvas.glow(shape + away, (18, 8, 16), opacity, 0.4 * distance + 0.006, on_cover=True)


def _paint_hand(canvas: Canvas, identity: Identity, hand: Hand, side: int) -> None:
    joints, size = hand.joints, hand.length
    facing = float(hand.normal[2])
    ramp = colors.skin_ramp(_hand_color(identity, facing))
    skin, contour = _fingers(hand)
    palm = _palm(hand)
    _cast_shadow(canvas, _hull(joints[:, :2]), 0.022, 0.36)
    # How near each finger is beyond its knuckle, against the middle of the palm.
    nearness = joints[1:, 2].reshape(5, 4)[:, 1:].sum(axis=1) / 3.0 - joints[[0, 5, 17], 2].sum() / 3.0
    order = np.argsort(nearness)
    dark = _contour(identity)
    backs = facing < -0.2

    def paint_finger(index: int) -> None:
        canvas.flat(contour[index], dark)
        nail = []
        if backs:
            end, before = joints[4 * index + 4, :2], joints[4 * index + 3, :2]
            nail = [Touch(disc(end + 0.1 * (end - before), 0.019 * size), 34)]
        part = parts.FINGERS[side][index]
        canvas.paint(skin[index], ramp, part, bulge=0.042 * size, depth=0.45, touches=nail, soften=0.0015)

    for index in order[nearness[order] < -0.01 * size].tolist():
        paint_finger(index)
    touches = _palm_touches(hand, facing)
    canvas.flat([_grown(palm[2], 0.003)], dark)
    canvas.paint(
        palm[:2], ramp, parts.PALM[side], bulge=0.20 * size, depth=0.42, touches=touches, soften=0.004
    )
    for index in order[nearness[order] >= -0.01 * size].tolist():
        paint_finger(index)


def _hand_color(identity: Identity, facing: float) -> colors.Color:
    """Palms are lighter and pinker than backs of hands, the more so the darker the skin."""
    palm = colors.mix(
        identity.skin, (236, 186, 164), 0.12 + 0.25 * (1 - colors.luminance(identity.skin) / 255)
    )
    amount = round(8 * min(max(0.5 + 1.2 * facing, 0.0), 1.0)) / 8
    return colors.mix(identity.skin, palm, amount)


def _contour(identity: Identity) -> colors.Color:
    return colors.mix(identity.skin, (92, 34, 26), 0.62)


def _hull(points: np.ndarray) -> np.ndarray:
    return cv2.convexHull(points.astype(np.float32))[:, 0].astype(np.float64)


def _grown(shape: np.ndarray, by: float) -> np.ndarray:
    center = shape.mean(axis=0)
    offset = shape - center
    return center + offset * (1.0 + by / np.maximum(np.hypot(offset[:, 0], offset[:, 1]), 1e-6))[:, None]


def _palm(hand: Hand) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the palm, the ball of the thumb, and what of the palm has a contour."""
    joints, size = hand.joints[:, :2], hand.length
    side = hand.thumbwards[:2] * size
    along = hand.along[:2] * size
    discs = [
        disc(joints[0] + 0.055 * side, 0.085 * size),
        disc(joints[0] - 0.060 * side, 0.080 * size),
        disc(joints[1], 0.075 * size),
        disc(joints[0] + 0.22 * along - 0.115 * side, 0.075 * size),
        *(
            disc(joints[index], radius * size)
            for index, radius in ((5, 0.056), (9, 0.056), (13, 0.054), (17, 0.05))
        ),
    ]
    ball = capsule(joints[1], joints[2], 0.085 * size, 0.06 * size)
    # The contour leaves the wrist out: hand and forearm are one skin.
    return _hull(np.concatenate(discs)), ball, _hull(np.concatenate(discs[2:]))


def _palm_touches(hand: Hand, facing: float) -> list[Touch]:
    joints, size = hand.joints[:, :2], hand.length
    along, side, normal = hand.along[:2] * size, hand.thumbwards[:2] * size, hand.normal[:2] * size
    if facing > 0.25:
        middle = joints[0] + 0.26 * along
        life = np.array(
            [middle + 0.10 * side + 0.10 * along, middle + 0.03 * side, middle + 0.05 * side - 0.16 * along]
        )
        heart = np.array(
            [
                middle - 0.14 * side + 0.07 * along,
                middle - 0.02 * side + 0.11 * along,
                middle + 0.10 * side + 0.16 * along,
            ]
        )
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


def _fingers(hand: Hand) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return for each finger the outlines of its segments, and the same a little wider as its contour."""
    chains = hand.joints[1:, :2].reshape(5, 4, 2)
    start, end = chains[:, :3].reshape(15, 2), chains[:, 1:].reshape(15, 2)
    radii = _RADII * hand.length
    near, far = radii[:, :3].reshape(15), radii[:, 1:].reshape(15)
    skin = capsules(start, end, near, far).reshape(5, 3, 18, 2)
    # No contour at the root: finger and palm are one skin.
    root = chains.copy()
    root[:, 0] += 0.6 * (chains[:, 1] - chains[:, 0])
    root[0, 1] += 0.6 * (chains[0, 2] - chains[0, 1])
    outline = capsules(root[:, :3].reshape(15, 2), root[:, 1:].reshape(15, 2), near + 0.0035, far + 0.0035)
    outline = outline.reshape(5, 3, 18, 2)
    # The thumb's first bone is in the palm.
    return [skin[0, 1:], *skin[1:]], [outline[0, 1:], *outline[1:]]
