"""Perturbed poses: noisy, missing, late or of another scale, the same for every contestant."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from benchmark.protocols.protocol import PerturbationKind, RobustnessRule
from talkingpose.pose import BODY, FACE, FEET, LEFT_HAND, RIGHT_HAND

Keypoints = npt.NDArray[np.float32]

_CASE = re.compile(r"(.+)\.pose-(noise|missing|late|scale)-([1-9])")
_LEFT_SHOULDER, _RIGHT_SHOULDER = 5, 6
# Share of the frame's height, for a clip without shoulders.
_SHOULDER_WIDTH = 0.25
# Mean length of a gap, in frames: detectors lose a hand for some frames at a time.
_GAP_FRAMES = 5


def variants(rule: RobustnessRule) -> Iterator[tuple[PerturbationKind, int, float]]:
    """Yield kind, level from 1 and strength of every perturbation."""
    for kind, strengths in rule.strengths.items():
        for level, strength in enumerate(strengths, start=1):
            yield kind, level, strength


def case_id(clip_id: str, kind: PerturbationKind, level: int) -> str:
    """Return the id of the case of a clip with perturbed poses."""
    return f"{clip_id}.pose-{kind}-{level}"


def clip_of(case: str) -> str:
    """Return the clip that a case was made of; that of a case with unchanged poses is itself."""
    match = _CASE.fullmatch(case)
    return match[1] if match else case


def is_perturbed(case: str) -> bool:
    """Return whether this is the id of a case with perturbed poses."""
    return _CASE.fullmatch(case) is not None


def perturb(
    keypoints: Keypoints,
    kind: PerturbationKind,
    strength: float,
    *,
    clip_id: str,
    seed: int,
    aspect: float,
) -> Keypoints:
    """Return perturbed poses; the draws depend on seed, clip, kind and strength alone.

    - `noise`: independent Gaussian displacement of every point in every frame; its standard deviation is
      `strength` times the clip's median shoulder width.
    - `missing`: body, face and each hand are absent in gaps of 5 frames on average, in a share of `strength`
      of the frames.
    - `late`: the pose of `strength` frames before; the first one is repeated.
    - `scale`: all points scaled by `strength` about the middle of the shoulders in the first frame.

    Points that leave the frame are absent.

    Args:
        keypoints: float32 (num_frames, 133, 3): x, y, confidence in [0, 1].
        kind, strength: perturbation.
        clip_id: id of the unperturbed clip.
        seed: of the protocol.
        aspect: width of the frame divided by its height.
    """
    key = f"{seed} {clip_id} {kind} {strength:g}"
    generator = np.random.default_rng(int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]))
    changed = keypoints.astype(np.float64)
    if kind == "late":
        earlier = np.maximum(np.arange(len(keypoints)) - round(strength), 0)
        return np.asarray(keypoints[earlier], np.float32)
    if kind == "missing":
        for part in (np.r_[BODY, FEET], np.r_[FACE], np.r_[LEFT_HAND], np.r_[RIGHT_HAND]):
            gaps = np.flatnonzero(_gaps(len(changed), strength, generator))
            changed[np.ix_(gaps, part)] = 0
        return changed.astype(np.float32)
    square = np.array([aspect, 1.0])
    if kind == "noise":
        deviation = strength * _shoulder_width(changed, square)
        changed[..., :2] += generator.normal(0, deviation, changed[..., :2].shape) / square
    else:
        shoulders = changed[0, [_LEFT_SHOULDER, _RIGHT_SHOULDER]]
        middle = shoulders[:, :2].mean(axis=0) if shoulders[:, 2].all() else np.array([0.5, 0.5])
        changed[..., :2] = middle + strength * (changed[..., :2] - middle)
    outside = (changed[..., :2] < 0).any(axis=-1) | (changed[..., :2] > 1).any(axis=-1)
    changed[outside | (keypoints[..., 2] <= 0)] = 0
    return changed.astype(np.float32)


def _gaps(frames: int, share: float, generator: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Draw which frames are missing, from a chain of two states."""
    begins, ends = share / (1 - share) / _GAP_FRAMES, 1 / _GAP_FRAMES
    draws = generator.random(frames)
    missing = np.zeros(frames, bool)
    state = bool(generator.random() < share)
    for frame, draw in enumerate(draws):
        missing[frame] = state
        state = draw >= ends if state else draw < begins
    return missing


def _shoulder_width(keypoints: npt.NDArray[np.float64], square: npt.NDArray[np.float64]) -> float:
    """Median distance of the shoulders, as a share of the frame's height."""
    left, right = keypoints[:, _LEFT_SHOULDER], keypoints[:, _RIGHT_SHOULDER]
    known = (left[:, 2] > 0) & (right[:, 2] > 0)
    if not known.any():
        return _SHOULDER_WIDTH
    return float(np.median(np.linalg.norm((left - right)[known, :2] * square, axis=1)))
