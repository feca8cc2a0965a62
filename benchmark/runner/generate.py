"""Generation and scoring of one batch, frame by frame."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter

from benchmark.analysis.lag import MAX_LAG
from benchmark.metrics import AnyMetric, CaseShape
from benchmark.run_dir import RunDir
from benchmark.runner.hosts.host import Host
from benchmark.runner.inputs import CaseInputs, prepare_inputs
from benchmark.runner.plan import PlannedCase
from benchmark.runner.reference_video import DrivingFaces, DrivingFrames
from benchmark.runner.scorer import ScoredCase, Scorer
from talkingpose.data.clips import ClipDataset
from talkingpose.data.contestant import Case, FramesSeen
from talkingpose.data.contestant_steps import FrameFault, PoseReader, Step, StepError
from talkingpose.data.schema import DatasetError
from talkingpose.io.image import Image
from talkingpose.media import MediaError
from talkingpose.media.prefetch import prefetch
from talkingpose.pose.face_crop import FaceCrop
from talkingpose.pose.keypoints import PoseError


@dataclass(frozen=True)
class CaseFinished:
    """Case with a score for every frame, and the seconds it took."""

    planned: PlannedCase
    scored: ScoredCase
    generation_s: float
    scoring_s: float


@dataclass(frozen=True)
class CaseFailed:
    """Case without a score, and the reason; `shared` if the whole batch failed, not this case alone."""

    planned: PlannedCase
    reason: str
    shared: bool = False


@dataclass(frozen=True)
class BatchTask:
    """Everything that batches of a run share.

    Attributes:
        dataset: dataset of the clips.
        host: the contestant.
        metrics: metrics to compute.
        folder: folder of the run.
        seed: seed of the run.
        on_frames: is told after each step how many frames of unfinished cases it made.
        keep_frames: whether the frames are also stored without loss.
        max_lag: largest constant lag to look for, in frames.
        frames_ahead: steps that are generated while earlier ones are scored; 0 alternates.
    """

    dataset: ClipDataset
    host: Host
    metrics: Sequence[AnyMetric]
    folder: RunDir
    seed: int
    on_frames: Callable[[int], None]
    keep_frames: bool = False
    max_lag: int = MAX_LAG
    frames_ahead: int = 0


class _OpenCase:
    """Case of the current batch; `scorer` is None if the case was finished before.

    Sizes and lengths come from the plan, keypoints and real frames from the dataset. The contestant has
    copies.
    """

    def __init__(
        self, planned: PlannedCase, inputs: CaseInputs, scorer: Scorer | None, *, driving: FramesSeen
    ) -> None:
        self.planned, self.scorer = planned, scorer
        self._real_video, self._keypoints = inputs.real_video, inputs.scored_keypoints
        # In self-reenactment the driver's frames are the real ones, which are read once.
        self._driver_video = inputs.driver_video if planned.pair is not None else None
        self.given = Case(
            clip_id=planned.clip.clip_id,
            reference=inputs.reference.copy(),
            keypoints=PoseReader(inputs.keypoints),
            fps=planned.clip.fps,
            width=planned.width,
            height=planned.height,
            num_frames=planned.num_frames,
            driving_frames=_driving_frames(planned, inputs, driving),
        )
        self.failure: str | None = None
        self.shared_failure: str | None = None
        self.generation_s = self.scoring_s = 0.0

    @property
    def scoring(self) -> bool:
        return self.scorer is not None and self.failure is None

    def score(self, step: int, generated: Image | FrameFault) -> None:
        """Score one generated frame against the real one; a fault ends the case."""
        if self.scorer is None or self.failure is not None:
            return
        started = perf_counter()
        try:
            real = self._real_video.next() if self._real_video is not None else None
            driver = self._driver_video.next() if self._driver_video is not None else None
        except MediaError as error:
            self.failure = str(error)
            return
        if isinstance(generated, FrameFault):
            self.failure = generated.text
        elif real is None and self._real_video is not None:
            self.failure = f"the clip has {step} frames, its row says {self.planned.clip.num_frames}"
        elif driver is None and self._driver_video is not None:
            self.failure = f"{self._driver_video.name} has {step} frames, its row says more"
        else:
            self.scorer.add(real, generated, self._keypoints[step], driver)
        self.scoring_s += perf_counter() - started

    def finish(self) -> Iterator[CaseFinished | CaseFailed]:
        """Yield the outcome after the last frame; nothing if the case was finished before."""
        if self.scorer is None:
            return
        if self.failure is None and self.shared_failure is None:
            self.failure = self._surplus()
        reason = self.failure or self.shared_failure
        if reason is not None:
            yield CaseFailed(self.planned, reason, shared=self.failure is None)
            return
        started = perf_counter()
        scored = self.scorer.finish()
        self.scoring_s += perf_counter() - started
        yield CaseFinished(self.planned, scored, self.generation_s, self.scoring_s)

    def _surplus(self) -> str | None:
        """Return what is wrong with real frames after the last scored one, if all are to be scored."""
        if self._real_video is None or self.planned.num_frames < self.planned.clip.num_frames:
            return None
        try:
            more = self._real_video.next() is not None
        except MediaError as error:
            return str(error)
        return f"the clip has more than the {self.planned.num_frames} frames its row says" if more else None


def _driving_frames(planned: PlannedCase, inputs: CaseInputs, seen: FramesSeen) -> Iterable[Image] | None:
    """Return the driving frames that a contestant asks for.

    Raises:
        DatasetError: it asks for faces, and the driving clip shows none.
    """
    if seen == "none" or inputs.driver_video is None:
        return None
    frames = DrivingFrames(inputs.driver_video, planned.num_frames)
    if seen == "all":
        return frames
    try:
        crop = FaceCrop(inputs.driver_keypoints, planned.height, planned.width)
    except PoseError as error:
        raise DatasetError(f"clip {planned.clip.clip_id}: {error}") from error
    return DrivingFaces(frames, crop)


def generate(
    batch: Sequence[PlannedCase], unfinished: Collection[str], task: BatchTask
) -> Iterator[CaseFinished | CaseFailed]:
    """Generate a batch in lockstep and yield the outcome of each unfinished case as it ends.

    A case is `CaseFailed` if the contestant yields a wrong frame, too few or too many frames, or raises, or
    if its clip differs from its row in the dataset. The other cases of the batch continue where possible.

    Args:
        batch: cases of one frame size.
        unfinished: clip ids of the cases to score. The others are generated again, because the bits of a
            case may depend on the size of the batch.
        task: what batches of a run share.
    """
    with contextlib.ExitStack() as stack:
        cases: list[_OpenCase] = []
        for planned in batch:
            try:
                cases.append(_open(planned, planned.clip.clip_id in unfinished, stack, task))
            except (DatasetError, MediaError) as error:
                yield CaseFailed(planned, str(error))
        if cases:
            yield from _animate(cases, task)


def _open(planned: PlannedCase, unfinished: bool, stack: contextlib.ExitStack, task: BatchTask) -> _OpenCase:
    info = task.host.info
    with_driver = info.driving_frames != "none" or any(metric.spec.needs_driver for metric in task.metrics)
    inputs = prepare_inputs(task.dataset, planned, with_driver=with_driver)
    stack.callback(inputs.close)
    scorer = None
    if unfinished:
        shape = CaseShape(
            planned.clip.clip_id,
            planned.clip.fps,
            planned.width,
            planned.height,
            planned.num_frames,
            info.window,
        )
        scorer = Scorer(
            shape,
            inputs.reference,
            metrics=task.metrics,
            folder=task.folder,
            keep_frames=task.keep_frames,
            max_lag=task.max_lag,
        )
        stack.enter_context(scorer)
    return _OpenCase(planned, inputs, scorer, driving=info.driving_frames)


def _animate(cases: Sequence[_OpenCase], task: BatchTask) -> Iterator[CaseFinished | CaseFailed]:
    """Run the batch. A case is finished once the step after its last frame is valid too."""
    steps = _timed_steps(cases, task)
    if task.frames_ahead:
        steps = prefetch(steps, task.frames_ahead)
    pending = list(cases)
    with contextlib.closing(steps):
        for number, (step, fault, seconds) in enumerate(steps):
            going = [case for case in pending if case.planned.num_frames > number]
            for case in pending:
                case.shared_failure = fault
                if fault is not None or case not in going:
                    yield from case.finish()
            if fault is not None or not going:
                return
            for case, image in zip(going, step, strict=True):
                case.generation_s += seconds / len(going)
                case.score(number, image)
            task.on_frames(sum(case.scorer is not None for case in going))
            pending = going
            if not any(case.scoring for case in pending):
                for case in pending:
                    yield from case.finish()
                return


def _timed_steps(
    cases: Sequence[_OpenCase], task: BatchTask
) -> Generator[tuple[Step, str | None, float], None, None]:
    """Yield the frames of each step, the failure of the batch, and the seconds that the step took."""
    task.host.take_hidden_s()
    with contextlib.closing(task.host.steps([case.given for case in cases], task.seed)) as steps:
        while True:
            started = perf_counter()
            step, fault = _next(steps)
            yield step, fault, perf_counter() - started + task.host.take_hidden_s()
            if fault is not None:
                return


def _next(steps: Generator[Step, None, None]) -> tuple[Step, str | None]:
    """Return the frames of the next step, or the failure of the batch."""
    try:
        return next(steps, []), None
    except StepError as error:
        return [], str(error)
