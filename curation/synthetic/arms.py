"""Arms and hands of a posed figure, painted from back to front."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from curation.detect.measurements import FloatArray
from curation.synthetic import clothing, colors, parts
from curation.synthetic.canvas import (
    Canvas,
    Finish,
    Mask,
    Pattern,
    Touch,
    capsule,
    capsules,
    disc,
    moved,
    points,
)
from curation.synthetic.figure import Figure, Hand
from curation.synthetic.identity import Identity

# Radii of the joints and the tip of each finger, thumb first, in hand lengths.
_FINGER = np.array([0.050, 0.045, 0.041, 0.034])
_RADII = np.stack([[0.070, 0.056, 0.050, 0.040], _FINGER, _FINGER, _FINGER, 0.88 * _FINGER])
_SLEEVE_EASE = {"suit": 1.24, "hoodie": 1.26, "sweater": 1.18, "shirt": 1.15, "turtleneck": 1.10}


def paint_arms(canvas: Canvas, identity: Identity, figure: Figure, tile: Mask | None) -> None:
    """Paint both arms: nearer parts later, and each segment after the one it hangs on."""
    jobs = [job for side in (0, 1) for job in _Arm(canvas, identity, figure, side, tile).jobs()]
    for _, paint in sorted(jobs, key=lambda job: job[0]):
        paint()


class _Arm:
    """One arm; side 0 is the speaker's right."""

    def __init__(
        self, canvas: Canvas, identity: Identity, figure: Figure, side: int, tile: Mask | None
    ) -> None:
        self._canvas, self._identity, self._side, self._tile = canvas, identity, side, tile
        self._shoulder, self._elbow = figure.shoulders[side], figure.elbows[side]
        self._wrist, self._hand = figure.wrists[side], figure.hands[side]
        self._radius = identity.body.arm_radius
        self._ease = _SLEEVE_EASE.get(identity.clothing.garment, 1.08)
        self._skin, self._cloth = colors.skin_ramp(identity.skin), clothing.fabric_ramp(identity)

    def jobs(self) -> list[tuple[float, Callable[[], None]]]:
        """Depth and painter of upper arm, forearm and hand."""
        upper = 0.5 * float(self._shoulder[2] + self._elbow[2])
        fore = max(upper, 0.5 * float(self._elbow[2] + self._wrist[2])) + 1e-3
        hand = max(fore, float(self._hand.joints[:, 2].mean())) + 1e-3
        return [(upper, self._paint_upper), (fore, self._paint_forearm), (hand, self._paint_hand)]

    def _pattern(self, start: FloatArray, end: FloatArray, length: float) -> Pattern | None:
        return clothing.sleeve_pattern(self._identity, self._tile, self._canvas.size, start, end, length)

    def _paint_upper(self) -> None:
        canvas, radius, ease = self._canvas, self._radius, self._ease
        shoulder, elbow = self._shoulder, self._elbow
        part = parts.UPPER_ARM[self._side]
        medial = 1.0 if self._side == 0 else -1.0
        cap = 0.94 * ease * radius + 0.003
        top = moved(shoulder[:2], -0.05 * medial * radius, cap - 0.45 * radius)
        # The shoulder grows out of the torso between neck and armpit.
        fade = disc(
            moved(shoulder[:2], 0.75 * medial * radius, 0.20 * radius), (1.25 * radius, 1.65 * radius)
        )
        chest = shoulder[:2] + radius * points([-0.2, 2.6, 2.6, 0.2], [-0.5, -0.9, 2.6, 2.0]) * (medial, 1.0)
        pattern = self._pattern(shoulder, elbow, self._identity.body.upper_arm)
        if self._identity.clothing.long_sleeves:
            limb = capsule(top, elbow[:2], cap, radius * 0.88 * ease)
            _cast_shadow(
                canvas, capsule(0.6 * top + 0.4 * elbow[:2], elbow[:2], radius, 0.9 * radius), 0.010, 0.24
            )
            finish, touches = Finish(0.036, 0.56, 0.06), _creases(shoulder, elbow, radius * ease)
        else:
            # The bare arm starts inside the sleeve.
            bare = _frustum(elbow[:2], 0.5 * (top + elbow[:2]), radius * 0.84, radius * 0.92)
            _cast_shadow(canvas, bare, 0.010, 0.24)
            canvas.paint([bare], self._skin, part, Finish(0.036, 0.62))
            hem = shoulder + 0.58 * (elbow - shoulder)
            limb = _frustum(top, hem[:2], cap, radius * 1.16)
            shadow = capsule(hem[:2], hem[:2] + 0.06 * (elbow - shoulder)[:2], radius * 0.8, radius * 0.8)
            canvas.glow(shadow, (60, 20, 18), 0.24, 0.010, on_cover=True)
            finish, touches = Finish(0.034, 0.56, 0.06), []
        canvas.paint(
            [limb], self._cloth, part, finish, touches=touches, pattern=pattern, beyond=[chest], fade=fade
        )

    def _paint_forearm(self) -> None:
        canvas, radius, ease = self._canvas, self._radius, self._ease
        elbow, wrist = self._elbow, self._wrist
        part = parts.FOREARM[self._side]
        near = 1.0 + 0.35 * float(wrist[2])
        bare = capsule(elbow[:2], wrist[:2], radius * 0.88, radius * 0.56 * near)
        _cast_shadow(canvas, bare, 0.020, 0.40)
        if not self._identity.clothing.long_sleeves:
            canvas.paint([bare], self._skin, part, Finish(0.032, 0.62))
            return
        canvas.paint([bare], self._skin, part, Finish(0.02, 0.5))
        cuff = elbow + 0.93 * (wrist - elbow)
        sleeve = _frustum(elbow[:2], cuff[:2], radius * 0.90 * ease, radius * 0.72 * ease * near)
        pattern = self._pattern(elbow, wrist, self._identity.body.forearm)
        creases = _creases(elbow, wrist, radius * ease)
        canvas.paint([sleeve], self._cloth, part, Finish(0.032, 0.60, 0.10), touches=creases, pattern=pattern)
        self._paint_cuff(radius * 0.74 * ease * near, part)

    def _paint_cuff(self, radius: float, part: int) -> None:
        suit = self._identity.clothing.garment == "suit"
        start, end = (
            self._elbow + at * (self._wrist - self._elbow) for at in ((0.93, 0.99) if suit else (0.86, 0.95))
        )
        band = _frustum(start[:2], end[:2], radius, radius * 0.97)
        shade = (240, 240, 242) if suit else colors.mix(self._identity.clothing.color, (16, 16, 24), 0.15)
        self._canvas.paint([band], colors.cloth_ramp(shade), part, Finish(0.02, 0.5))

    def _paint_hand(self) -> None:
        canvas, hand = self._canvas, self._hand
        joints, size = hand.joints, hand.length
        facing = float(hand.normal[2])
        ramp = colors.skin_ramp(_hand_color(self._identity, facing))
        dark = colors.mix(self._identity.skin, (92, 34, 26), 0.62)
        skin, contour = _fingers(hand)
        palm, ball, edge = _palm(hand)
        _cast_shadow(canvas, _hull(joints[:, :2]), 0.022, 0.36)
        # Depth of each finger beyond its knuckle, relative to the middle of the palm.
        nearness = joints[1:, 2].reshape(5, 4)[:, 1:].sum(axis=1) / 3.0 - joints[[0, 5, 17], 2].sum() / 3.0
        order = np.argsort(nearness)

        def paint_finger(index: int) -> None:
            canvas.flat(contour[index], dark)
            nail = []
            if facing < -0.2:
                end, before = joints[4 * index + 4, :2], joints[4 * index + 3, :2]
                nail = [Touch(disc(end + 0.1 * (end - before), 0.019 * size), 34)]
            finish = Finish(0.042 * size, 0.45, soften=0.0015)
            canvas.paint(skin[index], ramp, parts.FINGERS[self._side][index], finish, touches=nail)

        for index in order[nearness[order] < -0.01 * size].tolist():
            paint_finger(index)
        canvas.flat([_grown(edge, 0.003)], dark)
        finish = Finish(0.20 * size, 0.42, soften=0.004)
        canvas.paint([palm, ball], ramp, parts.PALM[self._side], finish, touches=_palm_touches(hand, facing))
        for index in order[nearness[order] >= -0.01 * size].tolist():
            paint_finger(index)


