"""Reading and writing of videos and pictures, with one decoder policy for the whole project."""

from __future__ import annotations

from talkingpose.media.decode_report import DecodeReport
from talkingpose.media.errors import MediaError
from talkingpose.media.images import read_image, resize_image
from talkingpose.media.index import PacketIndex, read_index
from talkingpose.media.lazy_frame import LazyFrame
from talkingpose.media.policy import DECODER_POLICY, DecoderPolicy
from talkingpose.media.reader import Frame, VideoReader, probe
from talkingpose.media.source import VideoInfo
from talkingpose.media.writer import VideoWriter

__all__ = [
    "DECODER_POLICY",
    "DecodeReport",
    "DecoderPolicy",
    "Frame",
    "LazyFrame",
    "MediaError",
    "PacketIndex",
    "VideoInfo",
    "VideoReader",
    "VideoWriter",
    "probe",
    "read_image",
    "read_index",
    "resize_image",
]
