"""L1, AKD and MKR as the evaluation of MRAA computes them, for old tables on TED-talks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from benchmark.features.contract import CaseShape, FrameWindow, Keypoints, Side
from benchmark.metrics.contract import MetricSpec
from benchmark.metrics.frame_mean import FrameMean

_CODE = "Siarohin et al. 2021 (MRAA)"
_DETECTOR = "detector mediapipe holistic instead of OpenPose: published values are not comparable"
_JOINTS = "the 18 joints of OpenPose (the neck is the middle of the shoulders), confidence above 0.3"


class MraaL1:
    """Mean absolute difference of pixels in [0, 1]."""

    spec = MetricSpec(
        id="l1_mraa",
        title="L1 of published TED-talks tables",
        version=1,
        unit="1",
        direction="lower",
        scope="frame",
        lookback=0,
        definition="Mean over frames, pixels and RGB channels of |g - r| / 255. Frame 0 counts.",
        source=f"{_CODE}: reconstruction.py",
        blind_spots="as l1; frame 0 is the portrait itself and costs nothing",
    )

    def start(self, case: CaseShape) -> FrameMean:
        """Begin a clip."""
        return FrameMean(self.spec, _l1, without="the clip has no frame")


class MraaAkd:
    """Average keypoint distance of 18 joints in pixels of the frame."""

    spec = MetricSpec(
        id="akd_mraa",
        title="AKD of TED-talks tables, by another detector",
        version=1,
        unit="px",
        direction="lower",
        scope="frame",
        lookback=0,
        definition=(
            f"Mean over frames of the mean absolute difference of x and y, in pixels of the frame as scored, "
            f"over {_JOINTS}, that are found in both frames. Coverage: frames with such a joint."
        ),
        source=f"{_CODE} and its pose-evaluation; {_DETECTOR}",
        blind_spots="joints that are not found, which mkr_mraa counts; errors of the detector; hands, face",
        features=("pose",),
    )

    def start(self, case: CaseShape) -> FrameMean:
        """Begin a clip."""
        size = np.array([case.width, case.height], np.float64)

        def score(window: FrameWindow) -> float | None:
            apart = np.abs(_joints(window, "real") - _joints(window, "generated")) * size
            return None if np.isnan(apart).all() else float(np.nanmean(apart))

        return FrameMean(
            self.spec, score, without="no joint is found in real and generated frames", covers=True
        )


class MraaMkr:
    """Missing keypoint rate of 18 joints."""

    spec = MetricSpec(
        id="mkr_mraa",
        title="MKR of TED-talks tables, by another detector",
        version=1,
        unit="1",
        direction="lower",
        scope="frame",
        lookback=0,
        definition=(
            f"Mean over frames of the share of {_JOINTS}, that are found in the real frame and not in the "
            "generated one. Coverage: frames whose real frame has a joint."
        ),
        source=f"{_CODE} and its pose-evaluation; {_DETECTOR}",
        blind_spots="positions of the joints; a joint that the detector misses in the real frame",
        features=("pose",),
    )

    def start(self, case: CaseShape) -> FrameMean:
        """Begin a clip."""
        return FrameMean(self.spec, _missing, without="no joint is found in the real video", covers=True)


def _l1(window: FrameWindow) -> float:
    import cv2

    real = window.real()
    return float(cv2.norm(real, window.generated(), cv2.NORM_L1)) / (255 * real.size)


def _missing(window: FrameWindow) -> float | None:
    expected = ~np.isnan(_joints(window, "real")[:, 0])
    lost = np.isnan(_joints(window, "generated")[:, 0])
    return float(lost[expected].mean()) if expected.any() else None


def _joints(window: FrameWindow, side: Side) -> npt.NDArray[np.float64]:
    """Return OpenPose's 18 joints, (18, 2): x and y in [0, 1], NaN for a joint that is not found."""
    from talkingpose.pose.draw import openpose_joints

    pose: Keypoints = window.feature("pose", side)
    absent = np.full(2, np.nan)
    return np.array(
        [absent if joint is None else joint for joint in openpose_joints(pose.astype(np.float64))], np.float64
    )
