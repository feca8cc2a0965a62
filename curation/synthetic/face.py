"""Head of a posed figure: skin, eyes, brows, nose, mouth, beard and glasses."""

from __future__ import annotations

import numpy as np

from curation.detect.measurements import FloatArray
from curation.synthetic import colors, parts
from curation.synthetic.canvas import Canvas, Finish, Touch, disc, moved, points, smooth
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
from curation.synthetic.identity import Identity
from curation.synthetic.motion import PoseState
from talkingpose.io.image import Image

_EYES = ((0, RIGHT_EYE), (1, LEFT_EYE))


def paint_neck(canvas: Canvas, identity: Identity, head: HeadPose, torso_map: FloatArray) -> None:
    """Paint the neck and the skin in the open collar, with the shadow of the head."""
    body = identity.body
    half, x, y = body.neck_half, body.center_x, body.chin_y
    low = np.array(
        [
            [x + half * 0.98, y + 0.03],
            [x + half * 1.15, y + 0.075],
            [x + half + 0.07, body.shoulder_y + 0.01],
            [x, body.shoulder_y + 0.10],
            [x - half - 0.07, body.shoulder_y + 0.01],
            [x - half * 1.15, y + 0.075],
            [x - half * 0.98, y + 0.03],
        ]
    )
    low = low @ torso_map[:, :2].T + torso_map[:, 2]
    top = head.project(np.array([[-half / head.scale, 0.22, -0.1], [half / head.scale, 0.22, -0.1]]))
    shape = np.concatenate([top, low])
    bones = np.array([[0.016, body.shoulder_y - 0.012], [0.06, body.shoulder_y - 0.024]])
    touches = []
    for sign in (-1.0, 1.0):
        line = np.stack([x + sign * bones[:, 0], bones[:, 1]], axis=1) @ torso_map[:, :2].T + torso_map[:, 2]
        touches += [Touch(line, 20, 0.010), Touch(moved(line, 0.0, 0.010), -18, 0.008)]
    canvas.paint(
        [shape], colors.skin_ramp(identity.skin), parts.NECK, Finish(0.04, 0.5, tone=-8), touches=touches
    )
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
        shape = smooth(
            center
            + ear
            * (
                points([-0.03, 0.035, 0.06, 0.04, 0.01, -0.03], [-0.07, -0.085, -0.03, 0.04, 0.09, 0.07])
                * (sign, 1.0)
                @ np.stack([across, down])
            )
        )
        inner = center + 0.55 * (shape - center) + 0.008 * ear * across * sign
        canvas.paint([shape], skin, parts.EAR, Finish(0.016, 0.5, soften=0.004), touches=[Touch(inner, -34)])
        if identity.earrings:
            canvas.flat(
                [disc(center + 0.105 * ear * down + 0.012 * ear * across * sign, 0.0075)], (236, 204, 120)
            )


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
    canvas.glow(
        np.stack([head.landmarks[31], head.landmarks[33], head.landmarks[35], moved(base, 0.0, 0.012)]),
        dark,
        0.45,
        0.005,
    )
    for index, other in ((32, 31), (34, 35)):
        nostril = 0.6 * head.landmarks[index] + 0.4 * head.landmarks[other]
        canvas.flat([disc(nostril, (0.26 * n * head.scale, 0.15 * n * head.scale))], deep, 0.75)
    lit = colors.mix(identity.skin, (255, 246, 236), 0.75)
    canvas.glow(
        disc(tip + head.scale * np.array([0.012 * light, -0.012]), 0.018 * head.scale), lit, 0.75, 0.004
    )
    shine = np.stack([bridge, tip]) + head.scale * 0.010 * light * head.turn[:2, 0]
    width = 0.006 * head.turn[:2, 0] * light
    canvas.glow(np.concatenate([shine, (shine + width)[::-1]]), lit, 0.40, 0.005)


