"""Head of a posed figure: skin, eyes, brows, nose, mouth, beard and glasses."""

from __future__ import annotations

import numpy as np

from curation.detect.measurements import FloatArray
from curation.synthetic import colors, parts
from curation.synthetic.canvas import Canvas, Finish, Touch, disc, moved, points, ribbon, smooth
from curation.synthetic.head import (
    INNER_MOUTH,
    LEFT_BROW,
    LEFT_EYE,
    MOUTH,
    RIGHT_BROW,
    RIGHT_EYE,
    HeadPose,
    outline,
    surface,
)
from curation.synthetic.identity import FaceShape, Identity
from curation.synthetic.motion import PoseState
from talkingpose.io.image import Image

_EYES = ((0, RIGHT_EYE), (1, LEFT_EYE))


def paint_neck(canvas: Canvas, identity: Identity, head: HeadPose, torso_map: FloatArray) -> None:
    """Paint the neck and the skin in the open collar, with the shadow of the head."""
    body = identity.body
    half, x, y = body.neck_half, body.center_x, body.chin_y
    right = [x + half * 0.98, x + half * 1.15, x + half + 0.07]
    left = [x - half - 0.07, x - half * 1.15, x - half * 0.98]
    down = [y + 0.03, y + 0.075, body.shoulder_y + 0.01]
    low = points([*right, x, *left], [*down, body.shoulder_y + 0.10, *down[::-1]])
    low = low @ torso_map[:, :2].T + torso_map[:, 2]
    top = head.project(np.array([[-half / head.scale, 0.22, -0.1], [half / head.scale, 0.22, -0.1]]))
    shape = np.concatenate([top, low])
    bones = np.array([[0.016, body.shoulder_y - 0.012], [0.06, body.shoulder_y - 0.024]])
    touches = []
    for sign in (-1.0, 1.0):
        line = np.stack([x + sign * bones[:, 0], bones[:, 1]], axis=1) @ torso_map[:, :2].T + torso_map[:, 2]
        touches += [Touch(line, 20, 0.010), Touch(moved(line, 0.0, 0.010), -18, 0.008)]
    skin = colors.skin_ramp(identity.skin)
    canvas.paint([shape], skin, parts.NECK, Finish(0.04, 0.5, tone=-8), touches=touches)
    jaw = moved(head.landmarks[2:15], -0.02 * identity.light[0], 0.034)
    canvas.glow(jaw, (70, 24, 18), 0.55, 0.014, on_cover=True)


def paint_head(canvas: Canvas, identity: Identity, head: HeadPose, state: PoseState) -> None:
    """Paint the head without its hair, from the ears to the glasses."""
    skin = colors.skin_ramp(identity.skin)
    _paint_ears(canvas, identity, head, skin)
    canvas.paint(
        [outline(head, identity.face)],
        skin,
        parts.FACE,
        Finish(0.055, 0.46, 0.06, soften=0.008),
        touches=_face_touches(identity, head, state),
    )
    _paint_blush(canvas, identity, head)
    _paint_beard(canvas, identity, head)
    _paint_nose(canvas, identity, head)
    _paint_mouth(canvas, identity, head, state)
    for side, eye in _EYES:
        _paint_eye(canvas, identity, head, side, eye, state)
    _paint_brows(canvas, identity, head)
    _paint_glasses(canvas, identity, head)


def _paint_ears(canvas: Canvas, identity: Identity, head: HeadPose, skin: Image) -> None:
    for side in (0, 1):
        sign = -1.0 if side == 0 else 1.0
        ear = identity.face.ear * head.scale
        across, down = head.turn[:2, 0], head.turn[:2, 1]
        center = head.ears[side]
        flat = points([-0.03, 0.035, 0.06, 0.04, 0.01, -0.03], [-0.07, -0.085, -0.03, 0.04, 0.09, 0.07])
        shape = smooth(center + ear * (flat * (sign, 1.0) @ np.stack([across, down])))
        inner = center + 0.55 * (shape - center) + 0.008 * ear * across * sign
        canvas.paint([shape], skin, parts.EAR, Finish(0.016, 0.5, soften=0.004), touches=[Touch(inner, -34)])
        if identity.earrings:
            lobe = center + 0.105 * ear * down + 0.012 * ear * across * sign
            canvas.flat([disc(lobe, 0.0075)], (236, 204, 120))


