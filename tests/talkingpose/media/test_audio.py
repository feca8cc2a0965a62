from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from talkingpose.media import MediaError, VideoReader, VideoWriter
from talkingpose.media.audio import add_audio, cut_audio

RATE = 44100


def film(path: Path, frames: int = 25) -> Path:
    with VideoWriter(path, fps=Fraction(25)) as writer:
        for k in range(frames):
            writer.write(np.full((32, 32, 3), 8 * k % 256, np.uint8))
    return path


def driving(path: Path, *, first_frame_s: float = 0.0, tone_s: float = 0.5, seconds: float = 2.0) -> Path:
    """A video whose sound is silent up to `tone_s` and a tone of 1 kHz after it."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=25)
        video.width = video.height = 32
        video.pix_fmt = "yuv420p"
        video.time_base = Fraction(1, 1000)
        audio = container.add_stream("pcm_s16le", rate=RATE, layout="mono")
        for k in range(int(25 * (seconds - first_frame_s))):
            frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
            frame.pts, frame.time_base = round(1000 * (first_frame_s + k / 25)), Fraction(1, 1000)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        times = np.arange(int(RATE * seconds)) / RATE
        wave = (20000 * np.sin(2000 * np.pi * times) * (times >= tone_s)).astype(np.int16)
        for start in range(0, len(wave), 1024):
            chunk = av.AudioFrame.from_ndarray(wave[None, start : start + 1024], format="s16", layout="mono")
            chunk.sample_rate, chunk.pts, chunk.time_base = RATE, start, Fraction(1, RATE)
            container.mux(audio.encode(chunk))
        container.mux(audio.encode(None))
    return path


def sound_of(path: Path) -> tuple[float, float]:
    """Seconds of sound, and when it becomes loud."""
    with av.open(str(path)) as container:
        chunks = [(f.pts * f.time_base, f.to_ndarray()[0]) for f in container.decode(audio=0)]
        rate = container.streams.audio[0].rate
    samples = np.concatenate([chunk for _, chunk in chunks])
    loud = int(np.argmax(np.abs(samples) > 0.1))
    return len(samples) / rate, float(chunks[0][0]) + loud / rate


@pytest.mark.parametrize(("first_frame_s", "expected"), [(0.0, 0.5), (0.2, 0.3)])
def test_audio_starts_at_the_first_frame(tmp_path: Path, first_frame_s: float, expected: float) -> None:
    made = film(tmp_path / "film.mp4")
    source = driving(tmp_path / "d.mkv", first_frame_s=first_frame_s)
    add_audio(made, source, tmp_path / "out.mp4", length=Fraction(1))
    seconds, loud = sound_of(tmp_path / "out.mp4")
    # AAC has frames of 1024 samples, and spreads a sudden start.
    assert loud == pytest.approx(expected, abs=0.025)
    assert seconds == pytest.approx(1.0, abs=0.045)
    before, after = ([f.image for f in VideoReader(p)] for p in (made, tmp_path / "out.mp4"))
    assert np.array_equal(before, after)


def test_output_can_replace_the_video(tmp_path: Path) -> None:
    made, source = film(tmp_path / "film.mp4"), driving(tmp_path / "d.mkv", seconds=0.6)
    add_audio(made, source, made, length=Fraction(1))
    assert sound_of(made)[0] == pytest.approx(0.6, abs=0.045)
    assert VideoReader(made).info.num_frames == 25


def test_without_audio_nothing_is_written(tmp_path: Path) -> None:
    made, silent = film(tmp_path / "film.mp4"), film(tmp_path / "silent.mp4")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(MediaError, match="no audio"):
        add_audio(made, silent, tmp_path / "out.mp4", length=Fraction(1))
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def click_and_flash(
    path: Path, *, at_s: float, rate: int = 48000, sound: tuple[float, float] = (0.0, 4.0), channels: int = 1
) -> Path:
    """A video of 4 s at 25 fps with a white frame and, at its beginning, a click; sound in a part of it."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25, options={"crf": "10", "bf": "2"})
        video.width = video.height = 64
        video.pix_fmt = "yuv420p"
        audio = container.add_stream(
            "pcm_s16le" if path.suffix == ".mkv" else "aac",
            rate=rate,
            layout="mono" if channels == 1 else "stereo",
        )
        for k in range(100):
            level = 255 if k == round(at_s * 25) else 0
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), level, np.uint8), format="rgb24")
            frame.pts, frame.time_base = k, Fraction(1, 25)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        wave = np.zeros(round(rate * (sound[1] - sound[0])), np.int16)
        place = round(rate * (at_s - sound[0]))
        wave[place : place + rate // 100] = 30000 * np.sin(np.arange(rate // 100) * 0.5)
        for start in range(0, len(wave), 1024):
            block = np.repeat(wave[start : start + 1024], channels)[None]
            chunk = av.AudioFrame.from_ndarray(
                block, format="s16", layout="mono" if channels == 1 else "stereo"
            )
            chunk.sample_rate, chunk.time_base = rate, Fraction(1, rate)
            chunk.pts = round(rate * sound[0]) + start
            container.mux(audio.encode(chunk))
        container.mux(audio.encode(None))
    return path


def flash_of(path: Path) -> float:
    lights = [(float(frame.time), frame.image.mean()) for frame in VideoReader(path)]
    return max(lights, key=lambda one: one[1])[0]


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("a.mkv", {}),
        ("a.mp4", {"rate": 44100, "channels": 2}),
        ("a.mkv", {"rate": 22050, "sound": (0.9, 4.0)}),  # begins late
        ("a.mp4", {"sound": (0.0, 2.6)}),  # ends early
        ("a.mp4", {"sound": (1.5, 2.6), "rate": 32000}),
    ],
)
def test_a_cut_keeps_click_and_flash_together(tmp_path: Path, name: str, more: dict) -> None:
    source = click_and_flash(tmp_path / name, at_s=2.0, **more)
    start, count = Fraction(23, 25), 60
    cut = tmp_path / "cut.mp4"
    with VideoReader(source) as reader, VideoWriter(cut, fps=Fraction(25)) as writer:
        for frame in reader.frames(round(start / reader.info.time_base)):
            if frame.index < count:
                writer.write(frame.image)
    silent = [frame.image for frame in VideoReader(cut)]
    assert cut_audio(cut, source, start=start, length=Fraction(count, 25))
    seconds, loud = sound_of(cut)
    assert flash_of(cut) == pytest.approx(1.08)
    assert loud == pytest.approx(1.08, abs=0.01)  # a quarter of a frame
    assert seconds == pytest.approx(count / 25, abs=1024 / 48000 + 1e-3)
    assert np.array_equal(silent, [frame.image for frame in VideoReader(cut)])
    with av.open(str(cut)) as container:
        assert container.streams.audio[0].channels == more.get("channels", 1)


def test_a_part_without_sound_stays_silent(tmp_path: Path) -> None:
    made = film(tmp_path / "film.mp4")
    before = made.read_bytes()
    assert not cut_audio(made, film(tmp_path / "silent.mp4"), start=Fraction(0), length=Fraction(1))
    source = click_and_flash(tmp_path / "s.mkv", at_s=0.5, sound=(0.0, 1.0))
    assert not cut_audio(made, source, start=Fraction(2), length=Fraction(1))
    assert made.read_bytes() == before
