"""Audio track of one video, or a part of it, added to the frames of another."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer

from talkingpose.io.atomic import atomic_write
from talkingpose.media.errors import MediaError
from talkingpose.media.source import open_video, video_stream

_RATE = 48000
_BIT_RATE = 160_000
_MP4 = {"movflags": "+faststart", "fflags": "+bitexact"}
_PREROLL_S = 1
# Samples of an AAC frame.
_BLOCK = 1024


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
    try:
        with (
            atomic_write(out) as temporary,
            open_video(video, str(video)) as frames,
            open_video(audio, str(audio)) as sound,
        ):
            if not sound.streams.audio:
                raise MediaError(f"{audio}: no audio track: write the video without audio")
            with av.open(str(temporary.absolute()), "w", format="mp4", container_options=_MP4) as output:
                _mux(output, frames, sound, _first_time(audio) + start, length)
    except (av.FFmpegError, OSError) as error:
        raise MediaError(f"{out}: cannot be written with the audio of {audio} ({error.strerror})") from error


def cut_audio(video: Path, audio: Path, *, start: Fraction, length: Fraction) -> bool:
    """Add a part of an audio track to an mp4 file, cut to the sample, atomically.

    Video packets are copied without re-encoding. The first audio track is decoded, resampled to 48 kHz and
    encoded as AAC, mono or stereo as in the source. Where the track has no sound, because it begins late,
    ends early or is damaged, there is silence: the new track is as long as the video.

    Args:
        video: mp4 file whose first frame is at time 0.
        audio: video file with the audio track.
        start: time of the first sample, in seconds on the clock of the frames of `audio`.
        length: length in seconds.

    Returns:
        False where `audio` has no sound in this part; the file is then as it was.

    Raises:
        MediaError: `audio` cannot be opened, or `video` cannot be written.
    """
    samples = _part(audio, start, round(length * _RATE))
    if samples is None:
        return False
    try:
        with (
            atomic_write(video) as temporary,
            open_video(video, str(video)) as frames,
            av.open(str(temporary.absolute()), "w", format="mp4", container_options=_MP4) as output,
        ):
            _mux_samples(output, frames, samples)
    except (av.FFmpegError, OSError) as error:
        raise MediaError(
            f"{video}: the audio of {audio} cannot be added ({error.strerror}): check the disk"
        ) from error
    return True


def _part(audio: Path, start: Fraction, length: int) -> npt.NDArray[np.float32] | None:
    """Samples of a part, float32 (1 or 2 channels, length), 0 where there is no sound; None without any."""
    # A decoder needs a few packets before its sound is right; a wrong seek falls back to the beginning.
    for seek in (start - _PREROLL_S, None):
        with open_video(audio, str(audio)) as sound:
            if not sound.streams.audio:
                return None
            try:
                if seek is not None:
                    sound.seek(max(int(seek * av.time_base), 0), backward=True)
                samples, first = _filled(sound, sound.streams.audio[0], start, length)
            except (av.FFmpegError, OSError):
                continue
            if seek is None or (first is not None and first <= start):
                return samples
    return None


def _filled(
    sound: InputContainer, track: AudioStream, start: Fraction, length: int
) -> tuple[npt.NDArray[np.float32] | None, Fraction | None]:
    """Decode a part from the current position; returns its samples and the time of the first decoded one."""
    layout = "mono" if track.channels == 1 else "stereo"
    resampler = AudioResampler(format="fltp", layout=layout, rate=_RATE)
    samples = np.zeros((1 if layout == "mono" else 2, length), np.float32)
    has_sound, began = False, None
    for frame in _resampled_part(sound, track, resampler, start + Fraction(length, _RATE)):
        assert frame.pts is not None and frame.time_base is not None
        time = frame.pts * frame.time_base
        began = time if began is None else began
        first = round((time - start) * _RATE)
        low, high = max(-first, 0), min(frame.samples, length - first)
        if low < high:
            samples[:, first + low : first + high] = np.nan_to_num(frame.to_ndarray()[:, low:high])
            has_sound = True
    return (samples if has_sound else None), began


def _resampled_part(
    sound: InputContainer, track: AudioStream, resampler: AudioResampler, end: Fraction
) -> Iterator[av.AudioFrame]:
    """Yield resampled frames until a time; damaged packets are left out."""
    packets = sound.demux(track)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, av.FFmpegError, OSError):
            break
        try:
            decoded = list(packet.decode())
        except (av.FFmpegError, OSError):
            continue
        for frame in decoded:
            if not isinstance(frame, av.AudioFrame) or frame.pts is None or frame.time_base is None:
                continue
            try:
                resampled = resampler.resample(frame)
            except (av.FFmpegError, ValueError):
                continue  # another format than that of the frames before
            yield from resampled
            if frame.pts * frame.time_base > end:
                return
    try:
        yield from resampler.resample(None)
    except (av.FFmpegError, ValueError):
        return  # nothing was decoded


def _mux_samples(output: OutputContainer, frames: InputContainer, samples: npt.NDArray[np.float32]) -> None:
    source = frames.streams.video[0]
    video = output.add_stream_from_template(source)
    audio = output.add_stream("aac", rate=_RATE, bit_rate=_BIT_RATE)
    layout = "mono" if len(samples) == 1 else "stereo"
    audio.layout = layout
    audio.time_base = Fraction(1, _RATE)
    for packet in frames.demux(source):
        if packet.dts is not None:
            packet.stream = video
            output.mux(packet)
    for first in range(0, samples.shape[1], _BLOCK):
        block = np.ascontiguousarray(samples[:, first : first + _BLOCK])
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = _RATE, first, Fraction(1, _RATE)
        output.mux(audio.encode(frame))
    output.mux(audio.encode(None))


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
