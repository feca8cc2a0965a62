from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import PictureType

from talkingpose.media import MediaError, VideoReader, probe
from tests.talkingpose.media.numbered_video import HEIGHT, WIDTH, encode, number_in, numbered


def numbers(reader: VideoReader, *span: int | None) -> list[int]:
    return [number_in(frame.image) for frame in reader.frames(*span)]


def test_frames_come_in_order_with_exact_times(talk: Path) -> None:
    with VideoReader(talk) as reader:
        frames = [(f.index, f.pts, f.time, number_in(f.image)) for f in reader]
    assert frames == [(k, 512 * k, Fraction(k, 25), k) for k in range(60)]
    kinds = {f.pict_type for f in av.open(str(talk)).decode(video=0)}
    assert PictureType.B in kinds


def test_images_are_contiguous_rgb(talk: Path) -> None:
    image = next(iter(VideoReader(talk))).image
    assert image.shape == (HEIGHT, WIDTH, 3)
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous and image.flags.writeable


def test_info(talk: Path) -> None:
    info = probe(talk)
    assert (info.name, info.codec, info.width, info.height) == (str(talk), "h264", WIDTH, HEIGHT)
    assert (info.fps, info.time_base, info.num_frames, info.duration_s) == (25, Fraction(1, 12800), 60, 2.4)
    assert (info.rotation, info.sample_aspect_ratio, info.pixel_format) == (0, 1, "yuv420p")
    assert (info.color_matrix, info.color_range, info.has_audio) == ("unspecified", "unspecified", False)


def test_a_reader_can_be_read_again_and_left_early(talk: Path) -> None:
    reader = VideoReader(talk)
    first = iter(reader)
    next(first)
    assert numbers(reader) == list(range(60))
    assert numbers(reader) == list(range(60))
    assert next(first, None) is None
    with reader:
        next(iter(reader))


def test_the_report_is_there_only_after_the_last_frame(talk: Path) -> None:
    reader = VideoReader(talk, name="talk")
    with pytest.raises(MediaError, match=r"^talk: no report yet"):
        _ = reader.report
    list(reader)
    report = reader.report
    assert (report.num_frames, report.lost_frames, report.lost_is_estimate) == (60, 0, False)
    assert not report.variable_frame_rate
    assert report.min_frame_duration == report.max_frame_duration == Fraction(1, 25)
    assert report.messages == ()


def test_bytes_give_the_same_as_a_path(talk: Path) -> None:
    path, content = VideoReader(talk), VideoReader(talk.read_bytes())
    assert content.name == f"video of {talk.stat().st_size} bytes"
    for a, b in zip(path, content, strict=True):
        assert (a.pts, a.index) == (b.pts, b.index)
        assert np.array_equal(a.image, b.image)
    assert path.report == content.report


@pytest.mark.parametrize(
    "options", [{"g": "12", "bf": "3"}, {"g": "12", "x264-params": "open-gop=1:bframes=4"}]
)
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_spans_are_exact_from_every_start(tmp_path: Path, suffix: str, options: dict[str, str]) -> None:
    path = encode(tmp_path / f"v{suffix}", map(numbered, range(40)), options=options)
    reader = VideoReader(path)
    whole = list(reader)
    assert [number_in(f.image) for f in whole] == list(range(40))
    for start in range(40):
        end = min(39, start + 3)
        span = list(reader.frames(whole[start].pts, whole[end].pts))
        assert [f.pts for f in span] == [f.pts for f in whole[start:end]]
        assert [f.index for f in span] == list(range(end - start))
        assert all(np.array_equal(a.image, b.image) for a, b in zip(span, whole[start:end], strict=True))
        assert (reader.report.num_frames, reader.report.lost_frames) == (end - start, 0)


def test_span_bounds_need_not_be_frame_times(talk: Path) -> None:
    reader = VideoReader(talk)
    assert numbers(reader, 512 * 20 - 5, 512 * 22 + 1) == [20, 21, 22]
    assert numbers(reader, 512 * 20 + 1, 512 * 22) == [21]
    assert numbers(reader, -1000, 1) == [0]
    assert numbers(reader, None, 1024) == [0, 1]
    assert numbers(reader, 512 * 58) == [58, 59]
    assert reader.report.lost_frames == 0
    assert numbers(reader, 512 * 500) == []
    assert numbers(reader, 1000, 1000) == []


