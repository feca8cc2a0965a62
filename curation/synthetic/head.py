"""Head in space: 68 face landmarks with expression, ears and skull, turned and projected."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from curation.detect.measurements import FloatArray
from curation.synthetic.canvas import smooth
from curation.synthetic.identity import FaceShape, Identity
from curation.synthetic.motion import PoseState

# Landmark ranges of the iBUG 68 scheme.
JAW, RIGHT_BROW, LEFT_BROW, NOSE = slice(0, 17), slice(17, 22), slice(22, 27), slice(27, 36)
RIGHT_EYE, LEFT_EYE, MOUTH, INNER_MOUTH = slice(36, 42), slice(42, 48), slice(48, 60), slice(60, 68)

_CRANIUM = 0.385


@dataclass(frozen=True)
class HeadPose:
    """Head in the picture. Points are in the unit square; `turn` is (3, 3), `scale` the head's height."""

    landmarks: FloatArray
    pupils: FloatArray
    ears: FloatArray
    center: FloatArray
    turn: FloatArray
    scale: float

    def project(self, local: FloatArray) -> FloatArray:
        """Project head coordinates (n, 3), in head heights, to the unit square (n, 2)."""
        return np.asarray(self.center[:2] + self.scale * (local @ self.turn[:2].T))


def surface(x: FloatArray, y: FloatArray) -> FloatArray:
    """Depth of the face in front of the middle of the head, in head heights."""
    depth: FloatArray = 0.40 * np.sqrt(np.maximum(0.02, 1.0 - (x / 0.43) ** 2 - (y / 0.66) ** 2)) - 0.02
    return depth


def pose_head(identity: Identity, state: PoseState, neck: FloatArray) -> HeadPose:
    """Place the head on the neck (x, y, roll of the torso) with the expression of the state."""
    scale = identity.body.head_height
    yaw, pitch, roll = state.head
    turn = _turn(yaw, pitch, roll + 0.5 * neck[2])
    # The head turns around the top of the spine, behind and below its middle.
    center = np.array([neck[0], neck[1], 0.0]) + scale * (turn @ np.array([0.0, -0.40, 0.06]))
    local = np.concatenate([face_points(identity.face, state), _eye_centers(identity.face, state)])
    pose = HeadPose(np.empty(0), np.empty(0), np.empty(0), center, turn, scale)
    points = pose.project(local)
    ears = pose.project(
        np.array([[-identity.face.cheek - 0.012, 0.075, -0.06], [identity.face.cheek + 0.012, 0.075, -0.06]])
    )
    return HeadPose(points[:68], points[68:], ears, center, turn, scale)


def skull(face: FaceShape) -> FloatArray:
    """Upper outline of the head from its right to its left temple, (13, 3)."""
    angle = np.linspace(0.0, np.pi, 13)
    side = face.cheek + (_CRANIUM - face.cheek) * np.sin(angle)
    cos, sin = np.cos(angle), np.sin(angle)
    # Fuller than an ellipse at the temples.
    x = -side * np.sign(cos) * np.abs(cos) ** 0.82
    return np.stack([x, 0.02 - 0.52 * sin**0.85, np.full(13, -0.02)], axis=1)


def _turn(yaw: float, pitch: float, roll: float) -> FloatArray:
    cy, sy, cp, sp, cr, sr = (f(a) for a in (yaw, pitch, roll) for f in (np.cos, np.sin))
    about_y = np.array([[cy, 0.0, sy], [0.0, 1.0, 0.0], [-sy, 0.0, cy]])
    about_x = np.array([[1.0, 0.0, 0.0], [0.0, cp, sp], [0.0, -sp, cp]])
    about_z = np.array([[cr, -sr, 0.0], [sr, cr, 0.0], [0.0, 0.0, 1.0]])
    return np.asarray(about_z @ about_y @ about_x)


def face_points(face: FaceShape, state: PoseState) -> FloatArray:
    """68 landmarks in head coordinates, (68, 3) in head heights, x to the picture's right, y down."""
    flat = np.concatenate(
        [
            _jaw(face, state),
            _brow(face, state.brows[0], -1),
            _brow(face, state.brows[1], 1)[::-1],
            _nose(face),
            _eye(face, state.blink, -1),
            _eye(face, state.blink, 1)[[3, 2, 1, 0, 5, 4]],
            _mouth(face, state.mouth),
        ]
    )
    depth = surface(flat[:, 0], flat[:, 1])
    depth[JAW] = 0.36 * np.sqrt(np.maximum(0.0, 1.0 - (flat[JAW, 0] / 0.40) ** 2)) - 0.06
    depth[NOSE] += (0.05, 0.07, 0.10, 0.13, 0.03, 0.06, 0.08, 0.06, 0.03)
    depth[MOUTH] += 0.02
    return np.concatenate([flat, depth[:, None]], axis=1)


