"""PSNR: mean over frames, over face, hands and background, and over the clip as one signal."""

from __future__ import annotations

import math
from dataclasses import dataclass

from benchmark.features.contract import CaseShape, FrameWindow
from benchmark.features.regions import REGION_BLIND_SPOTS, REGIONS, Area, Region, area_of
from benchmark.metrics.contract import MetricSpec
from benchmark.results import CaseScore
from talkingpose.io.image import Image

PEAK = 255
ALL_IDENTICAL = "infinite: every frame is identical to the real one"


@dataclass(frozen=True)
class Psnr:
    """Peak signal-to-noise ratio, frame by frame, of the whole frame or of one region."""

    region: Region | None = None

    @property
    def spec(self) -> MetricSpec:
        """Description."""
        if self.region is None:
            return MetricSpec(
                id="psnr",
                title="Peak signal-to-noise ratio",
                version=1,
                unit="dB",
                direction="higher",
                scope="frame",
                lookback=0,
                definition=(
                    "Mean over frames of 10 log10(255^2 / MSE). MSE is the mean squared error over all "
                    "pixels and RGB channels of uint8 values. Identical frames have no finite value. They "
                    "are counted (n_infinite) and left out of the mean; nothing is capped."
                ),
                source="own; the usual cap of 100 dB for identical frames moves the mean by several dB",
                blind_spots=(
                    "structure, motion and identity: a blurred or shifted picture can equal a noisy one"
                ),
            )
        return MetricSpec(
            id=f"psnr.{self.region}",
            title="Peak signal-to-noise ratio of one region",
            version=1,
            unit="dB",
            direction="higher",
            scope="frame",
            lookback=0,
            definition=(
                f"As psnr, over the pixels of the {self.region} in the real frame (feature regions). Mean "
                "over the frames that have the region and differ in it. Coverage is the share of frames that "
                "have the region; n_infinite counts frames that are identical in it."
            ),
            source="own; the masks come from the dataset's keypoints and are equal for all contestants",
            blind_spots=REGION_BLIND_SPOTS,
            features=("regions",),
            needs_keypoints=True,
        )

    def start(self, case: CaseShape) -> PsnrState:
        """Begin a clip."""
        return PsnrState(self.region)


class PsnrState:
    """Running sum of the finite scores; counts of frames, of frames with the region, of identical ones."""

    def __init__(self, region: Region | None) -> None:
        self._region: Region | None = region
        self._sum = 0.0
        self._frames = self._seen = self._infinite = 0

    def update(self, window: FrameWindow) -> float | None:
        """Return PSNR of the newest pair in dB, None without the region or without a difference."""
        self._frames += 1
        area = area_of(window, self._region)
        if area is None:
            return None
        self._seen += 1
        squares = sum_of_squares(window.real(), window.generated(), area)
        if squares == 0:
            self._infinite += 1
            return None
        score = decibels(squares, 3 * area.pixels)
        self._sum += score
        return score

    def finish(self) -> CaseScore:
        """Return the mean over the frames that have the region and differ in it."""
        if not self._seen and self._region is not None:
            reason = f"the dataset's keypoints give no {self._region}"
            return CaseScore(value=None, n_frames=0, state="unavailable", reason=reason)
        finite = self._seen - self._infinite
        return CaseScore(
            value=self._sum / finite if finite else None,
            n_frames=self._seen,
            n_infinite=self._infinite,
            coverage=self._seen / self._frames if self._region is not None else None,
            state="ok",
            reason=None if finite else ALL_IDENTICAL,
        )


class PsnrPooled:
    """Peak signal-to-noise ratio of the clip as one signal."""

    spec = MetricSpec(
        id="psnr_pooled",
        title="Peak signal-to-noise ratio of the clip as one signal",
        version=1,
        unit="dB",
        direction="higher",
        scope="clip",
        lookback=0,
        definition=(
            "10 log10(255^2 / MSE), MSE over all frames, pixels and RGB channels of uint8 values. Identical "
            "frames count with error 0; n_infinite is their number."
        ),
        source="own; the convention of torchmetrics.PeakSignalNoiseRatio with data_range 255",
        blind_spots="as psnr; the worst frames dominate, so that a short failure equals a constant small one",
    )

    def start(self, case: CaseShape) -> PsnrPooledState:
        """Begin a clip."""
        return PsnrPooledState()


class PsnrPooledState:
    """Exact running sum of squares."""

    def __init__(self) -> None:
        self._squares = self._count = self._frames = self._identical = 0

    def update(self, window: FrameWindow) -> float | None:
        """Add the newest pair; a frame has no score."""
        real = window.real()
        squares = sum_of_squares(real, window.generated())
        self._squares += squares
        self._count += real.size
        self._frames += 1
        self._identical += squares == 0
        return None

    def finish(self) -> CaseScore:
        """Return PSNR of the clip; None with a reason where no value differs."""
        return CaseScore(
            value=decibels(self._squares, self._count) if self._squares else None,
            n_frames=self._frames,
            n_infinite=self._identical,
            state="ok",
            reason=None if self._squares else ALL_IDENTICAL,
        )


# PSNR of face, hands and background.
BY_REGION = tuple(Psnr(region) for region in REGIONS)


def sum_of_squares(real: Image, generated: Image, area: Area | None = None) -> int:
    """Return the exact sum of squared differences of two images, or of one area of them."""
    import cv2

    if area is None:
        norm = cv2.norm(real, generated, cv2.NORM_L2SQR)
    else:
        norm = cv2.norm(area.crop(real), area.crop(generated), cv2.NORM_L2SQR, area.mask)
    # OpenCV may return the square of a rounded root; the sum is an integer far below 2**53.
    return round(norm)


def decibels(squares: int, count: int) -> float:
    """Return PSNR in dB of a positive sum of squares over `count` values of range 0 to 255."""
    return 10 * math.log10(PEAK**2 * count / squares)