def _paint_mouth(canvas: Canvas, identity: Identity, head: HeadPose, state: PoseState) -> None:
    lips = head.landmarks[MOUTH]
    inner = head.landmarks[INNER_MOUTH]
    upper_color = colors.mix(identity.lips, (70, 14, 18), 0.16)
    lower_color = colors.mix(identity.lips, (255, 220, 214), 0.10)
    seam_upper, seam_lower = inner[[0, 1, 2, 3, 4]], inner[[0, 7, 6, 5, 4]]
    bare = identity.beard in ("full", "goatee")
    upper = np.concatenate([smooth(lips[:7], 3, closed=False), seam_upper[::-1]])
    lower = np.concatenate([smooth(lips[[0, 11, 10, 9, 8, 7, 6]], 3, closed=False), seam_lower[::-1]])
    canvas.flat([lower], lower_color, 0.95 if not bare else 0.85)
    canvas.flat([upper], upper_color, 0.95 if not bare else 0.85)
    gloss = 0.5 * (lips[9] + inner[6])
    canvas.glow(disc(gloss, (0.030 * head.scale * 1.6, 0.010 * head.scale)), (255, 226, 220), 0.40, 0.004)
    opening = float(inner[6, 1] - inner[2, 1]) / head.scale
    dark = colors.mix(identity.lips, (40, 6, 12), 0.72)
    if opening > 0.004:
        hole = smooth(inner, 3)
        width = 0.5 * float(np.hypot(*(inner[4] - inner[0])))
        edge = 0.30 * min(opening, 0.09) + 0.45 * min(opening, 0.06) * float(state.mouth[3])
        teeth_low = (
            inner[[0, 1, 2, 3, 4]]
            + head.scale * edge * head.turn[:2, 1] * np.array([0.3, 0.8, 1, 0.8, 0.3])[:, None]
        )
        teeth = np.concatenate(
            [
                smooth(inner[[0, 1, 2, 3, 4]] - (0.0, 0.01), 3, closed=False),
                smooth(teeth_low, 3, closed=False)[::-1],
            ]
        )
        tongue = disc(
            inner[6] + (0.0, 0.2 * opening * head.scale), (0.55 * width, 0.42 * opening * head.scale)
        )
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
    canvas.inset(
        shape,
        [
            (shape, white),
            (brow_shadow, shadow),
            (disc(center, tuple(radius)), colors.mix(identity.iris, (10, 8, 10), 0.55)),
            (disc(center, tuple(radius * 0.82)), identity.iris),
            (
                disc(moved(center, 0.0, 0.012 * unit), tuple(radius * 0.55)),
                colors.mix(identity.iris, (255, 240, 200), 0.3),
            ),
            (disc(center, tuple(radius * 0.50)), (16, 12, 14)),
            (disc(glint, 0.0155 * unit), (255, 255, 255)),
        ],
    )
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
        points = head.landmarks[brow]
        half = thickness * np.array(taper)[:, None] * head.turn[:2, 1]
        shape = np.concatenate(
            [smooth(points - half, 3, closed=False), smooth(points + half, 3, closed=False)[::-1]]
        )
        canvas.flat([shape], color, 0.88)


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
    inner = _on_face(
        head,
        np.array(
            [
                [face.jaw * 0.93, 0.20],
                [face.mouth_half * 1.5, mouth - 0.03],
                [face.nose_half * 1.1, nose + 0.045],
                [0.0, nose + 0.035],
                [-face.nose_half * 1.1, nose + 0.045],
                [-face.mouth_half * 1.5, mouth - 0.03],
                [-face.jaw * 0.93, 0.20],
            ]
        ),
    )
    if identity.beard == "stubble":
        shape = np.concatenate([smooth(landmarks[1:16], 3, closed=False), smooth(inner, 3, closed=False)])
        canvas.glow(shape, colors.mix(identity.hair_color, (40, 30, 40), 0.4), 0.30, 0.006, on_cover=True)
        return
    lift = landmarks[8] - head.project(np.array([[0.0, 0.5, 0.30]]))[0]
    bottom = _on_face(
        head,
        points(
            [-face.mouth_half * 1.2, -0.105, 0.0, 0.105, face.mouth_half * 1.2],
            [mouth + 0.02, 0.46, 0.505, 0.46, mouth + 0.02],
        ),
    )
    bottom[1:4] += lift
    moustache = _on_face(
        head,
        np.array(
            [
                [-face.mouth_half * 0.98, mouth - 0.020],
                [-face.nose_half * 1.0, nose + 0.034],
                [0.0, nose + 0.040],
                [face.nose_half * 1.0, nose + 0.034],
                [face.mouth_half * 0.98, mouth - 0.020],
                [0.45 * face.mouth_half, mouth - face.lip - 0.008],
                [0.0, mouth - face.lip - 0.004],
                [-0.45 * face.mouth_half, mouth - face.lip - 0.008],
            ]
        ),
        0.02,
    )
    moustache = smooth(moustache, 3)
    if identity.beard == "full":
        shapes = [np.concatenate([smooth(grown, 3, closed=False), smooth(inner, 3, closed=False)])]
    elif identity.beard == "goatee":
        around = np.concatenate([bottom, inner[2:5]])
        shapes = [smooth(around, 3)]
    else:
        shapes = [moustache]
    strands = [
        Touch(np.stack([landmarks[i] + 0.25 * (landmarks[33] - landmarks[i]), landmarks[i]]), amount, 0.005)
        for i, amount in (
            (3, 18),
            (4, -16),
            (5, 18),
            (6, -16),
            (7, 20),
            (8, -16),
            (9, 20),
            (10, -16),
            (11, 18),
            (12, -16),
        )
    ]
    canvas.paint(shapes, ramp, parts.FACE, Finish(0.016, 0.45, soften=0.004), touches=strands)


