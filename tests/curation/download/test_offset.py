"""Search of a clip of real footage in a file that was cut and encoded again."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import imagehash
import numpy as np
import pytest
from PIL import Image

from curation.release.manifest import ManifestRow
from curation.release.rebuild import Place
from curation.sources import LocalSource
from talkingpose.media import VideoReader, VideoWriter

START, COUNT, SEARCHED = 30, 100, 12


@pytest.mark.parametrize("name", ["stage_talk_1.mp4", "stage_talk_2.mp4"])
def test_hashes_find_the_exact_frame_in_slow_motion(footage: Path, tmp_path, name):
    source = footage / "upper_body_hands" / name
    with VideoReader(source) as reader:
        fps, tick = reader.info.fps, reader.info.time_base
        end = Fraction(START + COUNT + SEARCHED) / fps / tick
        pictures = [frame.image for frame in reader.frames(0, int(end))]
    changed = tmp_path / "changed.mp4"
    with VideoWriter(changed, fps=fps, crf=30, preset="ultrafast") as writer:
        for picture in [np.ascontiguousarray(pictures[0][:, ::-1])] * 3 + pictures:
            writer.write(picture)
    hashed = [START + (2 * i + 1) * COUNT // 64 for i in range(32)]
    height, width = pictures[0].shape[:2]
    row = ManifestRow(
        split="train",
        clip_id="clip",
        source="youtube",
        source_id="dQw4w9WgXcQ",
        url=None,
        start_pts=round(Fraction(START) / fps / tick),
        end_pts=round(Fraction(START + COUNT) / fps / tick),
        time_base_num=tick.numerator,
        time_base_den=tick.denominator,
        start_s=float(START / fps),
        end_s=float((START + COUNT) / fps),
        fps=float(fps),
        width=width,
        height=height,
        num_frames=COUNT,
        crop_xyxy=(0.0, 0.0, 1.0, 1.0),
        sha256="ab" * 32,
        phash="".join(str(imagehash.phash(Image.fromarray(pictures[place]))) for place in hashed),
        source_sha256=None,
        config_hash=None,
        person_id=None,
    )
    offset, distance = Place(LocalSource(changed, name), row).search(SEARCHED)
    assert offset == 3 and distance < 4
    # In the file itself the clip is at the place of the manifest.
    assert Place(LocalSource(source, name), row).search(0) == (0, pytest.approx(0, abs=1))
