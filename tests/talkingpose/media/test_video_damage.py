"""Files that are truncated, damaged, hostile, or not a video."""

from __future__ import annotations

import contextlib
import os
import re
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from talkingpose.media import MediaError, VideoReader, VideoWriter, probe
from tests.talkingpose.media.numbered_video import encode, number_in, numbered


def cut(path: Path, share: float) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


def read(path: Path) -> tuple[list[int], VideoReader]:
    reader = VideoReader(path)
    return [number_in(frame.image) for frame in reader], reader


@pytest.fixture
def faststart(tmp_path: Path) -> Path:
    path = tmp_path / "index_first.mp4"
    with VideoWriter(path, fps=25) as writer:
        for number in range(60):
            writer.write(numbered(number))
    return path


@pytest.mark.parametrize("share", [0.4, 0.6, 0.8, 0.9, 0.97])
def test_truncated_file_with_index_counts_lost_frames(faststart: Path, share: float) -> None:
    found, reader = read(cut(faststart, share))
    assert 0 < len(found) < 60
    assert reader.report.lost_frames == 60 - len(found)
    assert not reader.report.lost_is_estimate
    assert f"{60 - len(found)} of 60 frames lost" in reader.report.messages
    assert found == sorted(found)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.7, 0.98])
def test_file_truncated_before_its_index_is_one_line(talk: Path, share: float) -> None:
    with pytest.raises(MediaError, match=re.escape(str(talk))) as caught:
        VideoReader(cut(talk, share))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.75, 0.9])
@pytest.mark.parametrize("codec", ["mpeg4", "ffv1", "libvpx-vp9"])
def test_losses_without_a_claim_are_estimated(tmp_path: Path, codec: str, share: float) -> None:
    path = encode(tmp_path / "v.mkv", map(numbered, range(60)), codec=codec, options={"g": "10"})
    found, reader = read(cut(path, share))
    assert reader.info.num_frames is None
    assert found == list(range(len(found)))
    assert 0 < len(found) < 60
    assert reader.report.lost_frames == 60 - len(found)
    assert reader.report.lost_is_estimate
    assert "estimated" in reader.report.messages[0]


def test_truncation_shows_in_a_span(tmp_path: Path) -> None:
    path = cut(encode(tmp_path / "v.mkv", map(numbered, range(60)), codec="ffv1"), 0.5)
    reader = VideoReader(path)
    whole = len(list(reader))
    assert len(list(reader.frames(400, 800))) == 10
    assert reader.report.lost_frames == 0
    assert len(list(reader.frames(40 * (whole - 3), 40 * (whole + 4)))) == 3
    assert reader.report.lost_frames == 4


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_damage_in_the_middle_is_counted_and_decoding_continues(tmp_path: Path, codec: str) -> None:
    path = encode(tmp_path / "v.mp4", map(numbered, range(60)), codec=codec, options={"g": "12"})
    sizes = [packet.size for packet in av.open(str(path)).demux(video=0)]
    content = bytearray(path.read_bytes())
    start = content.index(b"mdat") + 4 + sum(sizes[:24])
    content[start : start + sizes[24] + sizes[25]] = bytes(sizes[24] + sizes[25])
    path.write_bytes(content)
    found, reader = read(path)
    assert found[:20] == list(range(20))
    assert found[-20:] == list(range(40, 60))
    assert reader.report.lost_frames == 60 - len(found) > 0
    assert any("damaged" in message for message in reader.report.messages)
    assert reader.report.doubtful_frames > 0
    assert not reader.report.variable_frame_rate
    times = [frame.pts for frame in reader]
    assert times == sorted(set(times))


def test_frames_that_ffmpeg_marks_corrupt_are_not_shown(tmp_path: Path) -> None:
    noise = np.random.default_rng(0)
    path = tmp_path / "v.mp4"
    with VideoWriter(path, fps=25) as writer:
        for _ in range(30):
            writer.write(noise.integers(0, 256, (64, 96, 3), np.uint8))
    content = bytearray(path.read_bytes())
    for share in (0.4, 0.6, 0.8):
        at = int(len(content) * share)
        content[at : at + 2500] = bytes(2500)
    path.write_bytes(content)
    good = []
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        for packet in container.demux(video=0):
            with contextlib.suppress(av.FFmpegError):
                good += [frame.pts for frame in packet.decode() if not frame.is_corrupt]
    assert 0 < len(good) < 30
    reader = VideoReader(path)
    assert [frame.pts for frame in reader] == good
    assert reader.report.lost_frames == 30 - len(good)


def _audio_only(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp", layout="stereo")
        frame.sample_rate = 8000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)


def _no_frames(path: Path) -> None:
    encode(path, map(numbered, range(3)), container_options={"movflags": "+faststart"})
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"mdat") + 4])


def _wide_pixels(path: Path) -> None:
    encode(path, map(numbered, range(3)), context={"sample_aspect_ratio": Fraction(50)})


def _huge_frame(path: Path) -> None:
    """One PNG frame of 81 megapixels in a file of a few kilobytes."""
    with av.open(str(path), "w", format="mov") as container:
        stream = container.add_stream("png", rate=25)
        stream.width = stream.height = 9000
        stream.pix_fmt = "gray"
        frame = av.VideoFrame(9000, 9000, "gray")
        frame.planes[0].update(bytes(frame.planes[0].buffer_size))
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


BAD_FILES = {
    "empty": (lambda path: path.write_bytes(b""), "is empty"),
    "text": (lambda path: path.write_text("This is not a video.\n" * 50), "not a readable video"),
    "random": (lambda path: path.write_bytes(np.random.default_rng(0).bytes(5000)), "not a readable video"),
    "playlist": (
        lambda path: path.write_text("#EXTM3U\n#EXTINF:5,\nother.ts\n#EXT-X-ENDLIST\n"),
        "not a readable video",
    ),
    "script": (
        lambda path: path.write_text("ffconcat version 1.0\nfile other.mp4\n"),
        "not a readable video",
    ),
    "audio": (_audio_only, "no video stream, only audio"),
    "no frames": (_no_frames, "no frame of the h264 video"),
    "folder": (lambda path: path.mkdir(), "is a folder"),
    "fifo": (lambda path: os.mkfifo(path), "not a regular file"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
    "aspect": (_wide_pixels, "sample aspect ratio 50"),
    "huge": (_huge_frame, "megapixels"),
    "missing": (lambda path: None, "no such file"),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_bad_files_give_one_line_that_names_the_file(tmp_path: Path, kind: str) -> None:
    make, message = BAD_FILES[kind]
    path = tmp_path / f"{kind}.mp4"
    make(path)
    for call in (VideoReader, probe, lambda source: VideoReader(source, name="my clip")):
        with pytest.raises(MediaError, match=message) as caught:
            call(path)
        text = str(caught.value)
        assert text.startswith((f"{path}: ", "my clip: "))
        assert "\n" not in text
        assert text.count(": ") >= 2  # problem, file, remedy


@pytest.mark.parametrize("kind", ["empty", "text", "audio", "no frames"])
def test_bad_bytes_give_one_line_that_names_them(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "v.mp4"
    BAD_FILES[kind][0](path)
    content = path.read_bytes()
    with pytest.raises(MediaError, match=f"^video of {len(content)} bytes: "):
        VideoReader(content)


def test_a_playlist_opens_no_other_file(tmp_path: Path) -> None:
    encode(tmp_path / "other.ts", map(numbered, range(3)))
    for kind in ("playlist", "script"):
        path = tmp_path / "list.mp4"
        BAD_FILES[kind][0](path)
        with pytest.raises(MediaError, match="not a readable video"):
            VideoReader(path)
