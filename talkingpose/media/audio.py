"""The sound of one video beside the pictures of another."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.audio.resampler import AudioResampler
from av.container import InputContainer, OutputContainer

from talkingpose.media.errors import MediaError
from talkingpose.media.source import open_video, video_stream

_RATE = 48000
_BIT_RATE = 160_000


def add_sound(pictures: Path, sound: Path, out: Path, *, length: Fraction) -> None:
    """Write `out`, an mp4 with the pictures of one video and the sound of another.

    Pictures are copied as they are encoded. The first audio track is decoded, cut to where the first frame of
    its own video stands and to `length`, and encoded as AAC, stereo or mono as it is. `out` appears whole or
    not at all.

    Args:
        pictures: an mp4 whose first frame is shown at time 0.
        sound: a video file with an audio track.
        out: the file to write; may be `pictures` itself.
        length: seconds of sound at most.

    Raises:
        MediaError: there is no audio track, it cannot be decoded, or `out` cannot be written.
    """
    temporary = out.with_name(f".{out.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        with open_video(pictures, str(pictures)) as seen, open_video(sound, str(sound)) as heard:
            if not heard.streams.audio:
                raise MediaError(f"{sound}: has no audio: leave the sound out")
            with av.open(
                str(temporary.absolute()),
                "w",
                format="mp4",
                container_options={"movflags": "+faststart", "fflags": "+bitexact"},
            ) as film:
                _mux(film, seen, heard, _first_time(sound), length)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(out)
    except (av.FFmpegError, OSError) as error:
        raise MediaError(f"{out}: cannot be written with the sound of {sound} ({error.strerror})") from error
    finally:
        temporary.unlink(missing_ok=True)


def _mux(
    film: OutputContainer, seen: InputContainer, heard: InputContainer, start: Fraction, length: Fraction
) -> None:
    source = seen.streams.video[0]
    video = film.add_stream_from_template(source)
    audio = film.add_stream("aac", rate=_RATE, bit_rate=_BIT_RATE)
    track = heard.streams.audio[0]
    audio.layout = "mono" if track.channels == 1 else "stereo"
    audio.time_base = Fraction(1, _RATE)
    for packet in seen.demux(source):
        if packet.dts is not None:
            packet.stream = video
            film.mux(packet)
    resampler = AudioResampler(format="fltp", layout=audio.layout.name, rate=_RATE)
    for frame in _cut(heard, resampler, start, round(length * _RATE)):
        film.mux(audio.encode(frame))
    film.mux(audio.encode(None))


def _cut(
    heard: InputContainer, resampler: AudioResampler, start: Fraction, length: int
) -> Iterator[av.AudioFrame]:
    """Frames of 48 kHz from `start` seconds on, at most `length` samples, numbered from `start`."""
    for frame in _resampled(heard, resampler):
        assert frame.pts is not None and frame.time_base is not None
        first = round((frame.pts * frame.time_base - start) * _RATE)
        if first >= length:
            return
        low, high = max(0, -first), min(frame.samples, length - first)
        if low >= high:
            continue
        if (low, high) != (0, frame.samples):
            samples = frame.to_ndarray()[:, low:high]
            frame = av.AudioFrame.from_ndarray(samples.copy(), format="fltp", layout=frame.layout.name)
            frame.sample_rate = _RATE
        frame.pts, frame.time_base = first + low, Fraction(1, _RATE)
        yield frame


def _resampled(heard: InputContainer, resampler: AudioResampler) -> Iterator[av.AudioFrame]:
    track = heard.streams.audio[0]
    for frame in heard.decode(track):
        if frame.pts is not None:
            yield from resampler.resample(frame)
    yield from resampler.resample(None)


def _first_time(path: Path) -> Fraction:
    """When the first frame of a video stands, in seconds."""
    with open_video(path, str(path)) as container:
        stream = video_stream(container, str(path))
        for frame in container.decode(stream):
            if frame.pts is not None and frame.time_base is not None:
                return frame.pts * frame.time_base
    return Fraction(0)
