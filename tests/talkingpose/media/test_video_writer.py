from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from talkingpose.media import MediaError, VideoReader, VideoWriter
from tests.talkingpose.media.numbered_video import number_in, numbered


def write(path: Path, images: list[np.ndarray], **settings: object) -> Path:
    with VideoWriter(path, **({"fps": Fraction(25)} | settings)) as writer:
        for image in images:
            writer.write(image)
    return path


@pytest.mark.parametrize(
    "fps",
    [Fraction(30000, 1001), Fraction(23), Fraction(359, 12), Fraction(10), Fraction(1, 2), Fraction(120), 25],
)
def test_the_rate_is_exact(tmp_path: Path, fps: Fraction) -> None:
    reader = VideoReader(write(tmp_path / "v.mp4", [numbered(k) for k in range(8)], fps=fps))
    assert [(f.time, number_in(f.image)) for f in reader] == [(k / Fraction(fps), k) for k in range(8)]
    assert reader.info.fps == fps
    assert reader.info.num_frames == 8
    assert not reader.report.variable_frame_rate


def test_colours_come_back_for_readers_that_obey_tags_and_for_opencv(tmp_path: Path) -> None:
    colours = [(200, 40, 40), (40, 200, 40), (40, 40, 200), (128, 128, 128), (250, 250, 250), (5, 5, 5)]
    images = [np.full((48, 64, 3), colour, np.uint8) for colour in colours]
    path = write(tmp_path / "v.mp4", images, crf=5)
    reader = VideoReader(path)
    assert (reader.info.color_matrix, reader.info.color_range) == ("smpte170m", "limited")
    assert reader.info.pixel_format == "yuv420p"
    capture = cv2.VideoCapture(str(path))
    for frame, image in zip(reader, images, strict=True):
        assert np.abs(frame.image.astype(int) - image).max() <= 4
        assert np.array_equal(frame.image, capture.read()[1][:, :, ::-1])


def test_the_index_comes_first_and_no_version_or_date_is_stored(tmp_path: Path) -> None:
    content = write(tmp_path / "v.mp4", [numbered(k) for k in range(5)]).read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    assert b"Lavf" not in content and b"Lavc" not in content and b"x264" not in content


_WRITE = """
import os, sys
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from fractions import Fraction
import numpy as np
from talkingpose.media import VideoWriter
for name, images in np.load(sys.argv[1]).items():
    for lossless in (False, True):
        path = f"{sys.argv[2]}/{name}-{lossless}.mp4"
        with VideoWriter(path, fps=Fraction(25), lossless=lossless) as writer:
            for image in images:
                writer.write(image)
"""


def test_same_frames_same_bytes(tmp_path: Path) -> None:
    noise = np.random.default_rng(0)
    videos = {
        f"{width}x{height}": np.stack(
            [
                numbered(k, width, height) // 2 + noise.integers(0, 99, (height, width, 3), np.uint8)
                for k in range(20)
            ]
        )
        for width, height in ((48, 48), (160, 128), (98, 66), (256, 256))
    }
    np.savez(tmp_path / "images.npz", **videos)
    # Independent of name, number of cores and previous content of memory (glibc's MALLOC_PERTURB_).
    for perturb in ("85", "255"):
        folder = tmp_path / perturb
        folder.mkdir()
        arguments = [str(tmp_path / "images.npz"), str(folder)]
        environment = os.environ | {"MALLOC_PERTURB_": perturb}
        subprocess.run([sys.executable, "-c", _WRITE, *arguments], check=True, timeout=60, env=environment)
    for name, images in videos.items():
        for lossless in (False, True):
            here = write(tmp_path / "here.mp4", list(images), lossless=lossless).read_bytes()
            for perturb in ("85", "255"):
                assert here == (tmp_path / perturb / f"{name}-{lossless}.mp4").read_bytes()


@pytest.mark.parametrize("settings", [{}, {"crf": 30, "preset": "veryslow"}, {"lossless": True}])
def test_x264_reads_no_uninitialised_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, object]
) -> None:
    """The defect shows on processors with AVX-512 only, so check the settings that x264 reports."""
    monkeypatch.setattr("talkingpose.media.writer._WITHOUT_MESSAGES", "null")
    written = write(tmp_path / "v.mp4", [numbered(k) for k in range(4)], **settings).read_bytes()
    message = written[written.index(b"x264 - core") :].split(b"\0")[0].decode("ascii", "replace")
    assert "mbtree=1" not in message and ("rc=cqp" in message or "mbtree=0" in message)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    images=st.tuples(st.integers(1, 4), st.integers(1, 40), st.integers(1, 40)).flatmap(
        lambda shape: arrays(np.uint8, (*shape, 3))
    )
)
def test_lossless_round_trip_is_exact(tmp_path: Path, images: np.ndarray) -> None:
    path = write(tmp_path / "v.mp4", list(images), lossless=True)
    assert np.array_equal(np.stack([f.image for f in VideoReader(path)]), images)


