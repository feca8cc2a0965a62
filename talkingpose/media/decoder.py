"""Packet loop: all decodable frames of an intact or damaged stream, in presentation order."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TypeAlias

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from talkingpose.media.decode_report import DecodeCounter
from talkingpose.media.source import video_end

_Packet: TypeAlias = "av.Packet[VideoStream]"

_MAX_READ_ERRORS = 64  # consecutive; then the rest of the file is unreadable


def decode(
    container: InputContainer, stream: VideoStream, counter: DecodeCounter
) -> Generator[av.VideoFrame, None, None]:
    """Yield the valid frames of `stream` from the current position, each with a `pts`; count losses.

    A frame without a time follows the previous frame at the average rate, or is at time 0.
    """
    rate = stream.average_rate or stream.guessed_rate or 25
    step = max(1, round(1 / (rate * stream.time_base))) if stream.time_base else 1
    next_pts = 0
    for packet in _packets(container, stream, counter):
        for frame in _decode_packet(stream, packet, counter):
            if frame.is_corrupt:
                counter.damaged(frame.pts)
                continue
            if frame.pts is None:
                counter.untimed()
                frame.pts = next_pts
            next_pts = frame.pts + (frame.duration or step)
            yield frame
    counter.file_ended(video_end(container, stream))


def _packets(
    container: InputContainer, stream: VideoStream, counter: DecodeCounter
) -> Iterator[_Packet | None]:
    """Yield the packets of the stream past read errors; the final None flushes the decoder."""
    errors = 0
    while errors < _MAX_READ_ERRORS:
        try:
            for packet in container.demux(stream):
                if packet.size:
                    errors = 0
                    yield packet
            break
        except av.FFmpegError:
            errors += 1
            counter.read_failed()
    yield None


def _decode_packet(
    stream: VideoStream, packet: _Packet | None, counter: DecodeCounter
) -> list[av.VideoFrame]:
    if packet is None:
        return _decode_or_count(stream, None, counter)
    if not packet.is_discard:
        counter.packet_read(packet.pts)
    if packet.is_corrupt:
        counter.damaged(packet.pts)
        return []
    return _decode_or_count(stream, packet, counter)


def _decode_or_count(
    stream: VideoStream, packet: _Packet | None, counter: DecodeCounter
) -> list[av.VideoFrame]:
    try:
        return stream.decode(packet)
    except av.FFmpegError:
        counter.damaged(packet.pts if packet else None)
        return []