def _face_touches(identity: Identity, head: HeadPose, state: PoseState) -> list[Touch]:
    face, light = identity.face, 1.0 if identity.light[0] > 0 else -1.0
    touches = []
    for sign in (-1.0, 1.0):
        x = sign * face.eye_x
        touches.append(_patch(head, x - sign * 0.01, face.eye_y - 0.035, 0.105, 0.062, -20))
        touches.append(_patch(head, x * 1.15, 0.20, 0.075, 0.05, 12 if sign == light else 5))
        touches.append(_patch(head, x * 0.95, face.eye_y + 0.085, 0.07, 0.018, -9))
        fold = np.array(
            [[sign * face.nose_half * 1.3, face.nose_y], [sign * face.mouth_half * 1.15, face.mouth_y - 0.03]]
        )
        touches.append(Touch(_on_face(head, fold), -14 - 14 * max(0.0, float(state.mouth[4])), 0.008))
    touches.append(_patch(head, 0.05 * light, -0.24, 0.16, 0.09, 16))
    touches.append(_patch(head, 0.0, 0.455, 0.06, 0.035, 12))
    lower = float(state.mouth[0]) * 0.10 + face.lip * 1.5
    touches.append(_patch(head, 0.0, face.mouth_y + lower + 0.022, 0.075, 0.018, -22))
    return touches


def _on_face(head: HeadPose, flat: FloatArray, raised: float = 0.0) -> FloatArray:
    depth = surface(flat[:, 0], flat[:, 1]) + raised
    return head.project(np.concatenate([flat, depth[:, None]], axis=1))


def _patch(head: HeadPose, x: float, y: float, half_x: float, half_y: float, amount: float) -> Touch:
    return Touch(_on_face(head, disc(np.array([x, y]), (half_x, half_y))), amount)


def _paint_blush(canvas: Canvas, identity: Identity, head: HeadPose) -> None:
    for sign in (-1.0, 1.0):
        cheek = _on_face(head, disc(np.array([sign * identity.face.eye_x * 1.25, 0.21]), (0.085, 0.055)))
        canvas.glow(cheek, (214, 84, 84), 0.26 * identity.blush, 0.012)


def _paint_nose(canvas: Canvas, identity: Identity, head: HeadPose) -> None:
    face, light = identity.face, 1.0 if identity.light[0] > 0 else -1.0
    n = face.nose_half
    dark = colors.mix(identity.skin, (96, 34, 24), 0.55)
    deep = colors.mix(identity.skin, (60, 16, 12), 0.75)
    tip = head.landmarks[30]
    bridge, base = head.landmarks[27], head.landmarks[33]
    dim, wing = (32, 31) if light > 0 else (34, 35)
    # Shaded side.
    canvas.glow(np.stack([bridge, tip, head.landmarks[dim], head.landmarks[wing]]), dark, 0.50, 0.006)
    for side in (31, 35):
        wall = head.landmarks[side] + head.scale * np.array([0.0, -0.018])
        canvas.glow(disc(wall, (0.010 * head.scale, 0.022 * head.scale)), dark, 0.55, 0.003)
    below = np.concatenate([head.landmarks[[31, 33, 35]], [moved(base, 0.0, 0.012)]])
    canvas.glow(below, dark, 0.45, 0.005)
    for index, other in ((32, 31), (34, 35)):
        nostril = 0.6 * head.landmarks[index] + 0.4 * head.landmarks[other]
        canvas.flat([disc(nostril, (0.26 * n * head.scale, 0.15 * n * head.scale))], deep, 0.75)
    lit = colors.mix(identity.skin, (255, 246, 236), 0.75)
    spot = tip + head.scale * np.array([0.012 * light, -0.012])
    canvas.glow(disc(spot, 0.018 * head.scale), lit, 0.75, 0.004)
    shine = np.stack([bridge, tip]) + head.scale * 0.010 * light * head.turn[:2, 0]
    width = 0.006 * head.turn[:2, 0] * light
    canvas.glow(np.concatenate([shine, (shine + width)[::-1]]), lit, 0.40, 0.005)


