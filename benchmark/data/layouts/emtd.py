"""EMTD, the test set of EchoMimicV2: a list of spans with the videos, or clips that are cut already."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

import numpy as np
import numpy.typing as npt

from benchmark.data.layouts.contract import (
    Layout,
    LayoutError,
    SquareCrop,
    SourceClip,
    check_undamaged,
    videos,
)
from talkingpose.io.documents import read_text
from talkingpose.io.image import Image
from talkingpose.media import VideoReader
from talkingpose.pose.draw import openpose_joints
from talkingpose.pose.keypoints import FACE

SIDE = 768
FPS = Fraction(24)
# Folders of the authors' scripts: the finished clips, and the videos as downloaded.
_FINISHED, _ORIGINALS = Path("processed", "video"), "ori_video_dir"
_LISTS = (".txt", ".csv")
# The authors' crop: from the top of the face to the lowest of the first seven joints, without the left wrist.
_UPPER_BODY, _NECK = slice(0, 7), 1
_MARGIN, _ABOVE, _BELOW = 0.25, 0.65, 0.5
_MIN_CONFIDENCE = 0.3
_MAX_SECONDS = 3_600_000


def find(source: Path, _: Fraction | None) -> Sequence[SourceClip]:
    """List the clips: finished ones, else the spans of a list, else the video files as whole clips."""
    if (source / _FINISHED).is_dir():
        return [_whole_file(path) for path in videos(source / _FINISHED)]
    texts = [path for path in sorted(source.iterdir()) if path.suffix.lower() in _LISTS and path.is_file()]
    if texts:
        folder = source / _ORIGINALS if (source / _ORIGINALS).is_dir() else source
        # Notes may lie beside the list.
        return _listed(next((path for path in texts if None not in _columns(_rows(path))), texts[0]), folder)
    clips = [_whole_file(path) for path in videos(source)]
    if not clips:
        raise LayoutError(
            f"emtd data {source}: neither processed/video/*.mp4, nor a list with the columns URL, "
            "start_timecode and end_timecode beside the videos, nor mp4 files"
        )
    return clips


def seconds(timecode: str) -> Fraction:
    """Return the seconds of a timecode: `H:M:S`, `M:S` or seconds, with decimals.

    Raises:
        ValueError: another format, or more than 1,000 hours.
    """
    parts = timecode.strip().replace(",", ".").split(":")
    if len(parts) > 3 or not all(re.fullmatch(r"\d+(\.\d+)?", part) for part in parts):
        raise ValueError(timecode)
    total = Fraction(0)
    for part in parts:
        total = 60 * total + Fraction(part)
    if total > _MAX_SECONDS:
        raise ValueError(timecode)
    return total


def half_body(keypoints: npt.NDArray[Any], width: int, height: int) -> SquareCrop:
    """Return the square around the upper body that the authors' preprocess.py cuts, from other keypoints.

    Raises:
        LayoutError: no frame shows a face and both shoulders.
    """
    if (width, height) == (SIDE, SIDE):  # cut already
        return SquareCrop(0, 0, SIDE, SIDE, _bilinear)
    tops, bottoms, middles = [], [], []
    for points in keypoints.astype(np.float64):
        joints = openpose_joints(points)
        face = points[FACE][points[FACE][:, 2] >= _MIN_CONFIDENCE]
        neck = joints[_NECK]
        if neck is not None and len(face):
            tops.append(float(face[:, 1].min()))
            bottoms.append(max(float(joint[1]) for joint in joints[_UPPER_BODY] if joint is not None))
            middles.append(float(neck[0]))
    if not tops or max(bottoms) <= min(tops):
        raise LayoutError("no frame shows a face and both shoulders: leave the clip out")
    top, bottom = min(tops), max(bottoms)
    margin = _MARGIN * (bottom - top)
    first = int(max(top - _ABOVE * margin, 0) * height)
    last = int(min(bottom + _BELOW * margin, 1) * height)
    side = last - first + 1
    return SquareCrop(int(np.mean(middles) * width) - side // 2, first, side, SIDE, _bilinear)


def _bilinear(image: Image, side: int) -> Image:
    """Scale with OpenCV's bilinear filter, as the authors' scripts do."""
    import cv2

    return np.asarray(cv2.resize(image, (side, side)), np.uint8)


def _whole_file(path: Path) -> SourceClip:
    recording = re.split(r"[-_]Scene[-_]?\d+", path.stem)[0]
    return SourceClip(path.stem, recording, FPS, partial(_at_24_fps, path, None, None), half_body)


def _listed(path: Path, folder: Path) -> list[SourceClip]:
    """Return the spans of a list whose videos are in a folder; LayoutError where it is no such list."""
    rows = _rows(path)
    url, start, end = _columns(rows)
    if url is None or start is None or end is None:
        raise LayoutError(
            f"EMTD list {path}: the first line has no columns URL, start_timecode and end_timecode: give the "
            "list of the authors"
        )
    files = {video.stem: video for video in videos(folder)}
    clips = []
    for number, row in enumerate(rows[1:], start=2):
        if not any(cell.strip() for cell in row):
            continue
        try:
            span = seconds(row[start]), seconds(row[end])
            video_id = _video_id(row[url])
        except (ValueError, IndexError) as error:
            raise LayoutError(f"EMTD list {path}, line {number}: not URL, start and end: correct it") from error
        if span[1] <= span[0]:
            raise LayoutError(f"EMTD list {path}, line {number}: the end is not after the start: correct it")
        name = f"{video_id}_{row[start].strip()}_{row[end].strip()}"
        frames = partial(_at_24_fps, files.get(video_id, folder / f"{video_id}.mp4"), *span)
        clips.append(SourceClip(name, video_id, FPS, frames, half_body))
    if not any(clip.source_id in files for clip in clips):
        raise LayoutError(
            f"EMTD list {path}: none of the {len(clips)} spans has its video in {folder}: name the videos by "
            "their YouTube id, such as ID.mp4"
        )
    return clips


def _rows(path: Path) -> list[list[str]]:
    try:
        return list(csv.reader(read_text(path, "EMTD list").splitlines()))
    except csv.Error as error:
        raise LayoutError(f"EMTD list {path}: no table ({error}): correct or move the file") from error


def _columns(rows: Sequence[Sequence[str]]) -> list[int | None]:
    """Return the columns of URL, start and end by the first line; None for one that is not there."""
    head = [name.strip().lower() for name in rows[0]] if rows else []
    return [next((i for i, name in enumerate(head) if word in name), None) for word in ("url", "start", "end")]


def _video_id(url: str) -> str:
    """Return the id of a YouTube URL, or a bare id."""
    parsed = urlparse(url.strip())
    found = parse_qs(parsed.query).get("v", [parsed.path.rstrip("/").rpartition("/")[2]])[0]
    if not re.fullmatch(r"[A-Za-z0-9_-]{3,64}", found):
        raise ValueError(url)
    return found


def _at_24_fps(path: Path, start: Fraction | None, end: Fraction | None) -> Iterator[Image]:
    """Yield, 24 times a second, the frame that is shown, from `start` to `end` seconds of a video.

    None means the first frame, or the end of the last one.

    Raises:
        LayoutError: there is no such video, the span is beyond its end, or a whole video is damaged.
    """
    if not path.is_file():
        raise LayoutError(f"{path}: no such video: download it, or leave its spans out")
    shown: Image | None = None
    count, last = 0, Fraction(0)
    with VideoReader(path) as reader:
        base = reader.info.time_base
        is_whole = start is None and end is None
        # A second earlier, because the frame that is shown at the start may be older.
        first = None if start is None else math.floor((start - 1) / base)
        for frame in reader.frames(first, None if end is None else math.ceil(end / base)):
            start = frame.time if start is None else start
            while shown is not None and start + count / FPS < frame.time:
                yield shown
                count += 1
            shown, last = frame.image, frame.time
        if is_whole:
            check_undamaged(reader)
        last += 1 / reader.info.fps
        until = last if end is None else min(end, last)
        while shown is not None and start is not None and start + count / FPS < until:
            yield shown
            count += 1
    if not count:
        raise LayoutError(f"{path}: no frame from {float(start or 0):g} s on: correct the list")


LAYOUT = Layout("emtd", "emtd@1", "EMTD clips at 768x768 and 24 frames per second", find)
