"""PSNR as the mean over frames of the PSNR of each frame."""

from __future__ import annotations

from benchmark.metrics.metric import CaseShape, MetricSpec
from benchmark.metrics.squared_error import psnr_of, sum_of_squares
from benchmark.metrics.window import PairWindow
from benchmark.results import CaseScore

ALL_IDENTICAL = "infinite: every frame is identical to the real one"


class Psnr:
    """Peak signal-to-noise ratio, frame by frame."""

    spec = MetricSpec(
        id="psnr",
        version=1,
        unit="dB",
        direction="higher",
        scope="frame",
        lookback=0,
        definition=(
            "Mean over frames of 10 log10(255^2 / MSE), MSE over all pixels and RGB channels of uint8 "
            "values. Identical frames have no finite value: they are counted (n_infinite) and left out "
            "of the mean, without a cap."
        ),
        source="own; the customary cap of 100 dB for identical frames is not used, it moves the mean by dBs",
        blind_spots="structure, motion and identity: a blurred or shifted picture may score as a noisy one",
    )

    def start(self, case: CaseShape) -> PsnrState:
        """A fresh state for one clip."""
        return PsnrState()


class PsnrState:
    """Running sum of the finite scores, and the count of identical frames."""

    def __init__(self) -> None:
        self._sum = 0.0
        self._finite = 0
        self._infinite = 0

    def update(self, window: PairWindow) -> float | None:
        """PSNR of the newest pair in dB, None where the frames are identical."""
        real = window.real()
        squares = sum_of_squares(real, window.generated())
        if squares == 0:
            self._infinite += 1
            return None
        score = psnr_of(squares, real.size)
        self._sum += score
        self._finite += 1
        return score

    def finish(self) -> CaseScore:
        """Mean over the frames that differ; null with a reason where none does."""
        frames = self._finite + self._infinite
        return CaseScore(
            value=self._sum / self._finite if self._finite else None,
            n_frames=frames,
            n_infinite=self._infinite,
            state="ok",
            reason=None if self._finite else ALL_IDENTICAL,
        )