def test_a_span_that_starts_in_a_long_gap(tmp_path: Path) -> None:
    pts = [*range(10), *range(1010, 1020)]
    path = encode(tmp_path / "gap.mp4", map(numbered, range(20)), pts=pts, options={"g": "5"})
    reader = VideoReader(path)
    tick = 512
    assert numbers(reader, 500 * tick, 1012 * tick) == [10, 11]


@pytest.mark.parametrize("codec", ["mpeg4", "mpeg2video", "libvpx", "libvpx-vp9", "ffv1", "mjpeg"])
def test_codecs_in_matroska_without_a_count(tmp_path: Path, codec: str) -> None:
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = encode(tmp_path / "v.mkv", map(numbered, range(20)), codec=codec, pixel_format=pixels)
    reader = VideoReader(path)
    assert reader.info.num_frames is None
    assert numbers(reader) == list(range(20))
    assert (reader.report.lost_frames, reader.report.variable_frame_rate) == (0, False)
    times = [f.pts for f in reader.frames()]
    assert numbers(reader, times[13], times[15]) == [13, 14]


def test_rounded_milliseconds_are_a_constant_rate(tmp_path: Path) -> None:
    path = encode(tmp_path / "v.mkv", map(numbered, range(40)), rate=Fraction(30000, 1001))
    reader = VideoReader(path)
    times = [f.pts for f in reader]
    assert times == [int(k * Fraction(1001, 30) + Fraction(1, 2)) for k in range(40)]
    report = reader.report
    assert (report.min_frame_duration, report.max_frame_duration) == (Fraction(33, 1000), Fraction(34, 1000))
    assert not report.variable_frame_rate


def test_variable_frame_rate_is_reported_with_exact_times(tmp_path: Path) -> None:
    pts = [0, 40, 80, 200, 230, 310, 350, 470, 480, 520]
    path = encode(tmp_path / "v.mp4", map(numbered, range(10)), pts=pts, time_base=Fraction(1, 1000))
    reader = VideoReader(path)
    assert [f.time for f in reader] == [Fraction(t, 1000) for t in pts]
    report = reader.report
    assert report.variable_frame_rate and report.lost_frames == 0
    assert (report.min_frame_duration, report.max_frame_duration) == (Fraction(1, 100), Fraction(12, 100))


def test_variable_rate_in_matroska_is_no_loss(tmp_path: Path) -> None:
    pts = np.cumsum([0, *np.random.default_rng(0).integers(20, 90, 29)]).tolist()
    path = encode(tmp_path / "v.mkv", map(numbered, range(30)), pts=pts, time_base=Fraction(1, 1000))
    reader = VideoReader(path)
    assert [f.pts for f in reader] == pts
    assert reader.report.variable_frame_rate
    assert reader.report.lost_frames == 0


def test_a_dropped_frame_on_a_coarse_clock_is_variable(tmp_path: Path) -> None:
    pts = [0, 1, 2, 4, 5, 6, 7]
    reader = VideoReader(encode(tmp_path / "v.avi", map(numbered, range(7)), pts=pts, codec="mpeg4"))
    assert numbers(reader) == list(range(7))
    assert reader.report.variable_frame_rate
    assert reader.report.lost_frames == 0


def test_unrecorded_frame_is_reported_but_not_lost(tmp_path: Path) -> None:
    pts = [*range(14), *range(15, 31)]
    reader = VideoReader(encode(tmp_path / "v.mkv", map(numbered, range(30)), pts=pts))
    assert numbers(reader) == list(range(30))
    assert reader.report.variable_frame_rate and reader.report.lost_frames == 0
    assert any("gaps of 1 frames" in message for message in reader.report.messages)


@pytest.mark.parametrize("offset", [37, 10_000])
def test_first_time_need_not_be_zero(tmp_path: Path, offset: int) -> None:
    path = encode(tmp_path / "v.mkv", map(numbered, range(12)), pts=range(offset, offset + 12))
    reader = VideoReader(path)
    assert [f.pts for f in reader] == [40 * k for k in range(offset, offset + 12)]
    assert reader.report.lost_frames == 0
    assert numbers(reader, 40 * (offset + 5), 40 * (offset + 7)) == [5, 6]


