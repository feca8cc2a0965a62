"""Body of a speaker: torso, arms by inverse kinematics, hands with five fingers, head."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from curation.detect.measurements import FloatArray
from curation.synthetic.canvas import points
from curation.synthetic.head import HeadPose, pose_head
from curation.synthetic.identity import Identity
from curation.synthetic.motion import PoseState

# Hand geometry in hand lengths: (along the fingers, towards the thumb, out of the palm).
_KNUCKLES = np.array(
    [[0.465, 0.135, -0.01], [0.485, 0.045, -0.025], [0.465, -0.045, -0.015], [0.42, -0.13, 0.0]]
)
_BONES = np.array([[0.215, 0.135, 0.095], [0.235, 0.15, 0.10], [0.22, 0.14, 0.10], [0.175, 0.105, 0.085]])
_SPREAD = np.array([0.24, 0.06, -0.11, -0.30])
_BEND = np.array([1.35, 1.70, 1.05])
_THUMB_BONES = (0.18, 0.155, 0.135)


@dataclass(frozen=True)
class Hand:
    """Hand: `joints` (21, 3) in COCO-WholeBody order, `normal` out of the palm, `length` of the hand."""

    joints: FloatArray
    normal: FloatArray
    along: FloatArray
    thumbwards: FloatArray
    length: float


@dataclass(frozen=True)
class Figure:
    """Posed speaker; x and y in the unit square, z towards the viewer in the same unit.

    The speaker's right side comes before the left; right is the smaller x.
    """

    shoulders: FloatArray
    elbows: FloatArray
    wrists: FloatArray
    hips: FloatArray
    neck: FloatArray
    torso_map: FloatArray
    hands: tuple[Hand, Hand]
    head: HeadPose


def pose_figure(identity: Identity, state: PoseState) -> Figure:
    """Compute the geometry that both the picture and the keypoints are made from."""
    rest = rest_torso(identity)
    moved = _move_torso(rest, identity, state)
    torso_map = _affine(rest[:3], moved[:3])
    shoulders = np.concatenate([moved[:2] + 0.0, np.full((2, 1), 0.0)], axis=1)
    neck_base = torso_map[:, :2] @ np.array([identity.body.center_x, identity.body.chin_y]) + torso_map[:, 2]
    # Half of a shrug does not reach the head.
    head_lift = 0.5 * float(state.shrug.mean())
    pivot = np.array(
        [neck_base[0], neck_base[1] + head_lift - 0.11 * identity.body.head_height, state.torso[2]]
    )
    elbows, wrists, hands = [], [], []
    for side in (0, 1):
        elbow, wrist, hinge = _reach(identity, shoulders[side], state.arms[side], side)
        elbows.append(elbow)
        wrists.append(wrist)
        hands.append(_pose_hand(identity.body.hand, elbow, wrist, hinge, state.arms[side], side))
    return Figure(
        shoulders=shoulders,
        elbows=np.stack(elbows),
        wrists=np.stack(wrists),
        hips=moved[3:],
        neck=neck_base,
        torso_map=torso_map,
        hands=(hands[0], hands[1]),
        head=pose_head(identity, state, pivot),
    )


def rest_torso(identity: Identity) -> FloatArray:
    """Right shoulder, left shoulder, middle of the hips, right hip and left hip at rest, (5, 2)."""
    body = identity.body
    x = body.center_x
    shoulder, hip = body.shoulder_half, 0.8 * body.hip_half
    across = [x - shoulder, x + shoulder, x, x - hip, x + hip]
    return points(across, [body.shoulder_y, body.shoulder_y, body.hip_y, body.hip_y, body.hip_y])


def _move_torso(rest: FloatArray, identity: Identity, state: PoseState) -> FloatArray:
    shift_x, shift_y, lean = state.torso
    hip = rest[2]
    cos, sin = np.cos(lean), np.sin(lean)
    turned: FloatArray = (rest - hip) @ np.array([[cos, sin], [-sin, cos]]) + hip
    # The hips follow the sway less than the shoulders do.
    turned[:2] += (shift_x, shift_y)
    turned[2:] += (0.4 * shift_x, 0.4 * shift_y)
    turned[:2, 1] -= 0.0035 * state.breath + state.shrug
    return turned


def _affine(source: FloatArray, target: FloatArray) -> FloatArray:
    """Affine map (2, 3) of three points to three others."""
    (a, b), (c, d) = source[1] - source[0], source[2] - source[0]
    inverse = np.array([[d, -b], [-c, a]]) / (a * d - b * c)
    linear = (inverse @ (target[1:] - target[0])).T
    return np.concatenate([linear, (target[0] - linear @ source[0])[:, None]], axis=1)


def _cross(a: FloatArray, b: FloatArray) -> FloatArray:
    # Much faster than np.cross for single vectors.
    (ax, ay, az), (bx, by, bz) = a.tolist(), b.tolist()
    return np.array([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])


def _unit(vector: FloatArray) -> FloatArray:
    return np.asarray(vector / np.sqrt(vector @ vector))


def _reach(
    identity: Identity, shoulder: FloatArray, arm: FloatArray, side: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Two-bone inverse kinematics: elbow, wrist, and the hinge axis of the elbow."""
    upper, fore = identity.body.upper_arm, identity.body.forearm
    medial = 1.0 if side == 0 else -1.0
    offset = arm[:3] * (medial, 1.0, 1.0) * (upper + fore)
    distance = float(np.sqrt(offset @ offset))
    reach = min(max(distance, 0.30 * (upper + fore)), 0.97 * (upper + fore))
    toward = offset / distance
    along = (upper**2 - fore**2 + reach**2) / (2 * reach)
    height = np.sqrt(max(upper**2 - along**2, 1e-6))
    # The elbow hangs down, a little out and back.
    pole = np.array([-medial * (0.05 + 0.75 * arm[3]), 1.0, -0.30])
    pole = _unit(pole - (pole @ toward) * toward)
    elbow = shoulder + along * toward + height * pole
    wrist = shoulder + reach * toward
    hinge = _unit(_cross(elbow - shoulder, wrist - elbow)) * medial
    return elbow, wrist, hinge


