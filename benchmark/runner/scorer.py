"""One case on its way: each pair of frames goes to all metrics, into the hash and into the video."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt

from benchmark.analysis.lag import LagDetector
from benchmark.features.contract import Arrays
from benchmark.metrics import AnyMetric, CaseShape
from benchmark.metrics.scoring import Scoring
from benchmark.results import CaseScore, ResultError, StoredFeatures, Video
from benchmark.run_dir import RunDir
from talkingpose.media import VideoWriter

Image = npt.NDArray[np.uint8]
Keypoints = npt.NDArray[np.float32]

# For viewing only: every score is computed before this encoding.
VIDEO_CRF = 18


@dataclass(frozen=True)
class ScoredCase:
    """What is left of a case when its last frame is scored; `lag` in frames, None where none is seen."""

    metrics: dict[str, CaseScore]
    frames_sha256: str
    video: Video
    features: StoredFeatures | None
    lossless: Video | None
    lag: int | None


class Scorer:
    """Scores one case frame by frame and writes its files.

    Use it in a `with` block. Files appear in the run's folder by `finish` alone; leaving the block without it
    leaves nothing.
    """

    def __init__(
        self,
        case: CaseShape,
        reference: Image,
        *,
        metrics: Sequence[AnyMetric],
        folder: RunDir,
        keep_frames: bool = False,
    ) -> None:
        self._case, self._folder = case, folder
        self._draft_video = folder.drafts / f"{case.clip_id}.mp4"
        self._draft_lossless = folder.drafts / f"{case.clip_id}.lossless.mp4"
        self._scoring = Scoring(case, reference, metrics)
        self._sha256 = hashlib.sha256()
        self._lag = LagDetector()
        fps = Fraction(case.fps)
        self._writers = [VideoWriter(self._draft_video, fps=fps, crf=VIDEO_CRF)]
        if keep_frames:
            self._writers.append(VideoWriter(self._draft_lossless, fps=fps, lossless=True, preset="veryfast"))

    def __enter__(self) -> Scorer:
        for writer in self._writers:
            writer.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The writer discards what it has when it is told of an error, and needs none for that.
        for writer in self._writers:
            writer.__exit__(kind or GeneratorExit, error, trace)

    def add(self, real: Image | None, generated: Image, keypoints: Keypoints) -> None:
        """Score one pair of uint8 (H, W, 3) frames; the arrays must not change afterwards.

        `keypoints` are those that the contestant was given, float32 (133, 3). A case of two identities has no
        real frame.
        """
        self._scoring.window.push(real, generated, keypoints)
        self._scoring.score()
        self._sha256.update(generated.data)
        if real is not None:
            self._lag.update(real, generated)
        for writer in self._writers:
            writer.write(generated)

    def finish(self) -> ScoredCase:
        """Put video, per-frame scores and features into their places; the document is the caller's."""
        import pyarrow.parquet

        for writer in self._writers:
            writer.__exit__(None, None, None)
        scores, arrays = self._scoring.finish()
        clip_id = self._case.clip_id
        video, features = self._folder.video(clip_id), self._folder.features(clip_id)
        with io.BytesIO() as buffer:
            pyarrow.parquet.write_table(self._scoring.frame_table(), buffer)
            self._place(buffer.getvalue(), self._folder.frames(clip_id))
        if arrays:
            self._place(npz(arrays), features)
        self._draft_video.replace(video)
        lossless = self._folder.lossless(clip_id)
        kept = len(self._writers) > 1
        if kept:
            self._draft_lossless.replace(lossless)
        return ScoredCase(
            metrics=scores,
            frames_sha256=self._sha256.hexdigest(),
            video=Video(path=self._name(video), sha256=file_sha256(video)),
            features=StoredFeatures(path=self._name(features), sha256=file_sha256(features))
            if arrays
            else None,
            lossless=Video(path=self._name(lossless), sha256=file_sha256(lossless)) if kept else None,
            lag=self._lag.lag(),
        )

    def _place(self, data: bytes, path: Path) -> None:
        draft = self._folder.drafts / path.name
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self._folder.path))


def read_frame_scores(path: Path, metric: str) -> npt.NDArray[np.float64]:
    """Per-frame scores of one metric, float64 (num_frames,), NaN where there is none.

    Raises:
        ResultError: the file is no such table.
    """
    import pyarrow
    import pyarrow.parquet

    try:
        column = pyarrow.parquet.read_table(path, columns=[metric]).column(metric)
        return np.asarray(column.cast(pyarrow.float64()).to_numpy(), dtype=np.float64)
    except (pyarrow.ArrowException, OSError, KeyError, ValueError) as error:
        raise ResultError(
            f"{path}: no per-frame scores of {metric} can be read: run the same tp-eval command again"
        ) from error


def read_features(path: Path) -> dict[str, Arrays]:
    """What was stored of a case: collection -> array name -> float32 (samples, dimensions).

    Raises:
        ResultError: the file is no such archive.
    """
    found: dict[str, Arrays] = {}
    try:
        with np.load(path, allow_pickle=False) as stored:
            for key in stored.files:
                collection, _, name = key.rpartition("/")
                found[collection] = {**found.get(collection, {}), name: stored[key]}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, AttributeError) as error:
        raise ResultError(f"{path}: no features can be read: run the same tp-eval command again") from error
    return found


def npz(arrays: Mapping[str, Arrays]) -> bytes:
    """NumPy's archive; the same arrays give the same bytes."""
    buffer = io.BytesIO()
    flat = {f"{name}/{key}": value for name, found in arrays.items() for key, value in found.items()}
    np.savez(buffer, **flat)
    return buffer.getvalue()


def file_sha256(path: Path) -> str:
    """SHA-256, in hex, of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