def _paint_mouth(canvas: Canvas, identity: Identity, head: HeadPose, state: PoseState) -> None:
    lips = head.landmarks[MOUTH]
    inner = head.landmarks[INNER_MOUTH]
    upper_color = colors.mix(identity.lips, (70, 14, 18), 0.16)
    lower_color = colors.mix(identity.lips, (255, 220, 214), 0.10)
    seam_upper, seam_lower = inner[[0, 1, 2, 3, 4]], inner[[0, 7, 6, 5, 4]]
    opacity = 0.85 if identity.beard in ("full", "goatee") else 0.95
    upper = np.concatenate([smooth(lips[:7], 3, closed=False), seam_upper[::-1]])
    lower = np.concatenate([smooth(lips[[0, 11, 10, 9, 8, 7, 6]], 3, closed=False), seam_lower[::-1]])
    canvas.flat([lower], lower_color, opacity)
    canvas.flat([upper], upper_color, opacity)
    gloss = 0.5 * (lips[9] + inner[6])
    canvas.glow(disc(gloss, (0.030 * head.scale * 1.6, 0.010 * head.scale)), (255, 226, 220), 0.40, 0.004)
    opening = float(inner[6, 1] - inner[2, 1]) / head.scale
    dark = colors.mix(identity.lips, (40, 6, 12), 0.72)
    if opening > 0.004:
        hole = smooth(inner, 3)
        width = 0.5 * float(np.hypot(*(inner[4] - inner[0])))
        edge = 0.30 * min(opening, 0.09) + 0.45 * min(opening, 0.06) * float(state.mouth[3])
        shape = np.array([0.3, 0.8, 1, 0.8, 0.3])[:, None]
        teeth = ribbon(seam_upper - (0.0, 0.01), seam_upper + head.scale * edge * head.turn[:2, 1] * shape)
        drop = opening * head.scale
        tongue = disc(inner[6] + (0.0, 0.2 * opening * head.scale), (0.55 * width, 0.42 * drop))
        canvas.inset(hole, [(hole, (58, 16, 20)), (tongue, (186, 84, 84)), (teeth, (240, 234, 226))])
        canvas.line(seam_upper, dark, 0.0022)
    else:
        middle = smooth(0.5 * (seam_upper + seam_lower), 3, closed=False)
        canvas.line(middle, dark, 0.0045)
    for corner in (inner[0], inner[4]):
        canvas.flat([disc(corner, 0.0035)], dark, 0.6)


def _paint_eye(
    canvas: Canvas, identity: Identity, head: HeadPose, side: int, eye: slice, state: PoseState
) -> None:
    corners = head.landmarks[eye]
    unit = head.scale
    shape = smooth(corners, 4)
    center = head.pupils[side]
    squash = max(0.75, float(head.turn[0, 0]))
    radius = np.array([0.050 * squash, 0.050]) * unit
    white = colors.mix((244, 242, 240), identity.skin, 0.08)
    shadow = colors.mix(white, (86, 62, 70), 0.42)
    upper = corners[[0, 1, 2, 3]]
    brow_shadow = np.concatenate([upper - (0.0, 0.02), moved(upper[::-1], 0.0, 0.053 * unit)])
    glint = center + 0.020 * unit * np.array([0.8 * np.sign(identity.light[0]), -0.9])
    iris, low_iris = identity.iris, moved(center, 0.0, 0.012 * unit)
    layers = [
        (shape, white),
        (brow_shadow, shadow),
        (disc(center, tuple(radius)), colors.mix(iris, (10, 8, 10), 0.55)),
        (disc(center, tuple(radius * 0.82)), iris),
        (disc(low_iris, tuple(radius * 0.55)), colors.mix(iris, (255, 240, 200), 0.3)),
        (disc(center, tuple(radius * 0.50)), (16, 12, 14)),
        (disc(glint, 0.0155 * unit), (255, 255, 255)),
    ]
    canvas.inset(shape, layers)
    lash = colors.mix(identity.hair_color, (20, 12, 12), 0.75)
    lid = smooth(corners[:4], 4, closed=False)
    canvas.line(lid, lash, (0.010 + 0.012 * identity.face.lashes) * unit)
    sign = -1.0 if side == 0 else 1.0
    flick = corners[0] + unit * np.array([sign * 0.024, -0.018]) * identity.face.lashes
    canvas.line(np.stack([corners[0], flick]), lash, 0.010 * unit)
    crease = colors.mix(identity.skin, (80, 30, 26), 0.5)
    fold = lid + unit * np.array([0.0, -0.024 + 0.014 * state.blink])
    canvas.line(fold[2:-2], crease, 0.007 * unit)
    low = smooth(corners[[3, 4, 5, 0]], 4, closed=False)
    canvas.line(low, colors.mix(identity.skin, (110, 50, 44), 0.45), 0.007 * unit)


def _paint_brows(canvas: Canvas, identity: Identity, head: HeadPose) -> None:
    color = colors.mix(identity.hair_color, (30, 20, 18), 0.35)
    if colors.luminance(identity.hair_color) > 150:
        color = colors.mix(identity.hair_color, (90, 64, 44), 0.55)
    thickness = identity.face.brow_thickness * head.scale
    for brow, taper in ((RIGHT_BROW, (0.15, 0.7, 1.0, 1.05, 0.8)), (LEFT_BROW, (0.8, 1.05, 1.0, 0.7, 0.15))):
        half = thickness * np.array(taper)[:, None] * head.turn[:2, 1]
        canvas.flat([ribbon(head.landmarks[brow] - half, head.landmarks[brow] + half)], color, 0.88)