def _pose_hand(
    length: float, elbow: FloatArray, wrist: FloatArray, hinge: FloatArray, arm: FloatArray, side: int
) -> Hand:
    along = _unit(wrist - elbow)
    normal = hinge
    thumbwards = _cross(normal, along) * (1.0 if side == 0 else -1.0)
    supination, flexion, deviation = arm[4:7]
    normal, thumbwards = _rotate(normal, thumbwards, supination)
    along, normal = _rotate(along, normal, flexion)
    along, thumbwards = _rotate(along, thumbwards, deviation)
    # Nearer hands are larger.
    size = length * (1.0 + 0.35 * float(wrist[2]))
    axes = np.stack([along, thumbwards, normal])
    joints = wrist + size * (_hand_joints(arm[7:12], arm[12], arm[13]) @ axes)
    return Hand(joints, normal, along, thumbwards, size)


def _rotate(a: FloatArray, b: FloatArray, angle: float) -> tuple[FloatArray, FloatArray]:
    """Turn two orthogonal axes by an angle from the first to the second."""
    return np.cos(angle) * a + np.sin(angle) * b, np.cos(angle) * b - np.sin(angle) * a


def _hand_joints(curl: FloatArray, spread: float, abduction: float) -> FloatArray:
    """21 joints in hand lengths: (along, towards the thumb, out of the palm)."""
    joints = np.zeros((21, 3))
    joints[1:5] = _thumb(float(curl[0]), abduction)
    bend = np.cumsum(curl[1:, None] * _BEND, axis=1)
    # A curled finger points to the root of the thumb, independent of the spread.
    aside = _SPREAD * spread * (1.0 - 0.8 * curl[1:]) + 0.02
    flat = np.cos(bend)
    steps = _BONES[:, :, None] * np.stack(
        [flat * np.cos(aside)[:, None], flat * np.sin(aside)[:, None], np.sin(bend)], axis=2
    )
    chain = _KNUCKLES[:, None] + np.concatenate([np.zeros((4, 1, 3)), np.cumsum(steps, axis=1)], axis=1)
    joints[5:] = chain.reshape(16, 3)
    return joints


def _thumb(curl: float, abduction: float) -> FloatArray:
    angle = 0.30 + 0.60 * abduction
    base = _unit(np.array([np.cos(angle), np.sin(angle), 0.30 + 0.45 * curl]))
    inwards = np.array([0.30, -0.90, 0.35])
    joints = [np.array([0.12, 0.10, 0.03])]
    for bone, bend in zip(_THUMB_BONES, (0.0, 0.6 * curl, 1.5 * curl), strict=True):
        joints.append(joints[-1] + bone * _unit(base + bend * inwards))
    return np.stack(joints)
