"""Motion of a synthetic speaker: joint angles, gaze and mouth for any frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from curation.detect.measurements import FloatArray
from curation.synthetic.gestures import Gesticulation
from curation.synthetic.seeds import SeedError, stream
from curation.synthetic.speech import Speech
from curation.synthetic.tracks import SlowDrift, Track, minimum_jerk


@dataclass(frozen=True)
class PoseState:
    """Pose of a speaker at one moment, independent of the identity.

    Attributes:
        head: (yaw, pitch, roll) in rad. Positive yaw turns and positive roll tips to the picture's right,
            positive pitch looks down.
        gaze: (x, y) of the pupil, -1 to 1.
        blink: 0 (open) to 1 (closed).
        brows: Raise of the (right, left) brow, -1 to 1.
        mouth: (opening 0-1, width -1 to 1, rounding 0-1, teeth 0-1, smile -1 to 1).
        torso: (x, y, lean): shift in picture heights, and rad.
        breath: -1 to 1.
        shrug: Lift of the (right, left) shoulder in picture heights.
        arms: (2, 14), right first; the channels are `gestures.ARM_CHANNELS`.
    """

    head: FloatArray
    gaze: FloatArray
    blink: float
    brows: FloatArray
    mouth: FloatArray
    torso: FloatArray
    breath: float
    shrug: FloatArray
    arms: FloatArray


class Motion:
    """Endless motion of a seed; frames are available in any order."""

    def __init__(self, seed: int, fps: float = 25.0) -> None:
        """Start the motion.

        Raises:
            SeedError: The seed is not an integer in [0, 2**63), or fps is not in [1, 240].
        """
        if not 1.0 <= float(fps) <= 240.0:
            raise SeedError(f"fps: {fps!r}: give a number from 1 to 240")
        self.fps = float(fps)
        self._speech = Speech(seed)
        self._gestures = Gesticulation(seed, self._speech)
        self._rng = rng = stream("head", seed)
        self._start = float(rng.uniform(2.0, 6.0))
        self._head = Track(np.zeros(3))
        self._gaze = Track(np.zeros(2))
        self._head_end = self._gaze_end = 0.0
        self._gaze_rng = stream("gaze", seed)
        self._drift = SlowDrift(rng, (0.05, 0.03, 0.035, 0.010, 0.006, 0.018, 0.25, 0.25, 0.004, 0.004), 8.0)
        self._breath_rate = float(rng.uniform(0.22, 0.3))
        self._breath_phase = float(rng.uniform(0.0, 2 * np.pi))
        self._liveliness = float(rng.uniform(0.7, 1.2))

    def at(self, index: int) -> PoseState:
        """Pose of a frame.

        Raises:
            SeedError: The index is negative.
        """
        if index < 0:
            raise SeedError(f"frame index: {index}: give 0 or more")
        time = self._start + index / self.fps
        self._extend(time + 1.0)
        drift = self._drift.at(time)
        accent = self._accent(time)
        breath = float(np.sin(2 * np.pi * self._breath_rate * time + self._breath_phase + 0.4 * drift[6]))
        arms = np.stack([self._gestures.arm(side, time) for side in (0, 1)])
        # A hand that reaches to its side moves the torso and the shoulder.
        reach = arms[:, 0] - 0.2
        lift = np.clip(0.4 - arms[:, 1], 0.0, 0.8)
        torso = drift[3:6] + (reach[0] - reach[1]) * np.array([0.012, 0.0, 0.03])
        head = self._head.at(time) + drift[:3] + accent * (0.05, 0.09, 0.03) * self._liveliness
        gaze = self._gaze.at(time) - (0.8 * head[0], 0.5 * head[1])
        lids = max(self._speech.blink(time), 0.30 * float(np.clip(gaze[1], 0, 1)))
        raise_ = 0.15 + 0.8 * accent[1] * self._liveliness
        return PoseState(
            head=head,
            gaze=np.clip(gaze, -1.0, 1.0),
            blink=lids,
            brows=np.array([raise_ + drift[6], raise_ + 0.7 * drift[6] + 0.3 * drift[7]]),
            mouth=self._speech.mouth(time),
            torso=torso,
            breath=breath,
            shrug=0.022 * lift + 0.003 * breath + drift[8:10],
            arms=arms,
        )

    def _accent(self, time: float) -> FloatArray:
        """Response of the head to stressed syllables around a time: (yaw, pitch, roll)."""
        pulse = np.zeros(3)
        for stress in self._speech.stresses_between(time - 0.6, time + 0.25):
            since = time - stress.time + 0.12
            rise = minimum_jerk((since + 0.1) / 0.22) - minimum_jerk((since - 0.12) / 0.38)
            side = np.sin(37.0 * stress.time)
            pulse += stress.strength * rise * np.array([0.5 * side, 1.0, 0.6 * side])
        return pulse

    def _extend(self, time: float) -> None:
        rng = self._rng
        while self._head_end < time:
            begin, end = self._speech.phrase_after(self._head_end)
            target = rng.normal(0.0, 1.0, 3) * (0.19, 0.06, 0.06)
            target = np.clip(target, (-0.38, -0.12, -0.13), (0.38, 0.14, 0.13))
            self._head.move(begin - 0.15, float(rng.uniform(0.5, 0.9)), target)
            middle = 0.5 * (begin + end)
            if end - begin > 1.6 and rng.random() < 0.7:
                turned = target + rng.normal(0.0, 1.0, 3) * (0.10, 0.04, 0.04)
                self._head.move(middle, float(rng.uniform(0.4, 0.7)), np.clip(turned, -0.4, 0.4))
            self._head_end = end
        while self._gaze_end < time:
            draw = self._gaze_rng
            target = draw.normal(0.0, 1.0, 2) * (0.16, 0.09)
            if draw.random() < 0.25:
                target = draw.normal(0.0, 1.0, 2) * (0.6, 0.3)
            self._gaze.move(self._gaze_end, 0.09, np.clip(target, -0.8, 0.6))
            self._gaze_end += float(draw.gamma(2.0, 0.55) + 0.25)
