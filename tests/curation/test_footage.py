"""Real footage through the real models: cuts to the frame, verdicts of a person."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_detectors import FAKE

from curation import curate
from curation.config import Config, load_config
from curation.detect.detectors import MEDIAPIPE
from curation.detect.scan import scan
from curation.filters.length import LengthSettings
from curation.run import RunOptions
from curation.sources import find_sources, identify
from curation.worker import Job, process
from talkingpose.data.clips import ClipDataset
from talkingpose.media import VideoReader
from talkingpose.pose import FACE, LEFT_HAND, RIGHT_HAND

CONFIG = load_config()


def any_length() -> Config:
    """Configuration for single signs, which are shorter than clips."""
    return CONFIG.model_copy(update={"filters": CONFIG.filters | {"length": LengthSettings(min_s=1.0)}})


def test_a_second_of_a_sign_becomes_a_clip(footage: Path, tmp_path):
    """All real models in this process: samples, verdict, dense pose, crop, encoding, verification."""
    (found,) = find_sources([footage / "upper_body_hands" / "sign_book.mkv"])
    source = replace(identify(found), spans=((0.6, 1.7),))
    record = process(Job(source, any_length(), "test", {}, MEDIAPIPE, tmp_path))
    assert [(shot.verdict, shot.reason) for shot in record.shots] == [("keep", None)]
    (clip,) = record.clips
    with VideoReader(tmp_path / f"{clip.clip_id}.mp4") as reader:
        assert sum(1 for _ in reader) == clip.num_frames
    keypoints = np.load(tmp_path / f"{clip.clip_id}.npz")["keypoints"]
    assert keypoints.shape == (clip.num_frames, 133, 3)
    seen = (keypoints[..., 2] > 0).mean(axis=0)
    assert seen[FACE].min() > 0.95 and max(seen[LEFT_HAND].min(), seen[RIGHT_HAND].min()) > 0.5


@pytest.mark.soak  # half a minute to more than one on one core
def test_mixed_reel(footage: Path, tmp_path):
    """Verdicts of the real models; a stand-in replaces dense pose, which takes minutes."""
    summary = curate(
        [footage / "cuts" / "mixed_reel.mp4"],
        tmp_path / "data",
        CONFIG,
        workers=1,
        options=RunOptions(detectors=replace(MEDIAPIPE, estimator=FAKE.estimator)),
    )
    (record,) = summary.records
    assert record.cuts == (150, 450, 700, 825, 895, 1020, 1320)
    assert [(shot.verdict, shot.reason) for shot in record.shots] == [
        ("reject", "no face to be seen"),
        ("keep", None),
        ("keep", None),
        ("reject", "no face to be seen"),
        ("reject", "too short"),
        ("reject", "no face to be seen"),
        ("keep", None),
        ("reject", "no hands to be seen"),
    ]
    lines = (tmp_path / "data" / "verdicts.jsonl").read_text().splitlines()
    assert [json.loads(line)["start_frame"] for line in lines] == [0, *record.cuts]


@pytest.mark.soak  # about 15 s
def test_a_sign_becomes_a_clip_with_its_keypoints(footage: Path, tmp_path):
    """A run with the real models on one sign."""
    source = footage / "upper_body_hands" / "sign_book.mkv"
    summary = curate([source], tmp_path / "data", any_length(), workers=1)
    assert not summary.errors
    dataset = ClipDataset(str(tmp_path / "data"))
    (clip,) = [clip for split in dataset.splits for clip in dataset.clips(split)]
    with VideoReader(dataset.video(clip)) as reader:
        assert sum(1 for _ in reader) == clip.num_frames
    keypoints = dataset.keypoints(clip)
    assert keypoints.shape == (clip.num_frames, 133, 3)
    found = (keypoints[..., 2] > 0).mean(axis=0)
    assert found[FACE].min() > 0.95
    # Both hands sign; they are found unless they are blurred.
    assert found[LEFT_HAND].min() > 0.5 and found[RIGHT_HAND].min() > 0.5
    placed = keypoints[keypoints[..., 2] > 0][:, :2]
    assert placed.min() > -0.1 and placed.max() < 1.1


@pytest.mark.soak  # about 5 s each
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("head_only/webcam.mp4", "no hands to be seen"),
        ("no_person/cartoon.mp4", "no face to be seen"),
        ("no_person/hands_only_blocks.mp4", "no face to be seen"),
        ("no_person/slides.mp4", "no face to be seen"),
        ("degraded/sign_dark.mp4", "too dark"),
        ("degraded/sign_blur.mp4", "face blurred"),
        ("upper_body_hands/sign_bird.mkv", "more than one person"),
        ("upper_body_hands/sign_please.mkv", "more than one person"),
    ],
)
def test_reasons(footage: Path, tmp_path, name, reason):
    (found,) = find_sources([footage / name])
    record = process(Job(identify(found), any_length(), "test", {}, MEDIAPIPE, tmp_path))
    assert [(shot.verdict, shot.reason) for shot in record.shots] == [("reject", reason)]


@pytest.mark.soak  # about 5 s
def test_cuts_between_people_in_one_room_and_within_one_framing(footage: Path):
    path = footage / "cuts" / "signers_four_cuts.mp4"
    with VideoReader(path) as reader:
        analyser = MEDIAPIPE.analyser(reader.info, CONFIG.sampling.longer_side)
        assert scan(reader, CONFIG.shots, CONFIG.sampling, analyser).cuts == (77, 186, 254, 301)
    analyser.close()