def _jaw(face: FaceShape, state: PoseState) -> FloatArray:
    c, j, k = face.chin, face.jaw, face.cheek
    x = np.array(
        [0.0, c, 0.5 * c + 0.45 * j, 0.1 * c + 0.82 * j, j, 0.55 * j + 0.45 * k, 0.2 * j + 0.8 * k, k, k]
    )
    y = np.array([0.5, 0.49, 0.462, 0.412, 0.345, 0.265, 0.18, 0.09, 0.0])
    y = y + 0.055 * state.mouth[0] * np.array([1.0, 1.0, 0.9, 0.7, 0.4, 0.15, 0.0, 0.0, 0.0])
    half = np.stack([x, y], axis=1)
    return np.concatenate([half[:0:-1] * (-1.0, 1.0), half])


def _brow(face: FaceShape, lift: float, side: int) -> FloatArray:
    """Five points of a brow from its outer end to its inner end."""
    u = np.linspace(0.0, 1.0, 5)
    x = face.eye_x + (0.115 - 0.215 * u)
    y = face.eye_y - face.brow_y - face.brow_arch * np.sin(np.pi * (0.15 + 0.85 * (1 - u))) * 1.2
    y = y + 0.014 * (1 - u) ** 3 + 0.012 * u**2 - 0.032 * lift * (0.7 + 0.3 * np.sin(np.pi * u))
    return np.stack([side * x, y], axis=1)


def _nose(face: FaceShape) -> FloatArray:
    bridge = np.linspace(face.eye_y - 0.01, face.nose_y - 0.045, 4)
    across = face.nose_half * np.array([-0.85, -0.45, 0.0, 0.45, 0.85])
    below = face.nose_y + np.array([-0.012, 0.004, 0.014, 0.004, -0.012])
    return np.concatenate([np.stack([np.zeros(4), bridge], axis=1), np.stack([across, below], axis=1)])


def _eye(face: FaceShape, blink: float, side: int) -> FloatArray:
    """Six points of an eye: outer corner, upper lid outside and inside, inner corner, lower lid."""
    w, h = face.eye_half, face.eye_open
    x = face.eye_x + np.array([w, 0.42 * w, -0.42 * w, -w, -0.42 * w, 0.42 * w])
    closed = 0.42 * h
    upper = -h + blink * (h + closed)
    lower = 0.62 * h
    lower = lower + blink * (closed + 0.004 - lower)
    y = face.eye_y + np.array(
        [-face.eye_tilt + 0.4 * closed * blink, upper, upper, face.eye_tilt, lower, lower]
    )
    return np.stack([side * x, y], axis=1)


def _eye_centers(face: FaceShape, state: PoseState) -> FloatArray:
    x = np.array([-face.eye_x, face.eye_x]) + 0.036 * state.gaze[0]
    y = np.full(2, face.eye_y - 0.08 * face.eye_open) + 0.020 * state.gaze[1]
    return np.stack([x, y, surface(x, y)], axis=1)


def _mouth(face: FaceShape, mouth: FloatArray) -> FloatArray:
    """Twelve points of the outer and eight of the inner lips, from the right corner over the top."""
    opening, width, rounding, _, smile = mouth
    half = face.mouth_half * (1.0 + 0.16 * width - 0.30 * rounding + 0.12 * smile)
    gap = 0.115 * opening
    corner = face.mouth_y - 0.040 * smile + 0.20 * gap
    top, bottom = face.mouth_y - 0.16 * gap, face.mouth_y + 0.84 * gap
    full = face.lip * (1.0 + 0.35 * rounding)
    x = half * np.array([-1.0, -0.62, -0.26, 0.0, 0.26, 0.62, 1.0])
    bow = np.array([0.0, 0.72, 1.08, 0.9, 1.08, 0.72, 0.0])
    bend = np.array([1.0, 0.38, 0.05, 0.0, 0.05, 0.38, 1.0])
    upper_in = top + (corner - top) * bend
    lower_in = bottom + (corner - bottom) * bend
    upper = np.stack([x, upper_in - full * bow], axis=1)
    lower = np.stack([x, lower_in + 1.25 * full * np.array([0, 0.7, 1.0, 1.06, 1.0, 0.7, 0])], axis=1)
    inner_x = 0.86 * half * np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    inner_bend = np.array([0.8, 0.2, 0.0, 0.2, 0.8])
    inner_top = np.stack([inner_x, top + (corner - top) * inner_bend], axis=1)
    inner_bottom = np.stack([inner_x, bottom + (corner - bottom) * inner_bend], axis=1)
    return np.concatenate([upper, lower[5:0:-1], inner_top, inner_bottom[3:0:-1]])


def outline(head: HeadPose, face: FaceShape) -> FloatArray:
    """Smooth outline of face and skull in the picture."""
    return smooth(np.concatenate([head.landmarks[JAW], head.project(skull(face))[-2:0:-1]]), 3)
