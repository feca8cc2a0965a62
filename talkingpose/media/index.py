"""Packet index of a video: times, key frames and true length, without decoding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from talkingpose.media.source import open_video, video_stream

_MAX_READ_ERRORS = 64


@dataclass(frozen=True)
class PacketIndex:
    """Summary of the video packets of a file.

    Attributes:
        num_packets: number of packets that should give a frame.
        key_times: presentation times of the key frames in seconds, in order.
        duration_s: from the first presentation time to the end of the last packet, independent of the header;
            None if packets carry no times.
    """

    num_packets: int
    key_times: tuple[float, ...]
    duration_s: float | None

    @property
    def key_frame_gap_s(self) -> float | None:
        """Longest time without a key frame, up to the end of the video."""
        if self.duration_s is None or not self.key_times:
            return None
        edges = [*self.key_times, self.key_times[0] + self.duration_s]
        return max(after - before for before, after in pairwise(edges))


def read_index(source: str | Path | bytes, *, name: str | None = None) -> PacketIndex:
    """Read the packets of a file without decoding; unreadable parts are skipped.

    Raises:
        MediaError: not a video file, or without a video stream.
    """
    times: list[int] = []
    keys: list[int] = []
    count, step = 0, 0
    name = name if name is not None else str(source) if not isinstance(source, bytes) else "video"
    with open_video(Path(source) if isinstance(source, str) else source, name) as container:
        stream = video_stream(container, name)
        time_base = Fraction(stream.time_base or 1)
        for packet in _packets(container, stream):
            count += 1
            if packet.pts is None:
                continue
            times.append(packet.pts)
            step = packet.duration or step
            if packet.is_keyframe:
                keys.append(packet.pts)
        rate = stream.average_rate
    if not step and rate:
        step = round(1 / (rate * time_base))
    duration = float((max(times) - min(times) + step) * time_base) if times else None
    return PacketIndex(count, tuple(float(t * time_base) for t in sorted(keys)), duration)


def _packets(container: InputContainer, stream: VideoStream) -> Iterator[av.Packet[VideoStream]]:
    errors = 0
    while errors < _MAX_READ_ERRORS:
        try:
            for packet in container.demux(stream):
                if packet.size and not packet.is_discard and not packet.is_corrupt:
                    errors = 0
                    yield packet
            return
        except av.FFmpegError:
            errors += 1
