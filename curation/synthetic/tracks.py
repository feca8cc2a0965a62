"""Smooth motion: sums of minimum-jerk movements, and slow drift that never returns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def minimum_jerk(phase: float) -> float:
    """Position in [0, 1] at a phase of a reach that is as smooth as can be (Flash and Hogan 1985, eq. 1)."""
    s = min(max(phase, 0.0), 1.0)
    return s * s * s * (10.0 + s * (6.0 * s - 15.0))


class Track:
    """A vector that moves from target to target; movements that overlap in time add up, so paths curve."""

    def __init__(self, start: np.ndarray) -> None:
        self._targets = [np.asarray(start, np.float64)]
        self._starts: list[float] = []
        self._durations: list[float] = []
        self._settled = 0

    @property
    def last(self) -> np.ndarray:
        """The newest target."""
        return self._targets[-1]

    def move(self, start: float, duration: float, target: np.ndarray | Sequence[float]) -> None:
        """Add a movement; starts must not go back in time."""
        self._starts.append(start)
        self._durations.append(duration)
        self._targets.append(np.asarray(target, np.float64))

    def at(self, time: float) -> np.ndarray:
        """Return the vector at a time in seconds."""
        newest = int(np.searchsorted(self._starts, time))
        # No movement lasts long enough for more than six to be under way at once.
        oldest = max(0, newest - 6)
        value = self._targets[oldest].copy()
        for index in range(oldest, newest):
            phase = (time - self._starts[index]) / self._durations[index]
            step = self._targets[index + 1] - self._targets[index]
            value += step * minimum_jerk(phase)
        return value


class SlowDrift:
    """Slow wandering: for each channel four sines whose periods have no common multiple in practice."""

    def __init__(self, rng: np.random.Generator, amplitude: Sequence[float], slowest: float = 9.0) -> None:
        channels = len(amplitude)
        self._rates = 2 * np.pi / (slowest * rng.uniform(0.16, 1.0, (channels, 4)))
        self._phases = rng.uniform(0, 2 * np.pi, (channels, 4))
        weights = rng.uniform(0.4, 1.0, (channels, 4)) * (
            self._rates.min(axis=1, keepdims=True) / self._rates
        )
        self._weights = weights * (np.asarray(amplitude) / weights.sum(axis=1))[:, None]

    def at(self, time: float) -> np.ndarray:
        """Return the offsets at a time in seconds, each within its amplitude."""
        return (self._weights * np.sin(self._rates * time + self._phases)).sum(axis=1)
