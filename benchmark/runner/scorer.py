"""One case on its way: each pair of frames goes to all metrics, into the hash and into the video."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import nan
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from benchmark.analysis.lag import LagDetector
from benchmark.features import Arrays, FeatureError, load_collection, load_extractors
from benchmark.metrics import AnyMetric, CaseShape, Metric, MetricSpec, MetricState, PairWindow
from benchmark.results import CaseScore, ResultError, StoredFeatures, Video
from benchmark.run_dir import RunDir
from talkingpose.media import VideoWriter

if TYPE_CHECKING:
    import pyarrow

    from benchmark.features import Collecting, Extractor

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


class Scoring:
    """The metrics of one case, fed pair by pair; memory grows by one float64 a score, not by frames.

    A metric whose features cannot be had here is left alone: its score is `unavailable`, and says why.
    """

    def __init__(self, case: CaseShape, reference: Image | None, metrics: Sequence[AnyMetric]) -> None:
        self.specs = [metric.spec for metric in metrics]
        self._unavailable: dict[str, str] = {}
        self._states: dict[str, MetricState] = {}
        self._collecting: dict[str, Collecting] = {}
        extractors: dict[str, Extractor] = {}
        for metric in metrics:
            try:
                extractors |= self._extractors(metric.spec, case)
            except FeatureError as error:
                self._unavailable[metric.spec.id] = str(error)
                continue
            if isinstance(metric, Metric):
                self._states[metric.spec.id] = metric.start(case)
        self.window = _window(self.specs, reference, extractors)
        self.scores = {spec.id: array("d") for spec in self.specs if spec.per_frame}

    def _extractors(self, spec: MetricSpec, case: CaseShape) -> dict[str, Extractor]:
        """What a metric reads, loaded; its collections are begun."""
        collections = {name: load_collection(name) for name in spec.collections}
        found = load_extractors(
            [*spec.features, *(name for each in collections.values() for name in each.spec.features)]
        )
        for name, collection in collections.items():
            if name not in self._collecting:
                self._collecting[name] = collection.start(case)
        return found

    def score(self) -> None:
        """Score the newest pair of the window."""
        for spec in self.specs:
            state = self._states.get(spec.id)
            score = state.update(self.window) if state is not None else None
            if spec.per_frame:
                self.scores[spec.id].append(nan if score is None else score)
        for collecting in self._collecting.values():
            collecting.update(self.window)

    def finish(self) -> tuple[dict[str, CaseScore], dict[str, Arrays]]:
        """The scores of the clip, and what was collected for the metrics of all clips."""
        arrays = {name: collecting.finish() for name, collecting in self._collecting.items()}
        return {spec.id: self._case_score(spec, arrays) for spec in self.specs}, arrays

    def _case_score(self, spec: MetricSpec, arrays: Mapping[str, Arrays]) -> CaseScore:
        reason = self._unavailable.get(spec.id)
        if reason is not None:
            return CaseScore(value=None, n_frames=0, state="unavailable", reason=reason)
        if spec.id in self._states:
            return self._states[spec.id].finish()
        samples = min((len(array) for name in spec.collections for array in arrays[name].values()), default=0)
        return CaseScore(value=None, n_frames=samples, state="ok")

    def frame_table(self) -> pyarrow.Table:
        """Per-frame scores: a score that is infinite or does not exist is null, as in the documents."""
        import pyarrow

        columns = {"t": pyarrow.array(range(self.window.t + 1), pyarrow.int32())}
        for name, scores in self.scores.items():
            columns[name] = pyarrow.array(np.frombuffer(scores), from_pandas=True)
        return pyarrow.table(columns)


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


def _window(
    specs: Sequence[MetricSpec], reference: Image | None, extractors: Mapping[str, Extractor]
) -> PairWindow:
    """A window that reaches back as far as any metric and any feature of it does."""
    features = [extractor.spec for extractor in extractors.values()]
    further = sum(spec.lookback for spec in features)
    feature_lookback = max((spec.lookback for spec in specs if spec.features), default=0)
    return PairWindow(
        max(feature_lookback + further, *(spec.lookback for spec in specs), 0),
        reference=reference,
        extractors=extractors,
        feature_lookback=feature_lookback,
    )


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