def _frustum(a: FloatArray, b: FloatArray, radius_a: float, radius_b: float) -> FloatArray:
    """Outline of a sleeve: round at its start, nearly straight at its end."""
    along = b - a
    length = max(float(np.hypot(*along)), 1e-4)
    along = along / length
    across = np.array([-along[1], along[0]])
    # A sleeve that points to the viewer shows its round opening.
    bow = min(1.0, max(0.22, 1.0 - length / (2.0 * radius_b)))
    angle = np.linspace(-np.pi / 2, np.pi / 2, 9)
    end = b + radius_b * (np.sin(angle)[:, None] * across + bow * np.cos(angle)[:, None] * along)
    return _hull(np.concatenate([disc(a, radius_a), end]))


def _creases(start: FloatArray, end: FloatArray, radius: float) -> list[Touch]:
    along = (end - start)[:2]
    length = float(np.hypot(*along))
    if length < 0.06:
        return []
    across = np.array([-along[1], along[0]]) / length * radius
    touches = []
    for at, tilt, amount in ((0.18, 0.06, -18), (0.80, -0.07, -24), (0.90, 0.05, 16)):
        middle = start[:2] + at * along
        ends = np.array([middle - 0.9 * across - tilt * along, middle + 0.5 * across + tilt * along])
        touches.append(Touch(ends, amount, 0.010))
    return touches


