"""The packet loop: every frame that a damaged or sound stream still gives, in order of presentation."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TypeAlias

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from talkingpose.media.decode_report import Account
from talkingpose.media.source import video_end

_Packet: TypeAlias = "av.Packet[VideoStream]"

_MAX_READ_ERRORS = 64  # in a row: a file of which nothing more can be read


def decode(
    container: InputContainer, stream: VideoStream, account: Account
) -> Generator[av.VideoFrame, None, None]:
    """Good frames of `stream` from the container's position on, each with a `pts`; losses go to `account`.

    A frame without a time follows the frame before it at the average rate; the first such one has time 0.
    """
    rate = stream.average_rate or stream.guessed_rate or 25
    step = max(1, round(1 / (rate * stream.time_base))) if stream.time_base else 1
    next_pts = 0
    for packet in _packets(container, stream, account):
        for frame in _decode_packet(stream, packet, account):
            if frame.is_corrupt:
                account.damaged(frame.pts)
                continue
            if frame.pts is None:
                account.untimed()
                frame.pts = next_pts
            next_pts = frame.pts + (frame.duration or step)
            yield frame
    account.file_ended(video_end(container, stream))


def _packets(container: InputContainer, stream: VideoStream, account: Account) -> Iterator[_Packet | None]:
    """Packets of the stream, over unreadable places; None at the end asks for the decoder's rest."""
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
            account.read_failed()
    yield None


def _decode_packet(stream: VideoStream, packet: _Packet | None, account: Account) -> list[av.VideoFrame]:
    if packet is None:
        return _decode_or_count(stream, None, account)
    if not packet.is_discard:
        account.packet_read(packet.pts)
    if packet.is_corrupt:
        account.damaged(packet.pts)
        return []
    return _decode_or_count(stream, packet, account)


def _decode_or_count(stream: VideoStream, packet: _Packet | None, account: Account) -> list[av.VideoFrame]:
    try:
        return stream.decode(packet)
    except av.FFmpegError:
        account.damaged(packet.pts if packet else None)
        return []
