"""Control: the driving frames after H.264 compression. The effect of compression alone.

The macroblock tree of x264 is on only for widths that are multiples of 128 pixels: at other widths the
encoded bytes differ from run to run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from baselines.arguments import no_checkpoint
from baselines.controls.driving import driving_frames, lockstep
from talkingpose.data.contestant import Case, ContestantInfo
from talkingpose.io.image import Image

CRF = 23
PRESET = "medium"
_SCALING = (
    Interpolation.BICUBIC
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INP
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.BITEXACT
)
# The output of x264 depends on the number of threads.
_THREADS = 1
# At other widths x264's AVX-512 code for the macroblock tree reads uninitialized memory past the end of rows.
_TREE_WIDTH = 128


class ReencodeControl:
    """Yields the driving frames after x264 with CRF 23 and yuv420p, as in a usual upload."""

    def __init__(self, *, checkpoint: str | None, device: str) -> None:
        no_checkpoint("reencode", checkpoint)
        self.info = ContestantInfo(
            name="reencode",
            revision="1",
            parameters=0,
            licence="Apache-2.0",
            window=1,
            batch_size=1,
            needs_driving_frames=True,
            control=True,
            args={
                "codec": "libx264",
                "crf": CRF,
                "preset": PRESET,
                "pixel_format": "yuv420p",
                "matrix": "bt601",
            },
        )

    def animate(self, cases: Sequence[Case], *, seed: int) -> Iterator[list[Image]]:
        """Yield the re-encoded frames of the running cases."""
        return lockstep(cases, lambda case: reencoded(driving_frames(case)))


def reencoded(images: Iterable[Image]) -> Iterator[Image]:
    """Encode and decode frames in memory.

    Args:
        images: uint8 RGB (H, W, 3), H and W even.

    Yields:
        As many frames as `images` has. At most x264's lookahead, about 60 frames, is held.
    """
    encoder: av.VideoCodecContext | None = None
    decoder = av.VideoCodecContext.create("h264", "r")
    decoder.thread_count = _THREADS
    to_yuv, to_rgb = VideoReformatter(), VideoReformatter()
    for index, image in enumerate(images):
        if encoder is None:
            encoder = _encoder(image.shape[1], image.shape[0])
        frame = to_yuv.reformat(
            av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24"),
            format="yuv420p",
            dst_colorspace=Colorspace.ITU601,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
            interpolation=_SCALING,
            threads=1,
        )
        frame.pts = index
        for packet in encoder.encode(frame):
            yield from (_rgb(decoded, to_rgb) for decoded in decoder.decode(packet))
    if encoder is not None:
        for packet in encoder.encode(None):
            yield from (_rgb(decoded, to_rgb) for decoded in decoder.decode(packet))
        yield from (_rgb(decoded, to_rgb) for decoded in decoder.decode(None))


def _encoder(width: int, height: int) -> av.VideoCodecContext:
    context = av.VideoCodecContext.create("libx264", "w")
    context.width, context.height = width, height
    context.pix_fmt = "yuv420p"
    # The rate affects only the lookahead of x264; frames are identified by their numbers.
    context.time_base = Fraction(1, 25)
    context.framerate = Fraction(25)
    context.thread_count = _THREADS
    context.options = {"crf": str(CRF), "preset": PRESET}
    if width % _TREE_WIDTH:
        context.options |= {"x264-params": "mbtree=0"}
    return context


def _rgb(frame: av.VideoFrame, reformatter: VideoReformatter) -> Image:
    rgb = reformatter.reformat(
        frame,
        format="rgb24",
        src_colorspace=Colorspace.ITU601,
        src_color_range=ColorRange.MPEG,
        dst_color_range=ColorRange.JPEG,
        interpolation=_SCALING,
        threads=1,
    )
    return np.asarray(rgb.to_ndarray(), dtype=np.uint8)
