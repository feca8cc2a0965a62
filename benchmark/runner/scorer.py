"""Scoring of one case: each pair of frames goes to all metrics, into the hash and into the video."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt

from benchmark.analysis.lag import MAX_LAG, LagDetector
from benchmark.features.contract import Arrays
from benchmark.metrics import AnyMetric, CaseShape
from benchmark.metrics.scoring import Scoring
from benchmark.results import CaseScore, ResultError, StoredFeatures, Video
from benchmark.run_dir import RunDir
from talkingpose.io.atomic import move
from talkingpose.io.image import Image
from talkingpose.media import VideoWriter

Keypoints = npt.NDArray[np.float32]

# For viewing only: every score is computed before this encoding.
VIDEO_CRF = 18


@dataclass(frozen=True)
class ScoredCase:
    """Scores and files of a case; `lag` in frames, None if there is none."""

    metrics: dict[str, CaseScore]
    frames_sha256: str
    video: Video
    features: StoredFeatures | None
    lossless: Video | None
    lag: int | None


class Scorer:
    """Scores of one case, and its files.

    Use it in a `with` block. Only `finish` puts files into the run's folder.
    """

    def __init__(
        self,
        case: CaseShape,
        reference: Image,
        *,
        metrics: Sequence[AnyMetric],
        folder: RunDir,
        keep_frames: bool = False,
        max_lag: int = MAX_LAG,
    ) -> None:
        self._case, self._folder = case, folder
        self._draft_video = folder.drafts / f"{case.clip_id}.mp4"
        self._draft_lossless = folder.drafts / f"{case.clip_id}.lossless.mp4"
        self._scoring = Scoring(case, reference, metrics)
        self._sha256 = hashlib.sha256()
        self._lag = LagDetector(max_lag)
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
        # With an error the writer deletes its file; after `finish` this has no effect.
        for writer in self._writers:
            writer.__exit__(kind or GeneratorExit, error, trace)

    def add(
        self, real: Image | None, generated: Image, keypoints: Keypoints, driver: Image | None = None
    ) -> None:
        """Score one pair of frames. The arrays must not change afterwards.

        Args:
            real: uint8 RGB (H, W, 3); None in cross-reenactment.
            generated: uint8 RGB (H, W, 3).
            keypoints: driving pose of the frame, float32 (133, 3).
            driver: frame of the driving clip in cross-reenactment, uint8 RGB (H, W, 3); None where no metric
                and no contestant needs it.
        """
        self._scoring.window.push(real, generated, keypoints, driver)
        self._scoring.score()
        self._sha256.update(generated.data)
        if real is not None:
            self._lag.update(real, generated)
        for writer in self._writers:
            writer.write(generated)

    def finish(self) -> ScoredCase:
        """Move video, per-frame scores and features to their places. The caller writes the document."""
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
        draft.write_bytes(data)
        move(draft, path)

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self._folder.path))


def read_frame_scores(path: Path, metric: str) -> npt.NDArray[np.float64]:
    """Read the per-frame scores of one metric, float64 (num_frames,), NaN where there is none.

    Raises:
        ResultError: the file is not a table with that column.
    """
    import pyarrow
    import pyarrow.parquet

    try:
        column = pyarrow.parquet.read_table(path, columns=[metric]).column(metric)
        return np.asarray(column.cast(pyarrow.float64()).to_numpy(), dtype=np.float64)
    except (pyarrow.ArrowException, OSError, KeyError, ValueError) as error:
        raise ResultError(
            f"{path}: per-frame scores of {metric} cannot be read: run the same tp-eval command again"
        ) from error


def read_features(path: Path) -> dict[str, Arrays]:
    """Read the stored features of a case: collection -> array name -> float32 (samples, dimensions).

    Raises:
        ResultError: the file is not such an archive.
    """
    found: dict[str, Arrays] = {}
    try:
        with np.load(path, allow_pickle=False) as stored:
            for key in stored.files:
                collection, _, name = key.rpartition("/")
                found[collection] = {**found.get(collection, {}), name: stored[key]}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, AttributeError) as error:
        raise ResultError(f"{path}: features cannot be read: run the same tp-eval command again") from error
    return found


def npz(arrays: Mapping[str, Arrays]) -> bytes:
    """Return a NumPy archive; equal arrays give equal bytes."""
    buffer = io.BytesIO()
    flat = {f"{name}/{key}": value for name, found in arrays.items() for key, value in found.items()}
    np.savez(buffer, **flat)
    return buffer.getvalue()


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
