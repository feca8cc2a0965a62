"""Real footage through the real models: cuts to the frame, verdicts as a person would give them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from curation.config import load_config
from curation.detectors import MEDIAPIPE
from curation.process import Job, process
from curation.run import curate, find
from curation.scan import scan
from curation.sources import find_sources, identify
from talkingpose.media import VideoReader

CONFIG = load_config()


@pytest.mark.slow  # 70 to 200 s of work on one core, most of it dense pose
def test_mixed_reel(footage: Path, tmp_path):
    summary = curate(find([footage / "cuts" / "mixed_reel.mp4"], None), tmp_path / "data", CONFIG, workers=1)
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


@pytest.mark.slow  # about 5 s each
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
    # The lengths of single signs are set aside.
    length = CONFIG.filters.length.model_copy(update={"min_s": 1.0})
    filters = CONFIG.filters.model_copy(update={"length": length})
    config = CONFIG.model_copy(update={"filters": filters})
    record = process(Job(identify(found), config, "test", {}, MEDIAPIPE, tmp_path))
    assert [(shot.verdict, shot.reason) for shot in record.shots] == [("reject", reason)]


@pytest.mark.slow  # about 5 s
def test_cuts_between_people_in_one_room_and_within_one_framing(footage: Path):
    path = footage / "cuts" / "signers_four_cuts.mp4"
    with VideoReader(path) as reader:
        analyser = MEDIAPIPE.analyser(reader.info, CONFIG.sampling.longer_side)
        assert scan(reader, CONFIG, analyser).cuts == (77, 186, 254, 301)
    analyser.close()
