"""Silent speech: syllables that move the mouth, phrases, stresses and blinks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from curation.detect.measurements import FloatArray
from curation.synthetic.seeds import stream
from curation.synthetic.tracks import SlowDrift, Track

# Visemes: (opening, width, rounding, teeth).
_VOWELS = np.array(
    [
        (0.95, 0.10, 0.00, 0.30),
        (0.62, 0.70, 0.00, 0.60),
        (0.34, 0.95, 0.00, 0.90),
        (0.66, -0.35, 0.80, 0.10),
        (0.30, -0.65, 1.00, 0.00),
        (0.48, 0.20, 0.10, 0.50),
    ]
)
_CONSONANTS = np.array(
    [
        (0.00, 0.05, 0.00, 0.00),
        (0.12, 0.25, 0.00, 1.00),
        (0.16, 0.45, 0.00, 1.00),
        (0.22, -0.40, 0.60, 0.60),
        (0.20, 0.10, 0.00, 0.40),
    ]
)
_CLOSED = (0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Stress:
    """Stressed syllable: time in seconds and strength, 0-1."""

    time: float
    strength: float


class Speech:
    """Endless talk, generated on demand, always in the same order."""

    def __init__(self, seed: int) -> None:
        self._rng = stream("speech", seed)
        self._mouth = Track(np.array(_CLOSED))
        self._stresses: list[Stress] = []
        self._phrases: list[tuple[float, float]] = []
        self._end = float(self._rng.uniform(0.15, 0.7))
        self._tempo = float(self._rng.uniform(0.17, 0.225))
        self._effort = float(self._rng.uniform(0.8, 1.0))
        self._smile = SlowDrift(self._rng, (0.35,), 17.0)
        self._smile_base = float(self._rng.uniform(0.35, 0.9))
        self._blink_rng = stream("blink", seed)
        self._blinks: list[float] = [float(self._blink_rng.uniform(0.5, 2.5))]

    def mouth(self, time: float) -> FloatArray:
        """(opening 0-1, width -1 to 1, rounding 0-1, teeth 0-1, smile -1 to 1) at a time in seconds."""
        self._extend(time + 1.0)
        opening, width, rounding, teeth = self._mouth.at(time)
        smile = self._smile_base + float(self._smile.at(time)[0])
        clipped = np.clip((opening, width, rounding, teeth), (0, -1, 0, 0), 1)
        return np.array([*clipped, smile])

    def blink(self, time: float) -> float:
        """Closing of the lids, 0 (open) to 1: down in 0.1 s, up in 0.18 s."""
        while self._blinks[-1] < time + 1.0:
            wait = self._blink_rng.gamma(3.0, 1.15) + 0.45
            if self._blink_rng.random() < 0.12:
                wait = 0.5
            self._blinks.append(self._blinks[-1] + float(wait))
        closed = 0.0
        for start in self._blinks[max(0, int(np.searchsorted(self._blinks, time)) - 2) :]:
            since = time - start
            if 0.0 <= since < 0.1:
                closed = max(closed, 0.5 - 0.5 * float(np.cos(np.pi * since / 0.1)))
            elif 0.1 <= since < 0.28:
                closed = max(closed, 0.5 + 0.5 * float(np.cos(np.pi * (since - 0.1) / 0.18)))
        return closed

    def stress_after(self, time: float) -> Stress:
        """First stressed syllable at or after a time."""
        self._extend(time + 12.0)
        return next(stress for stress in self._stresses if stress.time >= time)

    def stresses_between(self, start: float, end: float) -> list[Stress]:
        """Stressed syllables in [start, end)."""
        self._extend(end + 1.0)
        times = [stress.time for stress in self._stresses]
        return self._stresses[int(np.searchsorted(times, start)) : int(np.searchsorted(times, end))]

    def phrase_after(self, time: float) -> tuple[float, float]:
        """(start, end) of the first phrase that starts at or after a time."""
        self._extend(time + 12.0)
        return next(phrase for phrase in self._phrases if phrase[0] >= time)

    def _extend(self, time: float) -> None:
        while self._end < time:
            self._add_phrase()

    def _add_phrase(self) -> None:
        rng = self._rng
        start = now = self._end
        syllables = int(rng.integers(5, 15))
        next_stress = int(rng.integers(1, 3))
        for index in range(syllables):
            stressed = index == next_stress
            length = self._tempo * float(rng.uniform(0.78, 1.25)) * (1.3 if stressed else 1.0)
            if index == syllables - 1:
                length *= 1.4
            self._add_syllable(now, length, stressed)
            if stressed:
                self._stresses.append(Stress(now + 0.35 * length, float(rng.uniform(0.45, 1.0))))
                next_stress = index + int(rng.integers(2, 5))
            now += length
        self._mouth.move(now, 0.22, _CLOSED)
        self._phrases.append((start, now))
        self._end = now + float(rng.choice((rng.uniform(0.25, 0.5), rng.uniform(0.5, 1.3)), p=(0.65, 0.35)))

    def _add_syllable(self, start: float, length: float, stressed: bool) -> None:
        rng = self._rng
        consonant = _CONSONANTS[int(rng.integers(len(_CONSONANTS)))]
        vowel = _VOWELS[int(rng.integers(len(_VOWELS)))] * rng.uniform(0.85, 1.1, 4)
        vowel[0] *= self._effort * (1.0 if stressed else float(rng.uniform(0.45, 0.8)))
        self._mouth.move(start, 0.55 * length, consonant)
        self._mouth.move(start + 0.4 * length, 0.65 * length, vowel)
