"""From a shot that is kept to its clip: keypoints of every frame, crop, cut, encode, check."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from statistics import fmean

import numpy as np
import numpy.typing as npt

from curation.clips.crop import SIDE_STEP, Crop, boxes_in, choose_crop, keypoints_in, person_boxes
from curation.clips.scores import score
from curation.config import Config
from curation.dataset.perceptual_hash import perceptual_hashes
from curation.detect.detectors import Image, sample_size
from curation.detect.face_embedding import mean_face, write_face
from curation.detect.measurements import Shot
from curation.detect.scan import Scan
from curation.records import ClipRecord
from talkingpose.io.atomic import atomic_write
from talkingpose.io.errors import UserError
from talkingpose.media import VideoReader, VideoWriter
from talkingpose.pose import PoseEstimator, smooth

# Faces, hands and bodies are read from parts of 192 to 256 pixels; larger pictures only take longer.
_LONGEST_SIDE = 1280
# So many that a shift of one frame shows in slow footage too (tests/curation/acquisition/test_offset.py).
_HASHED_FRAMES = 32
# Rates of video are ratios such as 30000/1001; an average over a span of uneven frames need not be.
_MAX_RATE_TERM = 100_000


class ClipError(UserError):
    """What was written is not what was meant to be written."""


@dataclass(frozen=True)
class Span:
    """A part of a video file: `num_frames` frames with start_pts <= pts < end_pts.

    `read_to` is where reading stops: None at the end of the file.
    """

    path: Path
    name: str
    start_pts: int
    end_pts: int
    read_to: int | None
    num_frames: int

    def frames(self, size: tuple[int, int] | None = None) -> Iterator[Image]:
        """The frames, uint8 (H, W, 3) RGB.

        Raises:
            ClipError: their number is another one than when the source was scanned.
        """
        count = 0
        with VideoReader(self.path, name=self.name, size=size, downscaled=True) as reader:
            for frame in reader.frames(self.start_pts, self.read_to):
                count += 1
                yield frame.image
        if count != self.num_frames:
            raise ClipError(
                f"{self.name}: {count} frames from pts {self.start_pts} to {self.end_pts}, "
                f"{self.num_frames} when it was scanned: repair or re-encode the file"
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
        new_estimator: makes a pose detector that has seen nothing yet.
        seconds: CPU time per step, added to.

    Raises:
        ClipError, MediaError, PoseError: the clip cannot be made; nothing of it is left.
    """
    info = scan.info
    start_pts, end_pts = scan.pts_of(shot.start), scan.pts_of(shot.end)
    read_to = end_pts if shot.end < len(scan.pts) else None
    span = Span(path, info.name, start_pts, end_pts, read_to, shot.num_frames)
    begun = time.process_time()
    looks: list[str] = []
    frames = span.frames(sample_size(info, _LONGEST_SIDE))
    passing = perceptual_hashes(frames, scan.times[shot.start :], shot.picture, looks)
    keypoints = dense_keypoints(passing, new_estimator)
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
    with VideoWriter(video, fps=fps, crf=config.encode.crf, preset=config.encode.preset) as writer:
        for image in span.frames():
            writer.write(image[crop.y0 : crop.y1, crop.x0 : crop.x1])
    begun = _spent(seconds, "encode", begun)

    look = verify(video, span.num_frames, fps)
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
        scores=score(shot, crop) | {"brightness": look.brightness},
        sha256=hashlib.sha256(data).hexdigest(),
        phash=look.phash,
        num_bytes=len(data),
        looks=tuple(looks),
        face=None if face is None else write_face(face),
    )


def crop_inside(shot: Shot, boxes: npt.NDArray[np.float32], config: Config) -> Crop:
    """The crop of a clip, chosen inside the borders of its source.

    Args:
        boxes: of the person in every frame, (T, 4), normalised xyxy of the whole source.
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
    frames: Iterator[Image], new_estimator: Callable[[], PoseEstimator]
) -> npt.NDArray[np.float32]:
    """Keypoints of every frame, float32 (T, 133, 3), normalised by the frame."""
    estimator = new_estimator()
    try:
        return np.stack([estimator(image) for image in frames])
    finally:
        estimator.close()


@dataclass(frozen=True)
class ClipAppearance:
    """A clip as it reads back.

    `phash`: perceptual hashes (ImageHash's phash, 16 hex digits) of 32 frames evenly spread, or of all where
    there are fewer, joined. `brightness`: mean luma of all frames, 0 to 255.
    """

    phash: str
    brightness: float


def verify(video: Path, num_frames: int, fps: Fraction) -> ClipAppearance:
    """Decode a written clip and look at it.

    Raises:
        ClipError: another number of frames or another rate than was written.
    """
    import imagehash
    from PIL import Image as Pictures

    hashed = {(2 * i + 1) * num_frames // (2 * _HASHED_FRAMES) for i in range(_HASHED_FRAMES)}
    hashes: list[str] = []
    luma: list[float] = []
    with VideoReader(video, name=video.name) as reader:
        rate = reader.info.fps
        for seen in reader.lazy_frames():
            # On every eighth pixel: a mean needs no more.
            luma.append(float(seen.luma()[::8, ::8].mean()))
            if seen.index in hashed:
                hashes.append(str(imagehash.phash(Pictures.fromarray(seen.image()))))
    if len(luma) != num_frames:
        raise ClipError(
            f"clip {video.stem}: {len(luma)} frames can be read back of {num_frames}: run it again"
        )
    # Containers round times to their own ticks.
    if num_frames > 1 and abs(float(rate / fps) - 1) > 1e-3:
        raise ClipError(
            f"clip {video.stem}: it reads back at {rate} frames a second, not {fps}: run it again"
        )
    return ClipAppearance("".join(hashes), round(fmean(luma), 6))


def _clip_id(source_id: str, start_pts: int, end_pts: int, crop: Crop) -> str:
    return hashlib.sha256(f"{source_id} {start_pts} {end_pts} {tuple(crop)}".encode()).hexdigest()[:16]


def _spent(seconds: dict[str, float], step: str, begun: float) -> float:
    now = time.process_time()
    seconds[step] = seconds.get(step, 0.0) + now - begun
    return now
