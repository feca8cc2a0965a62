"""Scores of a kept clip, independent of which filters are on."""

from __future__ import annotations

from collections.abc import Callable
from statistics import fmean, median

from curation.clips.crop import Crop
from curation.detect.face_embedding import by_distance
from curation.detect.measurements import FrameSample, Shot
from curation.filters import cut, face, face_size, hands, identity, shoulders, text, yaw

# Fixed values, so that scores do not depend on the configuration; see default.yaml.
_SHARP_AT = 0.1
_CUT_S = 1.0
_MIN_FACES = 0.5  # share of the samples with a face, below which a span belongs to no group


def score(shot: Shot, crop: Crop) -> dict[str, float]:
    """Scores by name, as in `talkingpose.data.schema.SCORES`; unknown ones are left out.

    Args:
        shot: Shot with at least one sample.
        crop: Crop of the source, in pixels.
    """
    found: dict[str, float | None] = {
        "face_height_px": _median(lambda s: s.face.height * shot.height if s.face else None, shot),
        "face_area": _median(
            lambda s: s.face.area * shot.width * shot.height / (crop.width * crop.height) if s.face else None,
            shot,
        ),
        "yaw_deg": _median(lambda s: yaw.yaw_deg(s, shot), shot),
        "hands_visible": _share(lambda s: hands.visible(s) >= 1, shot),
        "both_hands_visible": _share(lambda s: hands.visible(s) == 2, shot),
        "shoulders_visible": _share(shoulders.visible, shot),
        "single_person": _share(lambda s: face.visible(s) and len(s.faces) <= 1, shot),
        "face_sharpness": _median(lambda s: s.face_sharpness, shot),
        "hand_sharpness": _median(_sharpest, shot),
        "left_hand_usability": fmean(hands.usability(s, _SHARP_AT)[0] for s in shot.samples),
        "right_hand_usability": fmean(hands.usability(s, _SHARP_AT)[1] for s in shot.samples),
        "motion": _median(lambda s: s.change, shot),
        "face_luma": _median(lambda s: s.face_luma, shot),
        "text_area": median(sum(line.area for line in s.text) for s in shot.samples),
        "text_covered": median(text.covered_throughout(shot)),
        "picture_area": shot.picture.area,
        "others_area": max(s.others for s in shot.samples),
        "face_share": _median(lambda s: face_size.height(s, shot), shot),
    }
    settings = cut.CutSettings(max_change=1.0, window_s=_CUT_S)
    found["cut_max"] = float(cut.CutFilter().measure(shot, settings).values.max())
    known = next((sample.identity for sample in shot.samples if sample.identity is not None), None)
    if known is not None:
        windows = identity.between_windows(shot.samples)
        # dlib's are distances: 1 minus the largest one, so that larger is better with both models.
        found["identity_min"] = float(1 - windows.max() if by_distance(known) else windows.min())
    else:
        found["face_speed_max"] = float(identity.speeds(shot).max())
    return {name: round(float(value), 6) for name, value in found.items() if value is not None}


def appearance(shot: Shot) -> dict[str, float]:
    """Properties by which `report.groups` compares yield; empty without a face in half of the samples."""
    seen = [sample for sample in shot.samples if face.visible(sample) and sample.face is not None]
    if not shot.samples or len(seen) < _MIN_FACES * len(shot.samples):
        return {}
    values = {
        "face_luma": [one.face_luma for one in seen],
        "light": [None if one.luma is None else float(one.luma.mean()) for one in seen],
        "face_height": [one.face.height if one.face else None for one in seen],
        "yaw_deg": [yaw.yaw_deg(one, shot) for one in seen],
    }
    found = {name: [value for value in own if value is not None] for name, own in values.items()}
    medians = {name: round(float(median(own)), 4) for name, own in found.items() if own}
    return medians | {"hands": round(fmean(hands.visible(one) > 0 for one in shot.samples), 4)}


def _sharpest(sample: FrameSample) -> float | None:
    return max((value for value in sample.hand_sharpness if value is not None), default=None)


def _median(value: Callable[[FrameSample], float | None], shot: Shot) -> float | None:
    known = [found for found in map(value, shot.samples) if found is not None]
    return median(known) if known else None


def _share(holds: Callable[[FrameSample], bool], shot: Shot) -> float:
    return sum(map(holds, shot.samples)) / len(shot.samples)
