"""Hand gestures of a speaker.

Phases follow Kendon (2004) and McNeill (1992): rest, preparation, stroke, hold, beats on stressed syllables,
and retraction to rest. The pose of an arm is a vector of `ARM_CHANNELS` numbers, the same for both sides: x
of the wrist is positive towards the other side of the body.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from curation.detect.measurements import FloatArray
from curation.synthetic.seeds import stream
from curation.synthetic.speech import Speech
from curation.synthetic.tracks import SlowDrift, Track

# Wrist relative to the shoulder in arm lengths (x medial, y down, z forward); swing of the elbow outwards
# (rad); supination, palm-wards flexion and thumb-wards deviation of the wrist (rad); curl of thumb, index,
# middle, ring and little finger (0 straight to 1 fist); spread of the fingers and abduction of the thumb.
ARM_CHANNELS = (
    "x", "y", "z", "swing", "supination", "flexion", "deviation",
    "thumb", "index", "middle", "ring", "little", "spread", "abduction",
)  # fmt: skip
WRIST = slice(0, 3)
FINGERS = slice(7, 14)

_SHAPES: dict[str, tuple[float, ...]] = {
    "relaxed": (0.30, 0.24, 0.30, 0.36, 0.42, 0.25, 0.45),
    "open": (0.05, 0.05, 0.06, 0.08, 0.12, 0.75, 0.95),
    "flat": (0.12, 0.06, 0.05, 0.06, 0.08, 0.15, 0.45),
    "spread": (0.00, 0.02, 0.00, 0.02, 0.04, 1.00, 1.00),
    "cup": (0.22, 0.30, 0.32, 0.34, 0.36, 0.55, 0.80),
    "point": (0.55, 0.02, 0.88, 0.94, 0.96, 0.20, 0.25),
    "two": (0.75, 0.02, 0.02, 0.95, 0.97, 0.75, 0.20),
    "three": (0.80, 0.02, 0.00, 0.03, 0.95, 0.80, 0.20),
    "pinch": (0.48, 0.52, 0.30, 0.24, 0.22, 0.45, 0.55),
    "fist": (0.70, 0.92, 0.94, 0.95, 0.96, 0.00, 0.25),
    "thumb": (0.00, 0.92, 0.95, 0.96, 0.97, 0.00, 1.00),
}


@dataclass(frozen=True)
class _Gesture:
    """Gesture: end of its stroke, turn and shape of the hand, and start of the stroke."""

    wrist: tuple[float, float, float]
    swing: float
    turn: tuple[float, float, float]
    shape: str
    windup: tuple[float, float, float]
    both: float
    beats: float
    opening: str = "relaxed"


# wrist, swing, (supination, flexion, deviation), shape, wind-up of the wrist, chance of two hands, of beats
_GESTURES: tuple[_Gesture, ...] = (
    _Gesture((0.22, 0.47, 0.52), 0.25, (1.15, -0.15, 0.1), "open", (-0.05, -0.10, 0.03), 0.6, 0.4),
    _Gesture((-0.12, 0.41, 0.50), 0.35, (0.95, -0.30, 0.0), "open", (0.16, -0.04, 0.05), 0.7, 0.3),
    _Gesture((0.02, 0.17, 0.48), 0.15, (-0.10, -0.25, 0.1), "spread", (0.02, 0.16, -0.06), 0.25, 0.3, "cup"),
    _Gesture((0.10, 0.11, 0.46), 0.30, (0.10, 0.10, 0.0), "point", (0.02, 0.16, -0.08), 0.0, 0.7, "fist"),
    _Gesture((0.28, 0.27, 0.60), 0.30, (-0.90, 0.05, 0.1), "point", (-0.04, 0.12, -0.14), 0.0, 0.5, "fist"),
    _Gesture((0.20, 0.25, 0.54), 0.30, (0.05, 0.15, 0.3), "pinch", (0.00, -0.12, 0.0), 0.2, 0.9),
    _Gesture((0.06, 0.37, 0.55), 0.45, (0.05, -0.05, 0.2), "flat", (0.14, -0.03, 0.0), 0.85, 0.5),
    _Gesture((0.30, 0.41, 0.50), 0.45, (-0.55, 0.30, 0.0), "cup", (-0.12, -0.10, 0.04), 0.7, 0.3, "open"),
    _Gesture((0.14, 0.09, 0.42), 0.20, (0.25, 0.00, 0.0), "two", (0.0, 0.18, -0.04), 0.0, 0.5, "fist"),
    _Gesture((0.12, 0.11, 0.42), 0.20, (0.20, 0.00, 0.0), "three", (0.0, 0.16, -0.04), 0.0, 0.5, "two"),
    _Gesture((0.50, 0.35, 0.40), 0.50, (-0.15, 0.20, 0.0), "flat", (-0.14, 0.05, 0.10), 0.1, 0.2),
    _Gesture((-0.20, 0.23, 0.42), 0.55, (0.60, -0.30, -0.1), "open", (0.18, 0.12, 0.04), 0.35, 0.2),
    _Gesture((0.24, 0.33, 0.52), 0.35, (-0.20, 0.10, 0.1), "fist", (0.0, -0.14, 0.03), 0.3, 0.9, "cup"),
    _Gesture((0.10, 0.23, 0.50), 0.20, (-0.05, 0.05, 0.1), "thumb", (0.02, 0.12, 0.0), 0.1, 0.3, "fist"),
    _Gesture((0.38, 0.06, 0.32), 0.35, (-0.30, 0.25, 0.0), "cup", (-0.08, 0.20, 0.10), 0.0, 0.0),
    _Gesture((0.04, 0.03, 0.46), 0.30, (-0.30, -0.15, -0.2), "open", (0.12, 0.02, 0.0), 0.15, 0.5),
)  # fmt: skip

_RESTS: tuple[tuple[tuple[float, float, float], float, tuple[float, float, float], str], ...] = (
    ((0.14, 0.65, 0.36), 0.40, (-0.55, 0.10, 0.0), "relaxed"),
    ((0.20, 0.60, 0.38), 0.50, (-0.35, 0.15, 0.0), "relaxed"),
    ((0.08, 0.62, 0.42), 0.35, (0.10, 0.15, 0.1), "cup"),
    ((0.16, 0.54, 0.42), 0.55, (-0.10, 0.20, 0.0), "cup"),
)


class Gesticulation:
    """Motion of both arms, right arm first; generated on demand, always in the same order."""

    def __init__(self, seed: int, speech: Speech) -> None:
        self._rng = rng = stream("gesture", seed)
        self._speech = speech
        self._right_handed = rng.random() < 0.8
        self._size = float(rng.uniform(0.85, 1.12))
        self._tempo = float(rng.uniform(0.9, 1.15))
        self._rest_pose = _RESTS[int(rng.integers(len(_RESTS)))]
        self._arms = (Track(self._rest(0)), Track(self._rest(1)))
        tremor = (0.022, 0.022, 0.02, 0.08, 0.10, 0.06, 0.06, 0.05, 0.05, 0.05, 0.05, 0.05, 0.10, 0.10)
        self._drift = (SlowDrift(rng, tremor, 6.0), SlowDrift(rng, tremor, 6.0))
        self._end = float(rng.uniform(0.0, 1.0))

    def arm(self, side: int, time: float) -> FloatArray:
        """Channels of an arm at a time in seconds; side 0 is the speaker's right arm."""
        while self._end < time + 2.0:
            self._add_unit()
        track = self._arms[side]
        pose = track.at(time)
        # Fingers lag behind the wrist.
        pose[FINGERS] = track.at(time - 0.06)[FINGERS]
        pose += self._drift[side].at(time)
        pose[7:12] = np.clip(pose[7:12], 0.0, 1.0)
        return pose

    def _rest(self, side: int) -> FloatArray:
        wrist, swing, turn, shape = self._rest_pose
        pose = np.array([*wrist, swing, *turn, *_SHAPES[shape]])
        pose[WRIST] += self._rng.normal((0.0, 0.03 * side, 0.03 * side), 0.025)
        return pose

    def _add_unit(self) -> None:
        """Add one gesture unit: from rest through some gestures back to rest."""
        rng = self._rng
        begin, _ = self._speech.phrase_after(self._end + 0.2)
        now = max(self._end, begin - 0.3)
        leading = 0 if (rng.random() < 0.75) == self._right_handed else 1
        for _ in range(int(rng.integers(2, 6))):
            if rng.random() < 0.15:
                leading = 1 - leading
            gesture = _GESTURES[int(rng.integers(len(_GESTURES)))]
            both = rng.random() < gesture.both
            now = self._add_gesture(now, gesture, (leading, 1 - leading) if both else (leading,))
        length = float(rng.uniform(0.65, 0.95))
        for side in (0, 1):
            self._arms[side].move(now + 0.05 * side, length, self._rest(side))
        self._end = now + length + float(rng.exponential(0.7))

    def _add_gesture(self, start: float, gesture: _Gesture, sides: tuple[int, ...]) -> float:
        rng = self._rng
        preparation = float(rng.uniform(0.48, 0.72)) / self._tempo
        stroke = float(rng.uniform(0.30, 0.48)) / self._tempo
        accent = self._speech.stress_after(start + preparation + 0.3 * stroke)
        # An early hand waits for the stressed syllable, but at most 0.6 s.
        onset = min(accent.time - 0.3 * stroke, start + preparation + 0.6)
        shared = rng.normal(0.0, 1.0, 14)
        targets: dict[int, FloatArray] = {}
        for side in (0, 1):
            if side not in sides:
                if rng.random() < 0.6:
                    self._arms[side].move(start, 0.8, self._rest(side))
                continue
            mirrored = 0.8 * shared + 0.35 * rng.normal(0.0, 1.0, 14)
            targets[side] = self._stroke_pose(gesture, mirrored, len(sides) == 2)
            ready = targets[side].copy()
            ready[WRIST] += np.asarray(gesture.windup) * self._size * rng.uniform(0.8, 1.2)
            ready[1] = max(ready[1], 0.18 if len(sides) == 2 else 0.05)
            ready[FINGERS] = 0.6 * np.asarray(_SHAPES[gesture.opening]) + 0.4 * ready[FINGERS]
            lag = float(rng.uniform(0.0, 0.05))
            self._arms[side].move(start + lag, preparation, ready)
            self._arms[side].move(onset + lag, stroke, targets[side])
        now = onset + 0.9 * stroke
        if rng.random() < gesture.beats:
            now = self._add_beats(now, targets)
        return now + float(rng.uniform(0.1, 0.7))

    def _stroke_pose(self, gesture: _Gesture, noise: FloatArray, both: bool) -> FloatArray:
        pose = np.array([*gesture.wrist, gesture.swing, *gesture.turn, *_SHAPES[gesture.shape]])
        # Variation of a gesture, per channel.
        pose += noise * (0.05, 0.05, 0.04, 0.10, 0.18, 0.10, 0.08, 0.04, 0.03, 0.03, 0.03, 0.04, 0.10, 0.08)
        pose[WRIST] *= (1.0, 1.0, self._size)
        if both:
            # Two hands stay clear of each other and of the mouth.
            pose[1] = max(pose[1], 0.26)
            pose[0] = min(pose[0], 0.06 + 0.02 * noise[0])
        return pose

    def _add_beats(self, start: float, targets: dict[int, FloatArray]) -> float:
        """Add small strokes on the next stressed syllables."""
        rng = self._rng
        now = start
        for stress in self._speech.stresses_between(start + 0.1, start + 1.9)[: int(rng.integers(2, 5))]:
            if stress.time - 0.2 < now:
                continue
            dip = (
                np.array([rng.normal(0.0, 0.02), 0.09, rng.normal(0.03, 0.02)]) * stress.strength * self._size
            )
            for side, target in targets.items():
                lifted, struck = target.copy(), target.copy()
                lifted[WRIST] -= 0.6 * dip
                struck[WRIST] += dip
                struck[5] -= 0.15 * stress.strength
                self._arms[side].move(stress.time - 0.2, 0.22, lifted)
                self._arms[side].move(stress.time, 0.22, struck)
            now = stress.time + 0.22
        return now
