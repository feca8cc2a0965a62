"""The scores of a kept clip: what was measured, whether or not a filter asked."""

from __future__ import annotations

from statistics import median

from curation.crop import Crop
from curation.filters import face, hands, shoulders
from curation.filters.finding import share
from curation.measurement import Sample, Shot
from talkingpose.pose import FACE


def score(shot: Shot, crop: Crop) -> dict[str, float]:
    """Scores by name, as in `talkingpose.dataset.SCORES`; what was not measured is left out.

    Args:
        shot: with at least one sample.
        crop: of the source, in pixels.
    """
    faces = [_face_size(sample, shot) for sample in shot.samples if face.visible(sample)]
    scores = {
        "hands_visible": share(shot, lambda sample: hands.visible(sample) >= 1),
        "both_hands_visible": share(shot, lambda sample: hands.visible(sample) == 2),
        "shoulders_visible": share(shot, shoulders.visible),
        "single_person": share(shot, lambda sample: face.visible(sample) and len(sample.faces) <= 1),
    }
    if faces:
        scores["face_height_px"] = median(height for _, height in faces)
        scores["face_area"] = median(w * h for w, h in faces) / (crop.width * crop.height)
    return {name: round(value, 6) for name, value in scores.items()}


def _face_size(sample: Sample, shot: Shot) -> tuple[float, float]:
    """Width and height of the face from brows to chin, in pixels of the source."""
    assert sample.keypoints is not None
    points = sample.keypoints[FACE]
    corners = points[points[:, 2] > 0, :2].astype(float) * (shot.width, shot.height)
    width, height = corners.max(axis=0) - corners.min(axis=0)
    return float(width), float(height)
