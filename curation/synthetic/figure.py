"""The speaker's body in the picture: torso, arms by inverse kinematics, hands with five fingers, head."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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
    """A hand: `joints` (21, 3) in COCO-WholeBody's order, `normal` out of the palm, `length` of the hand."""

    joints: np.ndarray
    normal: np.ndarray
    along: np.ndarray
    thumbwards: np.ndarray
    length: float


@dataclass(frozen=True)
class Figure:
    """A posed speaker; x and y in the unit square, z towards the viewer in the same unit.

    Right comes before left, as the speaker has them: right is the smaller x.
    """

    shoulders: np.ndarray
    elbows: np.ndarray
    wrists: np.ndarray
    hips: np.ndarray
    neck: np.ndarray
    torso_map: np.ndarray
    hands: tuple[Hand, Hand]
    head: HeadPose


def pose_figure(identity: Identity, state: PoseState) -> Figure:
    """Pose the speaker: pure geometry, from which both the picture and the keypoints are made."""
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


def rest_torso(identity: Identity) -> np.ndarray:
    """Return right shoulder, left shoulder, middle of the hips, right hip, left hip at rest, (5, 2)."""
    body = identity.body
    x = body.center_x
    return np.array(
        [
            [x - body.shoulder_half, body.shoulder_y],
            [x + body.shoulder_half, body.shoulder_y],
            [x, body.hip_y],
            [x - 0.8 * body.hip_half, body.hip_y],
            [x + 0.8 * body.hip_half, body.hip_y],
        ]
    )


def _move_torso(rest: np.ndarray, identity: Identity, state: PoseState) -> np.ndarray:
    shift_x, shift_y, lean = state.torso
    hip = rest[2]
    cos, sin = np.cos(lean), np.sin(lean)
    turned = (rest - hip) @ np.array([[cos, sin], [-sin, cos]]) + hip
    # The hips follow the sway less than the shoulders do.
    turned[:2] += (shift_x, shift_y)
    turned[2:] += (0.4 * shift_x, 0.4 * shift_y)
    turned[:2, 1] -= 0.0035 * state.breath + state.shrug
    return turned


def _affine(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the 2x3 map that takes three points to three others."""
    (a, b), (c, d) = source[1] - source[0], source[2] - source[0]
    inverse = np.array([[d, -b], [-c, a]]) / (a * d - b * c)
    linear = (inverse @ (target[1:] - target[0])).T
    return np.concatenate([linear, (target[0] - linear @ source[0])[:, None]], axis=1)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    # Far quicker than numpy's own for single vectors.
    (ax, ay, az), (bx, by, bz) = a.tolist(), b.tolist()
    return np.array([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.sqrt(vector @ vector)


def _reach(
    identity: Identity, shoulder: np.ndarray, arm: np.ndarray, side: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two-bone inverse kinematics: return elbow, wrist and the hinge axis of the elbow."""
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
    length: float, elbow: np.ndarray, wrist: np.ndarray, hinge: np.ndarray, arm: np.ndarray, side: int
) -> Hand:
    along = _unit(wrist - elbow)
    normal = hinge
    thumbwards = _cross(normal, along) * (1.0 if side == 0 else -1.0)
    supination, flexion, deviation = arm[4:7]
    normal, thumbwards = (
        np.cos(supination) * normal + np.sin(supination) * thumbwards,
        np.cos(supination) * thumbwards - np.sin(supination) * normal,
    )
    along, normal = (
        np.cos(flexion) * along + np.sin(flexion) * normal,
        np.cos(flexion) * normal - np.sin(flexion) * along,
    )
    along, thumbwards = (
        np.cos(deviation) * along + np.sin(deviation) * thumbwards,
        np.cos(deviation) * thumbwards - np.sin(deviation) * along,
    )
    # What is nearer is larger.
    size = length * (1.0 + 0.35 * float(wrist[2]))
    axes = np.stack([along, thumbwards, normal])
    joints = wrist + size * (_hand_joints(arm[7:12], arm[12], arm[13]) @ axes)
    return Hand(joints, normal, along, thumbwards, size)


def _hand_joints(curl: np.ndarray, spread: float, abduction: float) -> np.ndarray:
    """Return the 21 joints in hand lengths (along, towards the thumb, out of the palm)."""
    joints = np.zeros((21, 3))
    joints[1:5] = _thumb(float(curl[0]), abduction)
    bend = np.cumsum(curl[1:, None] * _BEND, axis=1)
    # A curled finger points to the root of the thumb, whatever the spread.
    aside = _SPREAD * spread * (1.0 - 0.8 * curl[1:]) + 0.02
    flat = np.cos(bend)
    steps = _BONES[:, :, None] * np.stack(
        [flat * np.cos(aside)[:, None], flat * np.sin(aside)[:, None], np.sin(bend)], axis=2
    )
    chain = _KNUCKLES[:, None] + np.concatenate([np.zeros((4, 1, 3)), np.cumsum(steps, axis=1)], axis=1)
    joints[5:] = chain.reshape(16, 3)
    return joints


def _thumb(curl: float, abduction: float) -> np.ndarray:
    angle = 0.30 + 0.60 * abduction
    base = _unit(np.array([np.cos(angle), np.sin(angle), 0.30 + 0.45 * curl]))
    inwards = np.array([0.30, -0.90, 0.35])
    points = [np.array([0.12, 0.10, 0.03])]
    for bone, bend in zip(_THUMB_BONES, (0.0, 0.6 * curl, 1.5 * curl), strict=True):
        points.append(points[-1] + bone * _unit(base + bend * inwards))
    return np.stack(points)