def _paint_beard(canvas: Canvas, identity: Identity, head: HeadPose) -> None:
    if identity.beard == "none":
        return
    face, landmarks = identity.face, head.landmarks
    ramp = colors.cloth_ramp(colors.mix(identity.hair_color, (40, 26, 22), 0.12), 0.25)
    nose, mouth = face.nose_y, face.mouth_y
    chin = landmarks[8] - head.center[:2]
    grown = (
        landmarks[1:16]
        + 0.012 * chin / max(float(np.hypot(*chin)), 1e-6) * np.sin(np.linspace(0, np.pi, 15))[:, None]
    )
    side = np.array([face.jaw * 0.93, face.mouth_half * 1.5, face.nose_half * 1.1])
    down = [0.20, mouth - 0.03, nose + 0.045]
    inner = _on_face(head, points([*side, 0.0, *-side[::-1]], [*down, nose + 0.035, *down[::-1]]))
    if identity.beard == "stubble":
        shape = np.concatenate([smooth(landmarks[1:16], 3, closed=False), smooth(inner, 3, closed=False)])
        canvas.glow(shape, colors.mix(identity.hair_color, (40, 30, 40), 0.4), 0.30, 0.006, on_cover=True)
        return
    lift = landmarks[8] - head.project(np.array([[0.0, 0.5, 0.30]]))[0]
    corner = face.mouth_half * 1.2
    chin_line = points([-corner, -0.105, 0.0, 0.105, corner], [mouth + 0.02, 0.46, 0.505, 0.46, mouth + 0.02])
    bottom = _on_face(head, chin_line)
    bottom[1:4] += lift
    if identity.beard == "full":
        shape = np.concatenate([smooth(grown, 3, closed=False), smooth(inner, 3, closed=False)])
    elif identity.beard == "goatee":
        shape = smooth(np.concatenate([bottom, inner[2:5]]), 3)
    else:
        shape = _moustache(face, head)
    amounts = (18, -16, 18, -16, 20, -16, 20, -16, 18, -16)
    strands = [
        Touch(np.stack([root + 0.25 * (landmarks[33] - root), root]), amount, 0.005)
        for root, amount in zip(landmarks[3:13], amounts, strict=True)
    ]
    canvas.paint([shape], ramp, parts.FACE, Finish(0.016, 0.45, soften=0.004), touches=strands)


def _moustache(face: FaceShape, head: HeadPose) -> FloatArray:
    nose, mouth, half = face.nose_y, face.mouth_y, face.mouth_half
    top, low = np.array([half * 0.98, face.nose_half * 1.0]), 0.45 * half
    down = [mouth - 0.020, nose + 0.034, nose + 0.040, nose + 0.034, mouth - 0.020]
    lip = [mouth - face.lip - 0.008, mouth - face.lip - 0.004, mouth - face.lip - 0.008]
    flat = points([*-top, 0.0, *top[::-1], low, 0.0, -low], [*down, *lip])
    return smooth(_on_face(head, flat, 0.02), 3)


def _paint_glasses(canvas: Canvas, identity: Identity, head: HeadPose) -> None:
    if identity.glasses == "none":
        return
    face = identity.face
    half_x = face.eye_x * 0.86
    depth = float(surface(np.array([face.eye_x]), np.array([face.eye_y]))[0]) + 0.04
    corner = np.array(
        [[-1, -0.8], [-0.8, -1], [0.8, -1], [1, -0.8], [0.92, 0.6], [0.6, 1], [-0.6, 1], [-0.92, 0.6]]
    )
    base = disc(np.zeros(2), 1.0) if identity.glasses == "round" else smooth(corner, 2)
    color = identity.glasses_color
    rims = []
    size = (half_x, 0.118 if identity.glasses == "round" else 0.095)
    for sign in (-1.0, 1.0):
        flat = base * size + (sign * (face.eye_x + 0.006), face.eye_y + 0.012)
        rims.append(head.project(np.concatenate([flat, np.full((len(flat), 1), depth)], axis=1)))
    for sign, rim in zip((-1.0, 1.0), rims, strict=True):
        canvas.flat([rim], (236, 244, 250), 0.10)
        center = rim.mean(axis=0)
        rows, scale = ([2, 4, 5, 3], 0.72) if len(rim) == 20 else ([4, 6, 7, 5], 0.6)
        canvas.flat([center + (rim[rows] - center) * scale], (255, 255, 255), 0.16)
        canvas.line(moved(rim, 0.0, 0.003), colors.mix(identity.skin, (70, 24, 20), 0.6), 0.004, closed=True)
        canvas.line(rim, color, 0.0065, closed=True)
        across = [sign * (face.eye_x + half_x), sign * (face.cheek + 0.01)]
        canvas.line(
            head.project(points(across, [face.eye_y - 0.02, face.eye_y], [depth, 0.02])), color, 0.007
        )
    x = np.array([-0.03, -0.015, 0.0, 0.015, 0.03])
    bridge = points(x, face.eye_y - 0.01 - 0.018 * (1 - (x / 0.03) ** 2), np.full(5, depth + 0.03))
    canvas.line(head.project(bridge), color, 0.0065)
