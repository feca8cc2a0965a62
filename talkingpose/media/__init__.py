"""Frames in and out: one decoder policy, one writer and one picture reader for the whole project."""

from __future__ import annotations

from talkingpose.media.error import MediaError
from talkingpose.media.images import read_image, resize_image
from talkingpose.media.index import PacketIndex, read_index
from talkingpose.media.look import Look
from talkingpose.media.policy import DECODER_POLICY, DecoderPolicy
from talkingpose.media.reader import Frame, VideoReader, probe
from talkingpose.media.report import DecodeReport
from talkingpose.media.source import VideoInfo
from talkingpose.media.writer import VideoWriter

__all__ = [
    "DECODER_POLICY",
    "DecodeReport",
    "DecoderPolicy",
    "Frame",
    "Look",
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
