"""Videos of a study: without metadata, under random names, and spoiled copies for attention checks."""

from __future__ import annotations

import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np

from benchmark.results import ResultError, Video
from leaderboard.media.videos import copy_video
from leaderboard.study.documents import Fault, StudyError
from talkingpose.io.image import Image

# Side of a block of a damaged video, as a share of the width.
_BLOCKS = 14


def blind_copy(run: Path, video: Video, target: Path) -> None:
    """Copy a video of a run without metadata, so that the file does not name its contestant.

    Raises:
        StudyError: it is missing, is not the file that was scored, or is no MP4 file.
    """
    if not video.path.lower().endswith(".mp4"):
        raise StudyError(f"{run / video.path}: not an MP4 file: the format would tell raters the contestant")
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        try:
            name = copy_video(run, video, Path(folder))
        except ResultError as error:
            raise StudyError(str(error)) from error
        if name is None:
            raise StudyError(f"{run / video.path}: no such file: run the same tp-eval command again")
        _remux(Path(folder) / name, target)


def spoiled_copy(source: Path, target: Path, fault: Fault, seconds: float, seed: int) -> None:
    """Write the first seconds of a video, frozen at its first frame or badly damaged.

    Raises:
        StudyError: the video cannot be decoded.
    """
    from talkingpose.media import MediaError, VideoReader, VideoWriter

    draw = np.random.default_rng(seed)
    try:
        with VideoReader(source) as reader:
            fps = Fraction(reader.info.fps)
            length = max(1, round(float(fps) * seconds))
            with VideoWriter(target, fps=fps, preset="veryfast") as writer:
                first = None
                for frame in reader.frames():
                    if frame.index >= length:
                        break
                    first = frame.image if first is None else first
                    writer.write(first if fault == "frozen" else _damaged(frame.image, draw))
    except MediaError as error:
        raise StudyError(f"attention check: {error}") from error


def _damaged(image: Image, draw: np.random.Generator) -> Image:
    """Return a frame in coarse blocks, some of them in false colours."""
    height, width = image.shape[:2]
    side = max(2, width // _BLOCKS)
    coarse = image[side // 2 :: side, side // 2 :: side].copy()
    broken = draw.random(coarse.shape[:2]) < 0.3
    coarse[broken] = draw.integers(0, 256, (int(broken.sum()), 3), dtype=np.uint8)
    full = coarse.repeat(side, axis=0).repeat(side, axis=1)
    rows, columns = max(0, height - full.shape[0]), max(0, width - full.shape[1])
    padded = np.pad(full, ((0, rows), (0, columns), (0, 0)), mode="edge")
    return np.ascontiguousarray(padded[:height, :width])


def _remux(source: Path, target: Path) -> None:
    """Copy the packets of the first video stream into a new file."""
    import av

    try:
        with av.open(str(source)) as reader, av.open(str(target), "w", format="mp4") as writer:
            stream = reader.streams.video[0]
            copy = writer.add_stream_from_template(stream)
            copy.metadata.clear()
            for packet in reader.demux(stream):
                if packet.dts is not None:
                    packet.stream = copy
                    writer.mux(packet)
    except (av.error.FFmpegError, IndexError, ValueError, OSError) as error:
        raise StudyError(f"{source.name}: not a video that can be copied ({type(error).__name__})") from error
