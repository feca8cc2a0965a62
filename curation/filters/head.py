"""Head filter: the head cut by the edge of the picture."""

from __future__ import annotations

import numpy as np

from curation.detect.measurements import FrameSample, Shot
from curation.filters import face
from curation.filters.base import FilterSpec, SampleFilter, SampleSettings, Share, Values
from talkingpose.pose import FACE

# Chin, and the bridge of the nose between the eyes; indices of iBUG's 68 points.
_CHIN, _BRIDGE = FACE.start + 8, FACE.start + 27
# Head height (chin to crown) per face height (chin to bridge): 232 by 122 mm in men, 218 by 113 in women
# (ANSUR, as tabulated by Farkas). The breadth of a head is 0.69 of its height.
_HEAD_PER_FACE, _BREADTH = 1.9, 0.69


class HeadSettings(SampleSettings):
    """`min_inside`: smallest share of the head that lies in the picture, 0-1."""

    min_inside: Share


class HeadFilter(SampleFilter[HeadSettings]):
    """Reject shots in which the picture cuts the head.

    Measures the share of the head inside the picture, from the chin to the crown and from side to side. The
    crown is estimated from the chin and the bridge of the nose.
    """

    spec = FilterSpec(
        "head",
        unit="share of the head in the picture",
        threshold="min_inside",
        reason="head cut by the picture",
        source="The hairline lies at three quarters of the head's height: hair may be cut, a forehead not.",
    )
    Settings = HeadSettings

    def values(self, shot: Shot, settings: HeadSettings) -> Values:
        """Share of the head inside the picture, of every sample."""
        return (inside(sample, shot) for sample in shot.samples)


def inside(sample: FrameSample, shot: Shot) -> float | None:
    """Share of the head's box inside the picture; None without a face, 0 without a visible chin or nose."""
    if sample.keypoints is None or not face.visible(sample):
        return None
    points = sample.keypoints[[_CHIN, _BRIDGE]].astype(np.float64)
    if not points[:, 2].all():
        return 0.0
    size = np.array([shot.width, shot.height], np.float64)
    chin, bridge = points[:, :2] * size
    crown = chin + _HEAD_PER_FACE * (bridge - chin)
    half = _BREADTH / 2 * float(np.hypot(*(crown - chin)))
    side = np.array([half, 0.0])
    low = (np.minimum(chin, crown) - side) / size
    high = (np.maximum(chin, crown) + side) / size
    picture = np.array(shot.picture, np.float64)
    seen = np.minimum(high, picture[2:]) - np.maximum(low, picture[:2])
    return float(np.prod(np.clip(seen / np.maximum(high - low, 1e-9), 0, 1)))
