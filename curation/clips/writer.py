"""Clips of kept shots: keypoints of every frame, crop, encoding, verification."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from statistics import fmean

import numpy as np
import numpy.typing as npt

from curation.clips.crop import SIDE_STEP, Crop, boxes_in, choose_crop, keypoints_in, person_boxes
from curation.clips.scores import score
from curation.config import Config
from curation.dataset.perceptual_hash import PersonHashes, perceptual_hashes
from curation.detect.detectors import sample_size
from curation.detect.face_embedding import mean_face, write_face
from curation.detect.measurements import Keypoints, Shot
from curation.detect.scan import Scan
from curation.records import ClipRecord
from talkingpose.io.atomic import atomic_write
from talkingpose.io.errors import UserError
from talkingpose.io.image import Image
from talkingpose.media import VideoReader, VideoWriter
from talkingpose.media.audio import cut_audio
from talkingpose.pose import PoseEstimator, smooth

# Pose models read faces, hands and bodies at 192 to 256 pixels; larger pictures only take longer.
_LONGEST_SIDE = 1280
# Enough to detect a shift of one frame in slow footage too (tests/curation/download/test_offset.py).
_HASHED_FRAMES = 32
# Frame rates are ratios such as 30000/1001; the average of a variable frame rate is rounded to one.
_MAX_RATE_TERM = 100_000
_MAX_ASYNCHRONY_S = 0.04


class ClipError(UserError):
    """A clip that differs from its source or does not read back as written."""


@dataclass(frozen=True)
class Span:
    """Part of a video file: `num_frames` frames with start_pts <= pts < end_pts.

    Reading stops at `read_to`; None means the end of the file.
    """

    path: Path
    name: str
    start_pts: int
    end_pts: int
    read_to: int | None
    num_frames: int

    def frames(self, size: tuple[int, int] | None = None) -> Iterator[Image]:
        """Frames, uint8 (H, W, 3) RGB.

        Raises:
            ClipError: The number of frames differs from the scan of the source.
        """
        count = 0
        with VideoReader(self.path, name=self.name, size=size, downscaled=True) as reader:
            for frame in reader.frames(self.start_pts, self.read_to):
                count += 1
                yield frame.image
        if count != self.num_frames:
            raise ClipError(
                f"{self.name}: {count} frames from pts {self.start_pts} to {self.end_pts}, "
                f"{self.num_frames} in the scan: repair or re-encode the file"
            )


def make_clip(
    path: Path,
    source_id: str,
    scan: Scan,
    shot: Shot,
    config: Config,
    new_estimator: Callable[[], PoseEstimator],
    folder: Path,
    seconds: dict[str, float],
) -> ClipRecord:
    """Write CLIP_ID.mp4 and CLIP_ID.npz (keypoints float16, boxes float32) into a folder.

    Args:
        path: Video file of the source.
        source_id: Id of the source.
        scan: Scan of the source.
        shot: Frames to keep.
        config: Settings of the run.
        new_estimator: Makes a pose estimator without state.
        folder: Existing folder.
        seconds: CPU time per step; the time spent here is added.

    Raises:
        ClipError, MediaError, PoseError: The clip cannot be made; no file of it remains.
    """
    info = scan.info
    start_pts, end_pts = scan.pts_of(shot.start), scan.pts_of(shot.end)
    read_to = end_pts if shot.end < len(scan.pts) else None
    span = Span(path, info.name, start_pts, end_pts, read_to, shot.num_frames)
    begun = time.process_time()
    hashes: list[str] = []
    frames = span.frames(sample_size(info, _LONGEST_SIDE))
    hashed = perceptual_hashes(frames, scan.times[shot.start :], shot.picture, hashes)
    persons = PersonHashes(scan.times[shot.start :])
    keypoints = dense_keypoints(hashed, new_estimator, persons.add)
    keypoints = smooth(keypoints, float(info.fps), info.width, info.height, window_s=config.pose.smooth_s)
    begun = _spent(seconds, "keypoints", begun)

    boxes = person_boxes(keypoints)
    crop = crop_inside(shot, boxes, config)
    clip_id = _clip_id(source_id, start_pts, end_pts, crop)
    video = folder / f"{clip_id}.mp4"
    start_s, end_s = (float(pts * info.time_base) for pts in (start_pts, end_pts))
    fps = info.fps
    if scan.report.variable_frame_rate:
        fps = (span.num_frames / ((end_pts - start_pts) * info.time_base)).limit_denominator(_MAX_RATE_TERM)
    with VideoWriter(
        video, fps=fps, crf=config.encode.crf, preset=config.encode.preset, gop=config.encode.gop
    ) as writer:
        for image in span.frames():
            writer.write(image[crop.y0 : crop.y1, crop.x0 : crop.x1])
    has_audio = None
    if config.encode.audio:
        times = scan.times[shot.start : shot.end]
        begin = start_pts * info.time_base
        has_audio = is_in_step(times, fps) and cut_audio(
            video, path, start=begin, length=span.num_frames / fps
        )
    begun = _spent(seconds, "encode", begun)

    appearance = verify(video, span.num_frames, fps)
    data = video.read_bytes()
    with atomic_write(folder / f"{clip_id}.npz") as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            keypoints=keypoints_in(crop, keypoints, info.width, info.height).astype(np.float16),
            boxes=boxes_in(crop, boxes, info.width, info.height),
        )
    _spent(seconds, "verify", begun)
    face = mean_face(shot.samples)
    return ClipRecord(
        clip_id=clip_id,
        start_pts=start_pts,
        end_pts=end_pts,
        time_base_num=info.time_base.numerator,
        time_base_den=info.time_base.denominator,
        start_s=start_s,
        end_s=end_s,
        fps=float(fps),
        width=crop.width,
        height=crop.height,
        num_frames=span.num_frames,
        crop_xyxy=crop.normalised(info.width, info.height),
        scores=score(shot, crop) | {"brightness": appearance.brightness},
        sha256=hashlib.sha256(data).hexdigest(),
        phash=appearance.phash,
        num_bytes=len(data),
        looks=tuple(hashes),
        person_looks=tuple(persons.hashes),
        face=None if face is None else write_face(face),
        has_audio=has_audio,
    )


def is_in_step(times: Sequence[float], fps: Fraction) -> bool:
    """Return whether frames at a constant rate stay within a frame, or 40 ms, of their times in the source.

    A clip has a constant rate. Frames of a variable rate move against the sound: beyond this distance the
    sound would be wrong.
    """
    late = np.asarray(times, np.float64) - times[0] - np.arange(len(times)) / float(fps)
    return bool(np.abs(late).max() <= max(1 / float(fps), _MAX_ASYNCHRONY_S) + 1e-6)


def crop_inside(shot: Shot, boxes: npt.NDArray[np.float32], config: Config) -> Crop:
    """Choose the crop of a clip inside the letterbox of its source.

    Args:
        shot: Frames of the clip.
        boxes: Box of the person in every frame, (T, 4), normalised xyxy of the whole source.
        config: Settings of the run.
    """
    size = np.array([shot.width, shot.height])
    picture = np.array(shot.picture)
    low = np.ceil(picture[:2] * size - 1e-6).astype(int)
    high = np.floor(picture[2:] * size + 1e-6).astype(int)
    if (high - low < SIDE_STEP).any():
        low, high = np.zeros(2, int), size
    inside = (boxes.reshape(-1, 2, 2) * size - low) / (high - low)
    inside = np.where(boxes.any(axis=1)[:, None], np.clip(inside.reshape(-1, 4), 0, 1), 0)
    width, height = (int(side) for side in high - low)
    crop = choose_crop(inside.astype(np.float32), width, height, config.crop)
    x, y = (int(edge) for edge in low)
    return Crop(crop.x0 + x, crop.y0 + y, crop.x1 + x, crop.y1 + y)


def dense_keypoints(
    frames: Iterator[Image],
    new_estimator: Callable[[], PoseEstimator],
    watch: Callable[[Image, Keypoints], None] | None = None,
) -> npt.NDArray[np.float32]:
    """Keypoints of every frame, float32 (T, 133, 3), normalised by the frame.

    Args:
        frames: Frames in order, uint8 (H, W, 3) RGB.
        new_estimator: Makes a pose estimator without state.
        watch: Receives every frame with its keypoints.
    """
    estimator = new_estimator()
    found = []
    try:
        for image in frames:
            keypoints = estimator(image)
            if watch is not None:
                watch(image, keypoints)
            found.append(keypoints)
    finally:
        estimator.close()
    return np.stack(found)


@dataclass(frozen=True)
class ClipAppearance:
    """Appearance of a written clip.

    Attributes:
        phash: Joined perceptual hashes (ImageHash's phash, 16 hex digits each) of 32 evenly spread frames, or
            of all if there are fewer.
        brightness: Mean luma of all frames, 0-255.
    """

    phash: str
    brightness: float


def verify(video: Path, num_frames: int, fps: Fraction) -> ClipAppearance:
    """Decode a written clip.

    Raises:
        ClipError: The number of frames or the frame rate differs from what was written.
    """
    import imagehash
    from PIL import Image as Pictures

    hashed = {(2 * i + 1) * num_frames // (2 * _HASHED_FRAMES) for i in range(_HASHED_FRAMES)}
    hashes: list[str] = []
    luma: list[float] = []
    with VideoReader(video, name=video.name) as reader:
        rate = reader.info.fps
        for frame in reader.lazy_frames():
            # Every eighth pixel is enough for a mean.
            luma.append(float(frame.luma()[::8, ::8].mean()))
            if frame.index in hashed:
                hashes.append(str(imagehash.phash(Pictures.fromarray(frame.image()))))
    if len(luma) != num_frames:
        raise ClipError(f"clip {video.stem}: {len(luma)} of {num_frames} frames read back: run it again")
    # Containers round times to ticks.
    if num_frames > 1 and abs(float(rate / fps) - 1) > 1e-3:
        raise ClipError(
            f"clip {video.stem}: it reads back at {rate} frames per second, not {fps}: run it again"
        )
    return ClipAppearance("".join(hashes), round(fmean(luma), 6))


def _clip_id(source_id: str, start_pts: int, end_pts: int, crop: Crop) -> str:
    return hashlib.sha256(f"{source_id} {start_pts} {end_pts} {tuple(crop)}".encode()).hexdigest()[:16]


def _spent(seconds: dict[str, float], step: str, begun: float) -> float:
    now = time.process_time()
    seconds[step] = seconds.get(step, 0.0) + now - begun
    return now
