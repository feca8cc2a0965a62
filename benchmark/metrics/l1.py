"""L1: mean absolute difference of the pixels, of the whole frame and of face, hands and background."""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.features.contract import CaseShape, FrameWindow
from benchmark.features.regions import REGION_BLIND_SPOTS, REGIONS, Region, area_of
from benchmark.metrics.contract import MetricSpec
from benchmark.metrics.frame_mean import FrameMean


@dataclass(frozen=True)
class L1:
    """Mean absolute difference of each frame, of the whole frame or of one region."""

    region: Region | None = None

    @property
    def spec(self) -> MetricSpec:
        """Description."""
        if self.region is None:
            return MetricSpec(
                id="l1",
                title="Mean absolute difference",
                version=1,
                unit="level",
                direction="lower",
                scope="frame",
                lookback=0,
                definition=(
                    "Mean over frames, pixels and RGB channels of |g - r|, uint8 values. Range 0 to 255."
                ),
                source="own; papers that divide by 255 or sum over channels report another scale",
                blind_spots="as psnr; large errors in few pixels weigh less than there",
            )
        return MetricSpec(
            id=f"l1.{self.region}",
            title="Mean absolute difference of one region",
            version=1,
            unit="level",
            direction="lower",
            scope="frame",
            lookback=0,
            definition=(
                f"As l1, over the pixels of the {self.region} in the real frame (feature regions). Mean over "
                "the frames that have the region; their share is the coverage."
            ),
            source="own; the masks come from the dataset's keypoints and are equal for all contestants",
            blind_spots=REGION_BLIND_SPOTS,
            features=("regions",),
            needs_keypoints=True,
        )

    def start(self, case: CaseShape) -> FrameMean:
        """Begin a clip."""
        if self.region is None:
            return FrameMean(self.spec, self._score, without="the clip has no frame")
        without = f"the dataset's keypoints give no {self.region}"
        return FrameMean(self.spec, self._score, without=without, covers=True)

    def _score(self, window: FrameWindow) -> float | None:
        import cv2

        area = area_of(window, self.region)
        if area is None:
            return None
        real, generated = area.crop(window.real()), area.crop(window.generated())
        return float(cv2.norm(real, generated, cv2.NORM_L1, area.mask)) / (3 * area.pixels)


# L1 of face, hands and background.
BY_REGION = tuple(L1(region) for region in REGIONS)
