"""Dataset schema: configurations, splits and columns of the datasets that `tp-curate` writes (contract 1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from talkingpose.io.errors import UserError
from talkingpose.pose.keypoints import NUM_KEYPOINTS

if TYPE_CHECKING:
    import datasets

CONFIGS = ("clips", "manifest", "annotations")
SPLITS = ("train", "validation", "test")

# Scores of a clip, measured by the filters; null where a filter did not run. All float32.
SCORES = (
    "face_height_px",  # median height of the main face, pixels of the source
    "face_area",  # median area of the main face, share of the frame as stored
    "yaw_deg",  # median absolute yaw of the head, degrees
    "hands_visible",  # share of the sampled frames with at least one usable hand
    "both_hands_visible",  # share of the sampled frames with two usable hands
    "shoulders_visible",  # share of the sampled frames with both shoulders
    "hand_sharpness",  # median Laplacian energy over brightness variance, of the sharper hand
    "face_sharpness",  # median Laplacian energy over brightness variance, of the main face
    "motion",  # median change of the person per second, in standard deviations of the person's brightness
    "brightness",  # mean luma, 0 to 255
    "text_area",  # share of the frame under overlaid text
    "single_person",  # share of the sampled frames with exactly one person
    "identity_min",  # smallest similarity of a face to the clip's mean face; null without an identity model
    "face_speed_max",  # largest speed of the face, in face heights per second; null without an identity model
    "left_hand_usability",  # mean of in-frame x confidence x sharpness of the person's left hand, 0 to 1
    "right_hand_usability",  # the same for the right hand
    "face_share",  # median height of the main face, share of the shorter side
    "face_luma",  # median luma of the main face, 0 to 255
    "text_covered",  # share of the face or of a hand under overlaid text
    "picture_area",  # share of the source frame inside the letterbox
    "others_area",  # largest area of bystanders, share of the main person's box
    "cut_max",  # largest scene change within a second, 0 to 1
)

_ID = ("clip_id", "source", "source_id", "url")
_SPAN = ("start_pts", "end_pts", "time_base_num", "time_base_den", "start_s", "end_s")
_SHAPE = ("fps", "width", "height", "num_frames", "crop_xyxy")
_ANNOTATION = ("keypoints", "boxes", "scores")
_RIGHTS = ("person_id", "license", "uploader_id", "fetched_at", "rights_evidence")
_HASHES = ("sha256", "phash", "source_sha256", "config_hash", "tool_versions")

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "clips": (*_ID, *_SPAN, *_SHAPE, "video", *_ANNOTATION, *_RIGHTS, *_HASHES),
    "manifest": (*_ID, *_SPAN, *_SHAPE, *_RIGHTS, *_HASHES),
    "annotations": ("clip_id", "source_id", "fps", "width", "height", "num_frames", *_ANNOTATION),
}

# Column after `crop_xyxy` in `clips` and `manifest` of runs that asked for audio. Files of other runs have no
# such column.
AUDIO_COLUMN = "has_audio"

# Columns that a reader needs; all others are optional in datasets that other tools wrote.
REQUIRED = ("clip_id", "fps", "width", "height", "num_frames", "video", "keypoints")


class DatasetError(UserError):
    """A dataset that cannot be found, opened or used."""


def features(config: str, *, audio: bool = False) -> datasets.Features:
    """Return the columns of a configuration as Hugging Face features, for runs with `audio` one more.

    `keypoints` is [T, 133, 3] float16 (x, y, confidence, all in [0, 1]), `boxes` is [T, 4] float32
    (normalised xyxy of the person), `video` holds the bytes of the file and a file name.

    Raises:
        KeyError: there is no such configuration.
    """
    from datasets import Array3D, Features, List, Value, Video

    types = {
        **{name: Value("string") for name in (*_ID, *_RIGHTS, *_HASHES)},
        **{name: Value("int64") for name in ("start_pts", "end_pts", "time_base_num", "time_base_den")},
        **{name: Value("float64") for name in ("start_s", "end_s", "fps")},
        **{name: Value("int32") for name in ("width", "height", "num_frames")},
        "crop_xyxy": List(Value("float32")),
        AUDIO_COLUMN: Value("bool"),
        "fetched_at": Value("timestamp[us, tz=UTC]"),
        "keypoints": Array3D(shape=(None, NUM_KEYPOINTS, 3), dtype="float16"),
        "boxes": List(List(Value("float32"))),
        "scores": {name: Value("float32") for name in SCORES},
        "video": Video(),
    }
    names = list(COLUMNS[config])
    if audio and "crop_xyxy" in names:
        names.insert(names.index("crop_xyxy") + 1, AUDIO_COLUMN)
    return Features({name: types[name] for name in names})
