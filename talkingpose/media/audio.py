"""Audio track of one video added to the frames of another."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.audio.resampler import AudioResampler
from av.container import InputContainer, OutputContainer

from talkingpose.io.atomic import atomic_write
from talkingpose.media.errors import MediaError
from talkingpose.media.source import open_video, video_stream

_RATE = 48000
_BIT_RATE = 160_000


def add_audio(
    video: Path, audio: Path, out: Path, *, length: Fraction, start: Fraction = Fraction(0)
) -> None:
    """Write an mp4 with the frames of one video and the audio of another, atomically.

    Video packets are copied without re-encoding. The first audio track is decoded, trimmed to the first video
    frame of its own file and to `length`, and encoded as AAC, stereo or mono as in the source.

    Args:
        video: mp4 file whose first frame is at time 0.
        audio: video file with an audio track.
        out: file to write; may be `video` itself.
        length: maximum length of the audio in seconds.
        start: of the audio, in seconds after the first video frame of its file.

    Raises:
        MediaError: there is no audio track, it cannot be decoded, or `out` cannot be written.
    """
    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    try:
        with (
            atomic_write(out) as temporary,
            open_video(video, str(video)) as frames,
            open_video(audio, str(audio)) as sound,
        ):
            if not sound.streams.audio:
                raise MediaError(f"{audio}: no audio track: write the video without audio")
            with av.open(str(temporary.absolute()), "w", format="mp4", container_options=options) as output:
                _mux(output, frames, sound, _first_time(audio) + start, length)
    except (av.FFmpegError, OSError) as error:
        raise MediaError(f"{out}: cannot be written with the audio of {audio} ({error.strerror})") from error


def _mux(
    output: OutputContainer, frames: InputContainer, sound: InputContainer, start: Fraction, length: Fraction
) -> None:
    source = frames.streams.video[0]
    video = output.add_stream_from_template(source)
    audio = output.add_stream("aac", rate=_RATE, bit_rate=_BIT_RATE)
    track = sound.streams.audio[0]
    audio.layout = "mono" if track.channels == 1 else "stereo"
    audio.time_base = Fraction(1, _RATE)
    for packet in frames.demux(source):
        if packet.dts is not None:
            packet.stream = video
            output.mux(packet)
    resampler = AudioResampler(format="fltp", layout=audio.layout.name, rate=_RATE)
    for frame in _trimmed(sound, resampler, start, round(length * _RATE)):
        output.mux(audio.encode(frame))
    output.mux(audio.encode(None))


def _trimmed(
    sound: InputContainer, resampler: AudioResampler, start: Fraction, length: int
) -> Iterator[av.AudioFrame]:
    """Yield frames of 48 kHz from `start` seconds, at most `length` samples, with pts relative to `start`."""
    for frame in _resampled(sound, resampler):
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


def _resampled(sound: InputContainer, resampler: AudioResampler) -> Iterator[av.AudioFrame]:
    track = sound.streams.audio[0]
    for frame in sound.decode(track):
        if frame.pts is not None:
            yield from resampler.resample(frame)
    yield from resampler.resample(None)


def _first_time(path: Path) -> Fraction:
    """Return the time of the first video frame, in seconds."""
    with open_video(path, str(path)) as container:
        stream = video_stream(container, str(path))
        for frame in container.decode(stream):
            if frame.pts is not None and frame.time_base is not None:
                return frame.pts * frame.time_base
    return Fraction(0)
