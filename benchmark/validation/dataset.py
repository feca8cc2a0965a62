"""Check of a dataset: frames, hashes and keypoints of its clips, and its splits."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from benchmark.runner.predictions.folder import rates_differ
from benchmark.validation.checks import CheckList
from talkingpose.data.clips import Clip, ClipDataset
from talkingpose.data.schema import DatasetError
from talkingpose.media import MediaError, VideoReader


def check_dataset(dataset: ClipDataset, sample: int | None, notes: CheckList) -> str:
    """Check all rows, and the files of all clips or of `sample` of them; return what was checked."""
    clips: list[Clip] = []
    for split in dataset.splits:
        try:
            clips += dataset.clips(split)
        except DatasetError as error:
            notes.error(split, str(error))
    _check_disjoint(clips, notes)
    by_hash = sorted(clips, key=lambda clip: hashlib.sha256(clip.clip_id.encode()).digest())
    chosen = sorted(by_hash[:sample], key=lambda clip: clip.clip_id)
    for clip in chosen:
        _check_clip(dataset, clip, notes)
    if not clips:
        notes.error("clips", "the dataset has no clip")
    return f"rows of {len(clips)} clips; {len(chosen)} decoded, with their keypoints and hashes"


def _check_disjoint(clips: Sequence[Clip], notes: CheckList) -> None:
    """Check that clip ids are unique and that no person or source is in two splits."""
    splits: dict[str, set[str]] = {}
    seen: dict[str, str] = {}
    for clip in clips:
        splits.setdefault(clip.group, set()).add(clip.split)
        if clip.clip_id in seen:
            notes.error(clip.clip_id, f"is in {seen[clip.clip_id]} and in {clip.split}")
        seen[clip.clip_id] = clip.split
    for cluster, names in sorted(splits.items()):
        if len(names) > 1:
            notes.error(cluster, f"this person or source is in {' and '.join(sorted(names))}")


def _check_clip(dataset: ClipDataset, clip: Clip, notes: CheckList) -> None:
    try:
        keypoints = dataset.keypoints(clip)
        data = dataset.video(clip)
        with VideoReader(data, name=f"clip {clip.clip_id}") as reader:
            count = sum(1 for _ in reader)
            info, report = reader.info, reader.report
    except (DatasetError, MediaError) as error:
        notes.error(clip.clip_id, str(error))
        return
    if clip.sha256 is None:
        notes.warning(clip.clip_id, "has no sha256: a changed video is not detected")
    elif clip.sha256 != hashlib.sha256(data).hexdigest():
        notes.error(clip.clip_id, "its video does not have the hash in its row")
    if count != clip.num_frames:
        notes.error(clip.clip_id, f"decodes to {count} frames, its row says {clip.num_frames}")
    if (info.width, info.height) != (clip.width, clip.height):
        size = f"{info.width}x{info.height}, its row says {clip.width}x{clip.height}"
        notes.error(clip.clip_id, f"its video is {size}")
    if rates_differ(info.fps, clip.fps, clip.num_frames):
        notes.error(
            clip.clip_id, f"its video has {float(info.fps):.4f} fps, its row says {float(clip.fps):.4f}"
        )
    if report.messages:
        notes.error(clip.clip_id, "; ".join(report.messages))
    if report.variable_frame_rate:
        notes.warning(clip.clip_id, "its frame rate is not constant: frame t is not at t / fps")
    if keypoints.min() < 0 or keypoints.max() > 1:
        notes.error(clip.clip_id, "keypoints outside [0, 1]: they must be normalised")
    elif not keypoints.any():
        notes.warning(clip.clip_id, "all keypoints are zero: there is no driving pose")
