"""Verification of a run: a random tenth of its cases scored again from the kept frames."""

from __future__ import annotations

import math
import random
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from benchmark.features.contract import Arrays
from benchmark.metrics.scoring import Scoring
from benchmark.protocols.protocol import load_protocol
from benchmark.rescore.kept_frames import KeptFrames, RescoreError, check_kept
from benchmark.rescore.rescore import check_rules, open_run
from benchmark.results import CaseResult, CaseScore, Document, ResultError
from benchmark.run_dir import RunDir
from benchmark.runner.scorer import read_features, read_frame_scores
from benchmark.runner.summarize import metrics_under
from talkingpose.io.progress import SILENT, Progress

SHARE = 10
# Libraries may sum in another order on another machine.
_RELATIVE, _ABSOLUTE = 1e-6, 1e-9


class Verification(Document):
    """Result of `tp-eval rescore --verify`.

    `seed` draws `clips` again. `differences` names clip, metric and both values of each score that differs;
    the run is verified if it is empty.
    """

    run: str
    seed: int
    clips: list[str]
    n_cases: int
    n_scores: int
    differences: list[str]

    @property
    def verified(self) -> bool:
        """True if every score was found again."""
        return not self.differences


def verify(
    path: Path, *, dataset: str | None = None, seed: int | None = None, progress: Progress = SILENT
) -> Verification:
    """Score a random tenth of the cases again, at least one, and compare with what the run holds.

    Nothing is written.

    Args:
        path: folder of the run, made with `--keep-frames`.
        dataset: location of the dataset; None for the location that the run names.
        seed: seed of the sample; None draws one, so that nobody can know the sample beforehand.
        progress: is told of each clip.

    Raises:
        RescoreError: the frames of a chosen case were not kept, or the dataset or the rules differ.
        UserError: run, dataset or protocol cannot be read.
    """
    folder = RunDir(path)
    run, cases = open_run(folder)
    if not cases:
        raise RescoreError(f"{path}: no clip was scored: there is nothing to verify")
    protocol = load_protocol(f"{run.protocol.id}@{run.protocol.version}")
    check_rules(run, protocol)
    metrics = [metric for metric in metrics_under(protocol) if metric.spec.id in run.metrics]
    drawn = secrets.randbelow(2**31) if seed is None else seed
    sample = random.Random(drawn).sample(cases, math.ceil(len(cases) / SHARE))
    sample.sort(key=lambda case: case.clip_id)
    differences: list[str] = []
    frames = KeptFrames(folder, run, protocol, dataset)
    for number, case in enumerate(sample, start=1):
        try:
            check_kept(folder, [case], metrics)
        except RescoreError as error:
            if case.lossless is None:
                raise
            differences.append(str(error))
            continue
        try:
            scoring = frames.score(case, metrics)
        except RescoreError as error:
            differences.append(str(error))
            continue
        differences += _differences(folder, case, scoring)
        progress.message(f"{number}/{len(sample)} {case.clip_id}: {case.num_frames} frames scored again")
    return Verification(
        run=str(path),
        seed=drawn,
        clips=[case.clip_id for case in sample],
        n_cases=len(cases),
        n_scores=len(sample) * len(metrics),
        differences=differences,
    )


def lines(result: Verification) -> Iterator[str]:
    """Yield the result as lines of text."""
    yield from result.differences
    yield (
        f"{result.run}: {len(result.clips)} of {result.n_cases} clips scored again (seed {result.seed}: "
        f"{', '.join(result.clips)}), {result.n_scores} scores, {len(result.differences)} differences: "
        f"{'verified' if result.verified else 'NOT verified'}"
    )


def _differences(folder: RunDir, case: CaseResult, scoring: Scoring) -> Iterator[str]:
    scores, arrays = scoring.finish()
    for name, score in scores.items():
        stored = case.metrics.get(name)
        if stored is None or not _same(stored, score):
            old = None if stored is None else stored.value
            yield f"{case.clip_id}: {name}: the run says {old}, the frames give {score.value}"
    for name, frame_scores in scoring.scores.items():
        try:
            stored_scores = read_frame_scores(folder.frames(case.clip_id), name)
        except ResultError as error:
            yield str(error)
            continue
        again = np.frombuffer(frame_scores)
        if stored_scores.shape != again.shape or not np.allclose(
            stored_scores, again, rtol=_RELATIVE, atol=_ABSOLUTE, equal_nan=True
        ):
            yield f"{case.clip_id}: frame scores of {name}: not what the frames give"
    if arrays:
        yield from _feature_differences(folder, case, arrays)


def _feature_differences(folder: RunDir, case: CaseResult, arrays: Mapping[str, Arrays]) -> Iterator[str]:
    try:
        stored = {} if case.features is None else read_features(folder.path / case.features.path)
    except ResultError as error:
        yield str(error)
        return
    for collection, found in arrays.items():
        for name, array in found.items():
            old = stored.get(collection, {}).get(name)
            if old is None or old.shape != array.shape or not np.allclose(old, array, rtol=1e-3, atol=1e-4):
                yield f"{case.clip_id}: features {collection}/{name}: not what the frames give"


def _same(one: CaseScore, other: CaseScore) -> bool:
    counts = (one.n_frames, one.n_infinite, one.state) == (other.n_frames, other.n_infinite, other.state)
    if one.value is None or other.value is None:
        return counts and one.value is other.value
    return counts and math.isclose(one.value, other.value, rel_tol=_RELATIVE, abs_tol=_ABSOLUTE)
