"""PSNR from the squared error of the whole clip."""

from __future__ import annotations

from benchmark.metrics.metric import CaseShape, MetricSpec
from benchmark.metrics.psnr import ALL_IDENTICAL
from benchmark.metrics.squared_error import psnr_of, sum_of_squares
from benchmark.metrics.window import PairWindow
from benchmark.results import CaseScore


class PsnrPooled:
    """Peak signal-to-noise ratio of the clip as one signal."""

    spec = MetricSpec(
        id="psnr_pooled",
        version=1,
        unit="dB",
        direction="higher",
        scope="clip",
        lookback=0,
        definition=(
            "10 log10(255^2 / MSE), MSE over all frames, pixels and RGB channels of uint8 values. "
            "Identical frames count with error 0; n_infinite counts them."
        ),
        source="own; the convention of torchmetrics.PeakSignalNoiseRatio with data_range 255",
        blind_spots="as psnr; the worst frames rule it: it cannot tell a short failure from a constant one",
    )

    def start(self, case: CaseShape) -> PsnrPooledState:
        """A fresh state for one clip."""
        return PsnrPooledState()


class PsnrPooledState:
    """Exact running sum of squares."""

    def __init__(self) -> None:
        self._squares = 0
        self._count = 0
        self._frames = 0
        self._identical = 0

    def update(self, window: PairWindow) -> float | None:
        """Add the newest pair; there is no score of a frame."""
        real = window.real()
        squares = sum_of_squares(real, window.generated())
        self._squares += squares
        self._count += real.size
        self._frames += 1
        self._identical += squares == 0
        return None

    def finish(self) -> CaseScore:
        """PSNR of the clip; null with a reason where no value differs."""
        return CaseScore(
            value=psnr_of(self._squares, self._count) if self._squares else None,
            n_frames=self._frames,
            n_infinite=self._identical,
            state="ok",
            reason=None if self._squares else ALL_IDENTICAL,
        )
