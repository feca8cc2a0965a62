"""Scoring of the frames that a run kept (`tp-eval run --keep-frames`)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np

from benchmark.data.bundled import open_dataset
from benchmark.errors import EvaluationError
from benchmark.metrics import AnyMetric, CaseShape
from benchmark.metrics.scoring import Scoring
from benchmark.protocols.protocol import Protocol
from benchmark.results import CaseResult, Run
from benchmark.run_dir import RunDir
from benchmark.runner.inputs import prepare_inputs
from benchmark.runner.plan import PlannedCase, plan_run, planning_rules
from benchmark.runner.scorer import file_sha256
from talkingpose.data.clips import ClipDataset
from talkingpose.io.image import Image
from talkingpose.media import VideoReader


class RescoreError(EvaluationError):
    """A run cannot be scored again: one line with the reason and the remedy."""


class KeptFrames:
    """Frames of a run, with the clips of its dataset.

    Args:
        folder: folder of the run.
        run: document of the run.
        protocol: protocol of the run.
        dataset: location of the dataset; None for the location that the run names.

    Raises:
        RescoreError: the dataset holds other clips.
        UserError: the dataset cannot be read.
    """

    def __init__(self, folder: RunDir, run: Run, protocol: Protocol, dataset: str | None) -> None:
        self._folder, self._run = folder, run
        self._dataset, self._planned = _plan(run, protocol, dataset or run.dataset.location)

    def score(self, case: CaseResult, metrics: Sequence[AnyMetric]) -> Scoring:
        """Score the kept frames of a case.

        Raises:
            RescoreError: the frames are not those that the run scored.
        """
        planned = self._planned[case.clip_id]
        with_driver = planned.pair is not None and any(metric.spec.needs_driver for metric in metrics)
        inputs = prepare_inputs(self._dataset, planned, with_driver=with_driver)
        shape = CaseShape(
            case.clip_id,
            planned.clip.fps,
            case.width,
            case.height,
            case.num_frames,
            self._run.contestant.window,
        )
        scoring = Scoring(shape, inputs.reference, metrics)
        digest = hashlib.sha256()
        try:
            for points, generated in zip(inputs.scored_keypoints, self._frames(case), strict=False):
                real = inputs.real_video.next() if inputs.real_video is not None else None
                if real is None and inputs.real_video is not None:
                    break
                driver = inputs.driver_video.next() if with_driver and inputs.driver_video else None
                scoring.window.push(real, generated, points, driver)
                scoring.score()
                digest.update(generated.data)
        finally:
            inputs.close()
        if digest.hexdigest() != case.frames_sha256 or scoring.window.t + 1 != case.num_frames:
            raise RescoreError(
                f"{self._folder.path}, clip {case.clip_id}: the kept frames are not those that were scored: "
                "generate it again"
            )
        return scoring

    def _frames(self, case: CaseResult) -> Iterator[Image]:
        assert case.lossless is not None
        with VideoReader(self._folder.path / case.lossless.path) as reader:
            for frame in reader:
                yield np.ascontiguousarray(frame.image)


def check_kept(folder: RunDir, cases: Sequence[CaseResult], metrics: Sequence[AnyMetric]) -> None:
    """Check that the frames of all cases were kept and are unchanged.

    Raises:
        RescoreError: they were not, or a file differs.
    """
    names = ", ".join(metric.spec.id for metric in metrics[:3])
    more = ", ..." if len(metrics) > 3 else ""
    for case in cases:
        path = folder.path / case.lossless.path if case.lossless is not None else None
        if path is None or case.lossless is None or not path.is_file():
            raise RescoreError(
                f"{folder.path}, clip {case.clip_id}: its frames were not kept, and {names}{more} of its "
                "encoded video would be another number: run it again with --keep-frames, or give --statistics"
            )
        if file_sha256(path) != case.lossless.sha256:
            raise RescoreError(f"{path}: not the file that was written: run the clip again")


def _plan(run: Run, protocol: Protocol, location: str) -> tuple[ClipDataset, dict[str, PlannedCase]]:
    dataset = open_dataset(location)
    plan = plan_run(
        dataset,
        planning_rules(protocol, run.max_frames),
        split=run.dataset.split if run.dataset.split in dataset.splits else None,
        limit=run.limit,
        max_frames=run.max_frames,
        seed=run.seed,
    )
    if plan.cases_sha256 != run.dataset.cases_sha256:
        raise RescoreError(
            f"--dataset {location}: holds other clips than those of the run: give the dataset of the run"
        )
    return dataset, {case.clip.clip_id: case for case in plan.cases}