def _paint_glasses(canvas: Canvas, identity: Identity, head: HeadPose) -> None:
    if identity.glasses == "none":
        return
    face = identity.face
    half_x, half_y = face.eye_x * 0.86, 0.118
    depth = float(surface(np.array([face.eye_x]), np.array([face.eye_y]))[0]) + 0.04
    corner = np.array(
        [[-1, -0.8], [-0.8, -1], [0.8, -1], [1, -0.8], [0.92, 0.6], [0.6, 1], [-0.6, 1], [-0.92, 0.6]]
    )
    base = disc(np.zeros(2), 1.0) if identity.glasses == "round" else smooth(corner, 2)
    color = identity.glasses_color
    rims = []
    for sign in (-1.0, 1.0):
        flat = base * (half_x, half_y if identity.glasses == "round" else 0.095) + (
            sign * (face.eye_x + 0.006),
            face.eye_y + 0.012,
        )
        rims.append(head.project(np.concatenate([flat, np.full((len(flat), 1), depth)], axis=1)))
    for sign, rim in zip((-1.0, 1.0), rims, strict=True):
        canvas.flat([rim], (236, 244, 250), 0.10)
        center = rim.mean(axis=0)
        glare = (
            center + (rim[[2, 4, 5, 3]] - center) * 0.72
            if len(rim) == 20
            else center + (rim[[4, 6, 7, 5]] - center) * 0.6
        )
        canvas.flat([glare], (255, 255, 255), 0.16)
        canvas.line(moved(rim, 0.0, 0.003), colors.mix(identity.skin, (70, 24, 20), 0.6), 0.004, closed=True)
        canvas.line(rim, color, 0.0065, closed=True)
        hinge = head.project(
            np.array(
                [
                    [sign * (face.eye_x + half_x), face.eye_y - 0.02, depth],
                    [sign * (face.cheek + 0.01), face.eye_y + 0.0, 0.02],
                ]
            )
        )
        canvas.line(hinge, color, 0.007)
    bridge = head.project(
        np.array(
            [
                [x, face.eye_y - 0.01 - 0.018 * (1 - (x / 0.03) ** 2), depth + 0.03]
                for x in (-0.03, -0.015, 0.0, 0.015, 0.03)
            ]
        )
    )
    canvas.line(bridge, color, 0.0065)
