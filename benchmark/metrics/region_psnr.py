"""PSNR of face, hands and background alone."""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.features.regions import Region
from benchmark.metrics.metric import CaseShape, MetricSpec
from benchmark.metrics.psnr import ALL_IDENTICAL
from benchmark.metrics.squared_error import psnr_of
from benchmark.metrics.window import PairWindow
from benchmark.results import CaseScore

VERSION = 1


@dataclass(frozen=True)
class RegionPsnr:
    """Peak signal-to-noise ratio within one region of each frame."""

    region: Region

    @property
    def spec(self) -> MetricSpec:
        """What a reader must know of it."""
        return MetricSpec(
            id=f"psnr.{self.region}",
            version=VERSION,
            unit="dB",
            direction="higher",
            scope="frame",
            lookback=0,
            definition=(
                f"As psnr, over the pixels of the {self.region} (feature regions) of the real frame; mean "
                "over the frames that have the region and differ in it. The share of frames that have the "
                "region is the coverage; n_infinite counts those that are identical in it."
            ),
            source="own; masks from the dataset's keypoints, so equal for all contestants",
            blind_spots=(
                "frames in which the dataset has no such keypoints; what a contestant paints outside the "
                "region of the real frame, such as a hand in a wrong place"
            ),
            features=("regions",),
            needs_keypoints=True,
        )

    def start(self, case: CaseShape) -> RegionPsnrState:
        """A fresh state for one clip."""
        return RegionPsnrState(self.region)


class RegionPsnrState:
    """Running sum of the finite scores; counts of frames with the region, and of identical ones."""

    def __init__(self, region: Region) -> None:
        self._region: Region = region
        self._sum = 0.0
        self._frames = self._seen = self._infinite = 0

    def update(self, window: PairWindow) -> float | None:
        """PSNR of the region in the newest pair, None where there is no region or no difference."""
        import cv2

        self._frames += 1
        area = window.feature("regions", "real").get(self._region)
        if area is None:
            return None
        self._seen += 1
        real, generated = (image[area.rows, area.columns] for image in (window.real(), window.generated()))
        squares = round(cv2.norm(real, generated, cv2.NORM_L2SQR, area.mask))
        if squares == 0:
            self._infinite += 1
            return None
        score = psnr_of(squares, 3 * area.pixels)
        self._sum += score
        return score

    def finish(self) -> CaseScore:
        """Mean over the frames that have the region and differ in it."""
        if not self._seen:
            reason = f"the dataset's keypoints give no {self._region}"
            return CaseScore(value=None, n_frames=0, state="unavailable", reason=reason)
        finite = self._seen - self._infinite
        return CaseScore(
            value=self._sum / finite if finite else None,
            n_frames=self._seen,
            n_infinite=self._infinite,
            coverage=self._seen / self._frames,
            state="ok",
            reason=None if finite else ALL_IDENTICAL,
        )
