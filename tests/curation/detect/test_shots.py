"""Shot detection in videos with known cuts."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from fake_detectors import NO_HANDS, NOBODY, SPEAKER, FakeAnalyser
from hypothesis import given
from hypothesis import strategies as st
from shot_videos import frames, write_shots

from curation.config import load_config
from curation.detect.detectors import sample_size
from curation.detect.scan import scan
from curation.detect.shots import ShotDetector, spans, strongest
from talkingpose.media import VideoReader

CONFIG = load_config()


def detect(pictures):
    detector = ShotDetector(CONFIG.shots, Fraction(25))
    for picture in pictures:
        detector.feed(picture)
    return detector.finish()


def joined(*counts, size=(160, 96)):
    colours = [SPEAKER, NOBODY, NO_HANDS]
    return [
        picture
        for number, count in enumerate(counts)
        for picture in frames(colours[number % 3], count, number, size)
    ]


@pytest.mark.parametrize("counts", [(40, 40), (30, 7, 50), (5, 60, 4), (60, 2), (20, 20, 20, 20, 20)])
def test_every_cut_is_found_to_the_frame(counts):
    assert detect(joined(*counts)) == list(np.cumsum(counts)[:-1])


def test_the_size_of_frames_does_not_matter():
    assert detect(joined(30, 30, size=(640, 384))) == [30]


def test_one_shot_and_noise_give_no_cut():
    assert detect(joined(80)) == []
    rng = np.random.default_rng(0)
    noisy = [
        np.clip(p.astype(int) + rng.integers(-40, 41, p.shape), 0, 255).astype(np.uint8) for p in joined(60)
    ]
    assert detect(noisy) == []


def test_a_blended_frame_gives_one_cut():
    pictures = joined(30, 30)
    pictures[30] = ((pictures[29].astype(int) + pictures[31]) // 2).astype(np.uint8)
    (cut,) = detect(pictures)
    assert cut in (30, 31)


def test_short_videos():
    assert detect([]) == []
    assert detect(joined(1)) == []


def test_strongest_keeps_the_largest_change():
    changes = [0, 0, 30, 80, 0, 0, 0, 0, 50, 0]
    assert strongest([2, 3, 8], changes, 3) == [3, 8]


@given(st.lists(st.integers(1, 60), min_size=1, max_size=6), st.floats(0.2, 5))
def test_spans_cover_every_frame_once_within_the_limit(counts, max_s):
    total = sum(counts)
    times = [Fraction(i, 25) for i in range(total)]
    found = spans([int(c) for c in np.cumsum(counts)[:-1]], times, Fraction(total, 25), max_s)
    assert found[0][0] == 0 and found[-1][1] == total
    assert all(a[1] == b[0] for a, b in pairwise(found))
    # Parts differ by at most one frame.
    assert all((end - start) / 25 <= max_s + 1 / 25 for start, end in found)
    assert set(np.cumsum(counts).tolist()) <= {end for _, end in found}


def test_scan_returns_shots_with_samples_and_exact_times(tmp_path):
    path = write_shots(tmp_path / "reel.mp4", [(SPEAKER, 50), (NOBODY, 30), (NO_HANDS, 45)])
    analyser = FakeAnalyser()
    with VideoReader(path) as reader:
        found = scan(reader, CONFIG.shots, CONFIG.sampling, analyser)
    assert found.cuts == (50, 80)
    assert [(s.start, s.end, s.duration_s) for s in found.shots] == [
        (0, 50, 2.0),
        (50, 80, 1.2),
        (80, 125, 1.8),
    ]
    assert len(found.pts) == 125
    assert found.end_pts * found.info.time_base - found.pts[0] * found.info.time_base == 5
    for shot in found.shots:
        assert abs(len(shot.samples) - shot.duration_s * CONFIG.sampling.per_second) <= 1
        assert all(shot.start <= s.index < shot.end for s in shot.samples)
    assert [bool(s.samples[0].faces) for s in found.shots] == [True, False, True]


def test_sample_size_never_enlarges(tmp_path):
    path = write_shots(tmp_path / "a.mp4", [(SPEAKER, 3)])
    with VideoReader(path) as reader:
        assert sample_size(reader.info, 960) == (160, 96)
        assert sample_size(reader.info, 80) == (80, 48)