def _cast_shadow(canvas: Canvas, shape: FloatArray, distance: float, opacity: float) -> None:
    away = -distance * np.array(canvas.light)
    canvas.glow(shape + away, (18, 8, 16), opacity, 0.4 * distance + 0.006, on_cover=True)


def _hand_color(identity: Identity, facing: float) -> colors.Color:
    """Colour of a hand: palms are lighter and pinker than backs, more so for darker skin."""
    palm = colors.mix(
        identity.skin, (236, 186, 164), 0.12 + 0.25 * (1 - colors.luminance(identity.skin) / 255)
    )
    amount = round(8 * min(max(0.5 + 1.2 * facing, 0.0), 1.0)) / 8
    return colors.mix(identity.skin, palm, amount)


def _hull(shape: FloatArray) -> FloatArray:
    return np.asarray(cv2.convexHull(shape.astype(np.float32))[:, 0], np.float64)


def _grown(shape: FloatArray, by: float) -> FloatArray:
    center = shape.mean(axis=0)
    offset = shape - center
    grown: FloatArray = (
        center + offset * (1.0 + by / np.maximum(np.hypot(offset[:, 0], offset[:, 1]), 1e-6))[:, None]
    )
    return grown


def _palm(hand: Hand) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Outlines of the palm, the ball of the thumb, and the part of the palm with a contour."""
    joints, size = hand.joints[:, :2], hand.length
    side, along = hand.thumbwards[:2] * size, hand.along[:2] * size
    knuckles = ((5, 0.056), (9, 0.056), (13, 0.054), (17, 0.05))
    discs = [
        disc(joints[0] + 0.055 * side, 0.085 * size),
        disc(joints[0] - 0.060 * side, 0.080 * size),
        disc(joints[1], 0.075 * size),
        disc(joints[0] + 0.22 * along - 0.115 * side, 0.075 * size),
        *(disc(joints[index], radius * size) for index, radius in knuckles),
    ]
    ball = capsule(joints[1], joints[2], 0.085 * size, 0.06 * size)
    # No contour at the wrist: hand and forearm share one skin.
    return _hull(np.concatenate(discs)), ball, _hull(np.concatenate(discs[2:]))


def _palm_touches(hand: Hand, facing: float) -> list[Touch]:
    joints, size = hand.joints[:, :2], hand.length
    along, side, normal = hand.along[:2] * size, hand.thumbwards[:2] * size, hand.normal[:2] * size
    if facing > 0.25:
        middle = joints[0] + 0.26 * along
        life = [
            middle + 0.10 * side + 0.10 * along,
            middle + 0.03 * side,
            middle + 0.05 * side - 0.16 * along,
        ]
        heart = [
            middle - 0.14 * side + 0.07 * along,
            middle - 0.02 * side + 0.11 * along,
            middle + 0.10 * side + 0.16 * along,
        ]
        hollow = disc(middle + 0.04 * along, 0.085 * size)
        return [Touch(hollow, -10), Touch(np.array(life), -30, 0.004), Touch(np.array(heart), -26, 0.004)]
    touches = []
    for index in (5, 9, 13, 17) if facing < -0.25 else ():
        knuckle = joints[index] - 0.03 * normal
        touches.append(Touch(np.array([knuckle - 0.05 * along, knuckle - 0.20 * along]), 14, 0.006))
        touches.append(Touch(disc(knuckle - 0.02 * along, 0.022 * size), -14))
    return touches


def _fingers(hand: Hand) -> tuple[list[FloatArray], list[FloatArray]]:
    """Outlines of the segments of each finger, and slightly wider ones as contours."""
    chains = hand.joints[1:, :2].reshape(5, 4, 2)
    start, end = chains[:, :3].reshape(15, 2), chains[:, 1:].reshape(15, 2)
    radii = _RADII * hand.length
    near, far = radii[:, :3].reshape(15), radii[:, 1:].reshape(15)
    skin = capsules(start, end, near, far).reshape(5, 3, 18, 2)
    # No contour at the root: finger and palm share one skin.
    root = chains.copy()
    root[:, 0] += 0.6 * (chains[:, 1] - chains[:, 0])
    root[0, 1] += 0.6 * (chains[0, 2] - chains[0, 1])
    outline = capsules(root[:, :3].reshape(15, 2), root[:, 1:].reshape(15, 2), near + 0.0035, far + 0.0035)
    outline = outline.reshape(5, 3, 18, 2)
    # The first bone of the thumb lies in the palm.
    return [skin[0, 1:], *skin[1:]], [outline[0, 1:], *outline[1:]]