def test_lossless_keeps_noise_of_any_size(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 123, 77, 3), np.uint8)
    path = write(tmp_path / "v.mp4", list(images), lossless=True)
    assert np.array_equal(np.stack([f.image for f in VideoReader(path.read_bytes())]), images)


def test_views_are_written_as_they_look(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)
    views = [image[:, ::-1], image[::-1], image[:, :, ::-1]]
    path = write(tmp_path / "v.mp4", views, lossless=True)
    for frame, view in zip(VideoReader(path), views, strict=True):
        assert np.array_equal(frame.image, view)


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (np.zeros((64, 98, 3), np.uint8), "frame 1 is 98x64, the first was 96x64"),
        (np.zeros((64, 96, 3), np.float32), "frame 1 is float32: give a uint8"),
        (np.zeros((64, 96), np.uint8), r"frame 1 has shape \(64, 96\)"),
        (np.zeros((64, 96, 4), np.uint8), r"frame 1 has shape \(64, 96, 4\)"),
        (np.zeros((0, 96, 3), np.uint8), "frame 1 has shape"),
        ([[[1, 2, 3]]], "frame 1 is list"),
    ],
)
def test_invalid_frame_is_refused_and_leaves_no_file(
    tmp_path: Path, second: np.ndarray, message: str
) -> None:
    path = tmp_path / "v.mp4"
    with pytest.raises(MediaError, match=message) as caught:
        write(path, [numbered(0), second])
    assert str(path) in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_odd_sizes_are_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"97x64: H\.264 yuv420p needs even sizes: crop or pad"):
        write(tmp_path / "v.mp4", [numbered(0, 97, 64)])


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("v.avi", {}, "must end in .mp4"),
        ("nowhere/v.mp4", {}, "there is no folder"),
        ("v.mp4", {"fps": 29.97}, "not exact"),
        ("v.mp4", {"fps": Fraction(0)}, "positive rate"),
        ("v.mp4", {"fps": Fraction(-5)}, "positive rate"),
        ("v.mp4", {"fps": Fraction(2**40, 7)}, "cannot be stored"),
        ("v.mp4", {"crf": 60}, "from 0 to 51"),
        ("v.mp4", {"preset": "best"}, "choose one of"),
    ],
)
def test_wrong_settings_are_refused_at_once(
    tmp_path: Path, name: str, settings: dict[str, object], message: str
) -> None:
    with pytest.raises(MediaError, match=message) as caught:
        VideoWriter(tmp_path / name, **({"fps": Fraction(25)} | settings))
    assert str(tmp_path / name) in str(caught.value) and "\n" not in str(caught.value)


def test_a_folder_of_that_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "v.mp4").mkdir()
    with pytest.raises(MediaError, match="is a folder"):
        VideoWriter(tmp_path / "v.mp4", fps=Fraction(25))


def test_an_error_in_the_block_leaves_the_old_file(tmp_path: Path) -> None:
    path = write(tmp_path / "v.mp4", [numbered(1)])
    before = path.read_bytes()
    with pytest.raises(ZeroDivisionError), VideoWriter(path, fps=Fraction(25)) as writer:
        for number in range(100):
            writer.write(numbered(number))
        1 / 0  # noqa: B018
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_no_frame_is_an_error_and_no_file(tmp_path: Path) -> None:
    with (
        pytest.raises(MediaError, match="no frame was written"),
        VideoWriter(tmp_path / "v.mp4", fps=Fraction(25)),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_the_file_appears_only_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "v.mp4"
    with VideoWriter(path, fps=Fraction(25)) as writer:
        writer.write(numbered(0))
        assert not path.exists()
        assert all(other.name.startswith(".v.mp4.") for other in tmp_path.iterdir())
    assert list(tmp_path.iterdir()) == [path]


def test_a_killed_process_leaves_no_file_of_that_name(tmp_path: Path) -> None:
    code = (
        "import sys, time; from fractions import Fraction; import numpy as np\n"
        "from talkingpose.media import VideoWriter\n"
        "with VideoWriter(sys.argv[1], fps=Fraction(25)) as w:\n"
        "    for k in range(400): w.write(np.full((64, 64, 3), k % 256, np.uint8))\n"
        "    print('writing', flush=True); time.sleep(60)\n"
    )
    path = tmp_path / "v.mp4"
    child = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    os.kill(child.pid, signal.SIGKILL)
    child.wait(10)
    child.stdout.close()
    time.sleep(0.05)
    assert not path.exists()
    # What it left does not stand in the way of the next attempt.
    assert [number_in(f.image) for f in VideoReader(write(path, [numbered(7)]))] == [7]


def test_written_files_open_elsewhere(tmp_path: Path) -> None:
    path = write(tmp_path / "v.mp4", [numbered(k) for k in range(9)])
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")
        assert (context.color_primaries, context.color_trc, context.colorspace, context.color_range) == (
            1,
            13,
            6,
            1,
        )
        assert sum(1 for _ in container.decode(video=0)) == 9
