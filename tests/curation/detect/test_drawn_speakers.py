"""Filters on drawn speakers through mediapipe: hands and heads that leave, a second person, furniture."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from curation.clips.trim import TrimmedSpan, parts_of
from curation.config import load_config
from curation.detect.bystanders import points_on, separate_part
from curation.detect.detectors import MEDIAPIPE
from curation.detect.scan import scan
from curation.synthetic.render import frames
from talkingpose.media import VideoReader, VideoWriter

CONFIG = load_config()
SIZE, FPS, HELD = 256, 25, 5
# Pictures of each speaker; each is shown for five frames, so that every picture is sampled once.
COUNT = 12


@pytest.fixture(scope="module")
def speakers() -> list[np.ndarray]:
    """Pictures of two speakers, uint8 (12, 256, 256, 3) each."""
    return [np.stack([image for image, _ in frames(seed, seed, 5 * COUNT, SIZE)][::5]) for seed in (10, 16)]


def judged(path: Path, pictures: list[np.ndarray]) -> list[TrimmedSpan]:
    """Spans of a video that shows each picture for five frames."""
    with VideoWriter(path, fps=Fraction(FPS), crf=12, preset="ultrafast") as writer:
        for picture in pictures:
            for _ in range(HELD):
                writer.write(np.ascontiguousarray(picture))
    reader = VideoReader(path)
    analyser = MEDIAPIPE.analyser(reader.info, CONFIG.sampling.longer_side)
    try:
        found = scan(reader, CONFIG.shots, CONFIG.sampling, analyser)
    finally:
        analyser.close()
    return [part for shot in found.shots for part in parts_of(shot, CONFIG, found.times)]


def moved(pictures: np.ndarray, rows: int) -> list[np.ndarray]:
    """Pictures moved down, the edge repeated; up if `rows` is negative."""
    place = np.clip(np.arange(SIZE) - rows, 0, SIZE - 1)
    return [picture[place] for picture in pictures]


def kept(parts: list[TrimmedSpan]) -> list[tuple[float, float]]:
    return [(part.shot.start / FPS, part.shot.end / FPS) for part in parts if part.passed]


def reasons(parts: list[TrimmedSpan]) -> set[str]:
    return {result.reason for part in parts for result in part.results if result.reason}


def test_hands_that_leave_split_a_clip(speakers, tmp_path):
    there = list(speakers[0])
    parts = judged(tmp_path / "hands.mp4", [*there, *moved(speakers[0], 110)[:10], *there])
    (first, second) = kept(parts)
    assert first == pytest.approx((0, 2.4), abs=0.3) and second == pytest.approx((4.4, 6.8), abs=0.3)


def test_a_head_that_leaves_ends_a_clip(speakers, tmp_path):
    parts = judged(tmp_path / "head.mp4", [*speakers[0], *moved(speakers[0], -70)])
    (span,) = kept(parts)
    assert span == pytest.approx((0, 2.4), abs=0.3)
    assert {"head cut by the picture", "face not visible throughout"} & reasons(parts)


def test_a_second_person_ends_a_clip_and_furniture_does_not(speakers, tmp_path):
    room = np.repeat(speakers[0][:, :, -1:], SIZE // 2, axis=2)
    room[:, 150:240, 40:100] = (150, 105, 80)  # an armchair the colour of skin
    room[:, 60:110, 70:90] = (205, 160, 130)  # a lamp
    alone = [np.hstack(pair) for pair in zip(speakers[0], room, strict=True)]
    other = speakers[1][:, :, SIZE // 4 : -SIZE // 4]
    both = [np.hstack(pair) for pair in zip(speakers[0], other, strict=True)]
    parts = judged(tmp_path / "people.mp4", [*alone, *both])
    (span,) = kept(parts)
    assert span == pytest.approx((0, 2.4), abs=0.45)
    (seen,) = [
        result.evidence
        for part in parts
        for result in part.results
        if result.reason == "more than one person"
    ]
    assert all(one.time_s >= 2.4 for one in seen)
    assert all(one.box is not None and one.box[0] > 0.6 for one in seen if one.what == "face")


def test_a_mask_is_split_at_the_main_person():
    mask = np.zeros((20, 10), bool)
    mask[2:8, 0:3] = mask[12:14, 5:7] = mask[5:15, 8:10] = True
    separate, tallest = separate_part(mask, -1)
    assert separate.sum() == 18 + 4 and tallest.sum() == 18
    assert points_on(separate, np.array([[0.1, 0.2], [0.9, 0.5], [1.5, 0.5], [-0.1, 0.2]])) == 1
