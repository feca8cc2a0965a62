"""Smooth motion: sums of minimum-jerk movements, and slow drift."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from curation.detect.measurements import FloatArray


def minimum_jerk(phase: float) -> float:
    """Position, 0-1, at a phase, 0-1, of a minimum-jerk movement (Flash and Hogan 1985, eq. 1)."""
    s = min(max(phase, 0.0), 1.0)
    return s * s * s * (10.0 + s * (6.0 * s - 15.0))


class Track:
    """Vector that moves from target to target; movements that overlap in time add up, so paths curve."""

    def __init__(self, start: FloatArray) -> None:
        self._targets = [np.asarray(start, np.float64)]
        self._starts: list[float] = []
        self._durations: list[float] = []

    @property
    def last(self) -> FloatArray:
        """Newest target."""
        return self._targets[-1]

    def move(self, start: float, duration: float, target: FloatArray | Sequence[float]) -> None:
        """Add a movement; `start` must not decrease from call to call."""
        self._starts.append(start)
        self._durations.append(duration)
        self._targets.append(np.asarray(target, np.float64))

    def at(self, time: float) -> FloatArray:
        """Vector at a time in seconds."""
        newest = int(np.searchsorted(self._starts, time))
        # At most six movements overlap.
        oldest = max(0, newest - 6)
        value = self._targets[oldest].copy()
        for index in range(oldest, newest):
            phase = (time - self._starts[index]) / self._durations[index]
            step = self._targets[index + 1] - self._targets[index]
            value += step * minimum_jerk(phase)
        return value


class SlowDrift:
    """Slow drift: four sines of incommensurable periods per channel."""

    def __init__(self, rng: np.random.Generator, amplitude: Sequence[float], slowest: float = 9.0) -> None:
        channels = len(amplitude)
        self._rates = 2 * np.pi / (slowest * rng.uniform(0.16, 1.0, (channels, 4)))
        self._phases = rng.uniform(0, 2 * np.pi, (channels, 4))
        weights = rng.uniform(0.4, 1.0, (channels, 4)) * (
            self._rates.min(axis=1, keepdims=True) / self._rates
        )
        self._weights = weights * (np.asarray(amplitude) / weights.sum(axis=1))[:, None]

    def at(self, time: float) -> FloatArray:
        """Offsets at a time in seconds, each within its amplitude."""
        offsets: FloatArray = (self._weights * np.sin(self._rates * time + self._phases)).sum(axis=1)
        return offsets
