"""One case on its way: each pair of frames goes to all metrics, into the hash and into the video."""

from __future__ import annotations

import hashlib
import os
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import nan
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from benchmark.folder import RunFolder
from benchmark.metrics import CaseShape, Metric, PairWindow
from benchmark.results import CaseScore, Video
from talkingpose.media import VideoWriter

if TYPE_CHECKING:
    import pyarrow

Image = npt.NDArray[np.uint8]

# For viewing only: every score is computed before this encoding.
VIDEO_CRF = 18


@dataclass(frozen=True)
class Recorded:
    """What is left of a case when its last frame is scored."""

    metrics: dict[str, CaseScore]
    frames_sha256: str
    video: Video


class Recorder:
    """Scores one case frame by frame; memory grows by one float64 for each per-frame score, not by frames.

    Use it in a `with` block. Files appear in the run's folder by `finish` alone; leaving the block without it
    leaves nothing.
    """

    def __init__(self, case: CaseShape, metrics: Sequence[Metric], folder: RunFolder) -> None:
        self._case, self._folder = case, folder
        self._draft_video = folder.drafts / f"{case.clip_id}.mp4"
        self._metrics = [(metric.spec, metric.start(case)) for metric in metrics]
        self._window = PairWindow(max(spec.lookback for spec, _ in self._metrics))
        self._scores = {spec.id: array("d") for spec, _ in self._metrics if spec.per_frame}
        self._sha256 = hashlib.sha256()
        self._writer = VideoWriter(self._draft_video, fps=Fraction(case.fps), crf=VIDEO_CRF)

    def __enter__(self) -> Recorder:
        self._writer.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The writer discards what it has when it is told of an error, and needs none for that.
        self._writer.__exit__(kind or GeneratorExit, error, trace)

    def add(self, real: Image, generated: Image) -> None:
        """Score one pair of uint8 (H, W, 3) frames; the arrays must not change afterwards."""
        self._window.push(real, generated)
        for spec, state in self._metrics:
            score = state.update(self._window)
            if spec.per_frame:
                self._scores[spec.id].append(nan if score is None else score)
        self._sha256.update(generated.data)
        self._writer.write(generated)

    def finish(self) -> Recorded:
        """Put video and per-frame scores into their places; the document of the case is the caller's."""
        import pyarrow.parquet

        self._writer.__exit__(None, None, None)
        video = self._folder.video(self._case.clip_id)
        draft_frames = self._folder.drafts / f"{self._case.clip_id}.parquet"
        with draft_frames.open("wb") as file:
            pyarrow.parquet.write_table(self._frame_table(), file)
            file.flush()
            os.fsync(file.fileno())
        self._draft_video.replace(video)
        draft_frames.replace(self._folder.frames(self._case.clip_id))
        return Recorded(
            metrics={spec.id: state.finish() for spec, state in self._metrics},
            frames_sha256=self._sha256.hexdigest(),
            video=Video(path=str(video.relative_to(self._folder.path)), sha256=_file_sha256(video)),
        )

    def _frame_table(self) -> pyarrow.Table:
        import pyarrow

        length = self._window.t + 1
        columns = {"t": pyarrow.array(range(length), pyarrow.int32())}
        for name, scores in self._scores.items():
            # A score that is infinite or does not exist is null, as in the documents.
            columns[name] = pyarrow.array(np.frombuffer(scores), from_pandas=True)
        return pyarrow.table(columns)


def read_frame_scores(path: Path, metric: str) -> npt.NDArray[np.float64]:
    """Per-frame scores of one metric, float64 (num_frames,), NaN where there is none."""
    import pyarrow.parquet

    column = pyarrow.parquet.read_table(path, columns=[metric]).column(metric)
    return np.asarray(column.to_numpy(), dtype=np.float64)


def _file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