def test_an_edit_list_hides_frames_and_the_claim_follows_it(tmp_path: Path) -> None:
    # Negative times are stored as an edit list that starts the presentation at 0.
    path = encode(
        tmp_path / "v.mp4",
        map(numbered, range(20)),
        pts=range(-5, 15),
        options={"bf": "2"},
        container_options={"avoid_negative_ts": "disabled"},
    )
    reader = VideoReader(path)
    shown = numbers(reader)
    assert reader.info.num_frames == len(shown)
    assert shown == list(range(20 - len(shown), 20))
    assert reader.report.lost_frames == 0
    times = [f.pts for f in reader]
    for k in range(len(shown) - 1):
        assert numbers(reader, times[k], times[k + 1]) == [shown[k]]


def test_negative_times_are_kept(tmp_path: Path) -> None:
    path = encode(
        tmp_path / "v.mkv",
        map(numbered, range(12)),
        pts=range(-4, 8),
        codec="mpeg4",
        container_options={"avoid_negative_ts": "disabled"},
    )
    reader = VideoReader(path)
    frames = [(f.time, number_in(f.image)) for f in reader]
    assert frames == [(Fraction(k - 4, 25), k) for k in range(12)]
    assert numbers(reader, -80, 40) == [2, 3, 4]


def test_frames_without_times_follow_at_the_average_rate(tmp_path: Path) -> None:
    path = encode(tmp_path / "v.h264", map(numbered, range(30)), options={"bf": "2", "g": "10"})
    reader = VideoReader(path)
    frames = [(f.time, number_in(f.image)) for f in reader]
    assert frames == [(Fraction(k, 25), k) for k in range(30)]
    assert any("30 frames without a time" in message for message in reader.report.messages)
    tick = int(1 / (25 * reader.info.time_base))
    assert numbers(reader, 17 * tick, 19 * tick) == [17, 18]


def test_change_of_size_is_reported(tmp_path: Path) -> None:
    wide = encode(tmp_path / "a.h264", map(numbered, range(5)))
    small = encode(tmp_path / "b.h264", [numbered(k, 64, 48) for k in range(5, 9)])
    reader = VideoReader(wide.read_bytes() + small.read_bytes())
    assert numbers(reader) == list(range(9))
    assert {frame.image.shape for frame in reader} == {(HEIGHT, WIDTH, 3)}
    assert any("5 of 96x64, 4 of 64x48" in message for message in reader.report.messages)


def test_cover_pictures_and_audio_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "v.mkv"
    with av.open(str(path), "w") as container:
        sound = container.add_stream("pcm_s16le", rate=8000)
        picture = container.add_stream("libx264", rate=25)
        picture.width, picture.height = WIDTH, HEIGHT
        for k in range(10):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 640), np.int16), layout="stereo")
            frame.sample_rate, frame.pts = 8000, 320 * k
            container.mux(sound.encode(frame))
            container.mux(picture.encode(av.VideoFrame.from_ndarray(numbered(k), format="rgb24")))
        container.mux(picture.encode(None))
    reader = VideoReader(path)
    assert reader.info.has_audio
    assert numbers(reader) == list(range(10))
    assert reader.report.lost_frames == 0


def test_names_with_colons_and_percents_are_plain_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("http:v.mp4", "a %03d b.mp4"):
        encode(tmp_path / "v.mp4", map(numbered, range(3))).rename(tmp_path / name)
        assert numbers(VideoReader(name)) == [0, 1, 2]


def test_size_scales_in_the_conversion(talk: Path) -> None:
    reader = VideoReader(talk, size=(48, 40))
    assert (reader.info.width, reader.info.height) == (WIDTH, HEIGHT)
    images = [f.image for f in reader]
    assert {image.shape for image in images} == {(40, 48, 3)}
    assert [number_in(image) for image in images] == list(range(60))
    with pytest.raises(MediaError, match="size 0x5"):
        VideoReader(talk, size=(0, 5))


_LOUD = """
import sys
from multiprocessing import get_context
from talkingpose.media import VideoReader

def count(path):
    return sum(1 for _ in VideoReader(path))

if __name__ == "__main__":
    print(count(sys.argv[1]), get_context("fork").Pool(2).map(count, [sys.argv[1]] * 4))
"""


def test_damaged_files_log_nothing_and_forked_children_do_not_deadlock(talk: Path, tmp_path: Path) -> None:
    content = bytearray(talk.read_bytes())
    content[2000:2400] = bytes(400)
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-c", _LOUD, str(damaged)], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr == ""
    count = done.stdout.split()[0]
    assert done.stdout == f"{count} [{count}, {count}, {count}, {count}]\n"
