"""L1 of face, hands and background alone."""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.features.regions import Area, Region
from benchmark.metrics.frame_mean import FrameMean
from benchmark.metrics.metric import CaseShape, MetricSpec
from benchmark.metrics.window import PairWindow

VERSION = 1


@dataclass(frozen=True)
class RegionL1:
    """Mean absolute difference within one region of each frame."""

    region: Region

    @property
    def spec(self) -> MetricSpec:
        """What a reader must know of it."""
        return MetricSpec(
            id=f"l1.{self.region}",
            version=VERSION,
            unit="level",
            direction="lower",
            scope="frame",
            lookback=0,
            definition=(
                f"As l1, over the pixels of the {self.region} (feature regions) of the real frame; mean over "
                "the frames that have the region, their share is the coverage."
            ),
            source="own; masks from the dataset's keypoints, so equal for all contestants",
            blind_spots=(
                "frames in which the dataset has no such keypoints; what a contestant paints outside the "
                "region of the real frame, such as a hand in a wrong place"
            ),
            features=("regions",),
            needs_keypoints=True,
        )

    def start(self, case: CaseShape) -> FrameMean:
        """A fresh state for one clip."""
        return FrameMean(
            self.spec, self._score, without=f"the dataset's keypoints give no {self.region}", covers=True
        )

    def _score(self, window: PairWindow) -> float | None:
        import cv2

        area: Area | None = window.feature("regions", "real").get(self.region)
        if area is None:
            return None
        real, generated = (image[area.rows, area.columns] for image in (window.real(), window.generated()))
        return float(cv2.norm(real, generated, cv2.NORM_L1, area.mask)) / (3 * area.pixels)
