"""A constant lag between the real and the generated video, seen while the frames pass."""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

MAX_LAG = 8
# For finished videos, which may be cut at the wrong frame.
MAX_SHIFT = 50
# A lag is told where the best alignment explains at least this much of the motion, and this much more than
# no lag does. A lag of one frame in slow motion lowers the correlation by little, noise lowers all alike.
MIN_CORRELATION = 0.5
MIN_GAIN = 0.05
_SIDE = 16

Image = npt.NDArray[np.uint8]
_Step = npt.NDArray[np.float32]


class LagDetector:
    """Correlates the changes of luma of both videos at every lag up to `max_lag` frames.

    Luma is averaged over 16x16 cells of the frame. Memory does not depend on the length of the clip.
    """

    def __init__(self, max_lag: int = MAX_LAG) -> None:
        self._max_lag = max_lag
        self._num_steps = 0
        self._last: tuple[_Step, _Step] | None = None
        self._real: deque[_Step] = deque(maxlen=self._max_lag + 1)
        self._generated: deque[_Step] = deque(maxlen=self._max_lag + 1)
        # Sums of products, of squares of the real, of squares of the generated; one column for each lag.
        self._sums = np.zeros((3, 2 * self._max_lag + 1))

    def update(self, real: Image, generated: Image) -> None:
        """Take the next pair of uint8 (H, W, 3) frames."""
        now = _cells(real), _cells(generated)
        if self._last is not None:
            self._real.appendleft(now[0] - self._last[0])
            self._generated.appendleft(now[1] - self._last[1])
            self._add()
            self._num_steps += 1
        self._last = now

    def lag(self) -> int | None:
        """Frames by which the generated video is late (early where negative), None where none is seen."""
        products, real, generated = self._sums
        if not real[self._max_lag] or not generated[self._max_lag]:
            return None
        scale = np.sqrt(real * generated)
        correlation = np.divide(products, scale, out=np.zeros_like(products), where=scale > 0)
        # A lag that leaves less than half of the clip to compare is chance.
        for lag in range(self._num_steps // 2 + 1, self._max_lag + 1):
            correlation[[self._max_lag - lag, self._max_lag + lag]] = 0
        best = int(correlation.argmax())
        gain = correlation[best] - max(correlation[self._max_lag], 0.0)
        if best == self._max_lag or correlation[best] < MIN_CORRELATION or gain < MIN_GAIN:
            return None
        return best - self._max_lag

    def _add(self) -> None:
        for back in range(len(self._real)):
            # Generated now against real `back` steps ago: late by `back`; and the other way round.
            self._add_pair(self._max_lag + back, self._real[back], self._generated[0])
            if back:
                self._add_pair(self._max_lag - back, self._real[0], self._generated[back])

    def _add_pair(self, column: int, real: _Step, generated: _Step) -> None:
        self._sums[:, column] += (
            np.vdot(real, generated),
            np.vdot(real, real),
            np.vdot(generated, generated),
        )


def _cells(image: Image) -> _Step:
    import cv2

    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return np.asarray(cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA), np.float32)
