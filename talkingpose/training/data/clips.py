"""Training frames from a dataset of the project's schema."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from talkingpose.io import console
from talkingpose.training.data.source import AnnotatedFrame
from talkingpose.training.errors import TrainingError


class ClipPairs:
    """Clips of one split; a group of frames is read in one decoding pass.

    Args:
        dataset: folder, or `owner/name[@revision]` on the Hub.
        split: of the dataset.
        min_frames: shorter clips are left out, and a line reports their number.

    Raises:
        DatasetError: the dataset cannot be opened, or lacks a column.
        TrainingError: no clip is long enough.
    """

    def __init__(self, dataset: str, split: str = "train", min_frames: int = 20) -> None:
        from talkingpose.data.clips import ClipDataset

        self._dataset = ClipDataset(dataset)
        clips = self._dataset.clips(split)
        self._clips = [clip for clip in clips if clip.num_frames >= min_frames]
        self.revision = self._dataset.revision
        self._keypoints = lru_cache(maxsize=64)(self._dataset.keypoints)
        if not self._clips:
            raise TrainingError(
                f"dataset {dataset}, split {split}: none of {len(clips)} clips has {min_frames} frames: "
                "give longer clips or a smaller min_frames"
            )
        if len(self._clips) < len(clips):
            short = len(clips) - len(self._clips)
            console.note(f"source clips: {short} of {len(clips)} have under {min_frames} frames: left out")

    def __len__(self) -> int:
        return len(self._clips)

    def num_frames(self, clip: int) -> int:
        """Return the number of frames of a clip."""
        return self._clips[clip].num_frames

    def frames(self, clip: int, indices: Sequence[int], side: int) -> list[AnnotatedFrame]:
        """Return frames as stored, in the order of `indices`; see `FrameSource`.

        Raises:
            TrainingError: the video is shorter than its row says.
        """
        from talkingpose.media import VideoReader

        row = self._clips[clip]
        keypoints = self._keypoints(row)
        needed, last = set(indices), max(indices)
        images = {}
        with VideoReader(self._dataset.video(row), name=row.clip_id) as reader:
            for frame in reader:
                if frame.index in needed:
                    images[frame.index] = frame.image
                if frame.index == last:
                    break
        if len(images) < len(needed):
            raise TrainingError(
                f"clip {row.clip_id}: its video ends before frame {last} of {row.num_frames}: curate it again"
            )
        return [(images[index], keypoints[index]) for index in indices]
