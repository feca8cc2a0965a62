"""Generation and scoring of one batch, frame by frame; what a contestant yields is checked first."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter

import numpy as np
import numpy.typing as npt

from benchmark.metrics import AnyMetric, CaseShape
from benchmark.run_dir import RunDir
from benchmark.runner.inputs import CaseInputs, prepare_inputs
from benchmark.runner.plan import PlannedCase
from benchmark.runner.predictions import PredictionError
from benchmark.runner.reference_video import DrivingFrames
from benchmark.runner.registry import describe
from benchmark.runner.scorer import ScoredCase, Scorer
from talkingpose.data.clips import ClipDataset
from talkingpose.data.contestant import Case, Contestant
from talkingpose.data.schema import DatasetError
from talkingpose.media import MediaError

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class CaseFinished:
    """A case whose every frame was scored, with the seconds it took."""

    planned: PlannedCase
    recorded: ScoredCase
    generation_s: float
    scoring_s: float


@dataclass(frozen=True)
class CaseFailed:
    """A case that has no number, and why; `shared` where the fault struck the whole batch, not this case."""

    planned: PlannedCase
    reason: str
    shared: bool = False


class _OpenCase:
    """A case of the batch in progress; `recorder` is None where the case was done before."""

    def __init__(self, planned: PlannedCase, case: Case, stage: CaseInputs, recorder: Scorer | None) -> None:
        self.planned, self.case, self.footage, self.recorder = planned, case, stage.footage, recorder
        self._keypoints = iter(case.keypoints)
        self.failure: str | None = None
        self.shared_failure: str | None = None
        self.generation_s = self.scoring_s = 0.0

    @property
    def scoring(self) -> bool:
        return self.recorder is not None and self.failure is None

    def score(self, step: int, generated: object) -> None:
        """Check one generated frame and score it against the real one; a fault ends the case."""
        if not self.scoring:
            return
        assert self.recorder is not None
        started = perf_counter()
        case = self.case
        self.failure = _fault(generated, case, step)
        try:
            real = self.footage.next() if self.footage is not None else None
        except MediaError as error:
            self.failure = str(error)
            return
        if real is None and self.footage is not None:
            self.failure = f"the clip has {step} frames, its row says {self.planned.clip.num_frames}"
        if self.failure is None:
            assert isinstance(generated, np.ndarray)
            # A copy: the contestant may use its array again, and the window looks back on this one.
            self.recorder.add(real, generated.copy(), next(self._keypoints))
        self.scoring_s += perf_counter() - started

    def finish(self) -> Iterator[CaseFinished | CaseFailed]:
        """What became of the case once its last frame is in; nothing where it was done before."""
        if self.recorder is None:
            return
        if self.failure is None and self.shared_failure is None:
            self.failure = self._surplus()
        reason = self.failure or self.shared_failure
        if reason is not None:
            yield CaseFailed(self.planned, reason, shared=self.failure is None)
            return
        started = perf_counter()
        recorded = self.recorder.finish()
        self.scoring_s += perf_counter() - started
        yield CaseFinished(self.planned, recorded, self.generation_s, self.scoring_s)

    def _surplus(self) -> str | None:
        """What is wrong with the real frames after the last that is scored, where all are to be scored."""
        if self.footage is None or self.case.num_frames < self.planned.clip.num_frames:
            return None
        try:
            more = self.footage.next() is not None
        except MediaError as error:
            return str(error)
        return f"the clip has more than the {self.case.num_frames} frames its row says" if more else None


def generate(
    batch: Sequence[PlannedCase],
    todo: Collection[str],
    *,
    dataset: ClipDataset,
    contestant: Contestant,
    metrics: Sequence[AnyMetric],
    folder: RunDir,
    seed: int,
    on_frame: Callable[[int], None],
    keep_frames: bool = False,
) -> Iterator[CaseFinished | CaseFailed]:
    """Generate a batch in lockstep and yield each case that was to do, as it ends.

    A case whose contestant yields a wrong frame, too few or too many frames, or raises, is `CaseFailed`;
    so is
    one whose clip does not hold what the dataset says. The other cases of the batch go on where the fault
    leaves them apart. `todo` holds the clip ids of the cases to do, and `on_frame` is told how many of their
    frames a step made. `keep_frames` stores the frames without loss, too.
    """
    record = partial(Scorer, metrics=metrics, folder=folder, keep_frames=keep_frames)
    with contextlib.ExitStack() as stack:
        cases: list[_OpenCase] = []
        for planned in batch:
            try:
                to_do = planned.clip.clip_id in todo
                cases.append(_open(planned, to_do, stack, dataset, contestant, record))
            except (DatasetError, MediaError) as error:
                yield CaseFailed(planned, str(error))
        if cases:
            yield from _animate(cases, contestant, seed, on_frame)


def _open(
    planned: PlannedCase,
    to_do: bool,
    stack: contextlib.ExitStack,
    dataset: ClipDataset,
    contestant: Contestant,
    record: Callable[[CaseShape, Image], Scorer],
) -> _OpenCase:
    clip = planned.clip
    stage = prepare_inputs(dataset, planned)
    stack.callback(stage.close)
    driving = None
    if contestant.info.needs_driving_frames and stage.footage is not None:
        driving = DrivingFrames(stage.footage, planned.num_frames)
    case = Case(
        clip_id=clip.clip_id,
        # A copy: what a contestant does to its portrait must not reach the real frames.
        reference=stage.reference.copy(),
        keypoints=list(stage.keypoints),
        fps=clip.fps,
        width=planned.width,
        height=planned.height,
        num_frames=planned.num_frames,
        driving_frames=driving,
    )
    recorder = None
    if to_do:
        shape = CaseShape(
            clip.clip_id,
            clip.fps,
            planned.width,
            planned.height,
            planned.num_frames,
            contestant.info.window,
        )
        recorder = stack.enter_context(record(shape, stage.reference))
    return _OpenCase(planned, case, stage, recorder)


def _animate(
    cases: Sequence[_OpenCase], contestant: Contestant, seed: int, on_frame: Callable[[int], None]
) -> Iterator[CaseFinished | CaseFailed]:
    """Run the batch. A case counts once the step after its last frame is well-formed too."""
    frames = _steps(contestant, [case.case for case in cases], seed)
    pending = list(cases)
    with contextlib.closing(frames):
        for step in itertools.count():
            going = [case for case in pending if case.case.num_frames > step]
            started = perf_counter()
            images, fault = _take(frames, len(going), step)
            seconds = perf_counter() - started
            for case in pending:
                case.shared_failure = fault
                if fault is not None or case not in going:
                    yield from case.finish()
            if fault is not None or not going:
                return
            for case, image in zip(going, images, strict=True):
                case.generation_s += seconds / len(going)
                case.score(step, image)
            on_frame(sum(case.recorder is not None for case in going))
            pending = going
            if not any(case.scoring for case in pending):
                for case in pending:
                    yield from case.finish()
                return


def _steps(contestant: Contestant, cases: Sequence[Case], seed: int) -> Generator[object, None, None]:
    # A generator of our own: it raises with the first frame whatever `animate` is, and it can be closed.
    yield from contestant.animate(cases, seed=seed)


def _take(frames: Iterator[object], expected: int, step: int) -> tuple[Sequence[object], str | None]:
    """The frames of one time step, or what is wrong with them."""
    try:
        images = next(frames)
    except StopIteration:
        return [], f"the contestant stopped after {step} frames" if expected else None
    except (MediaError, PredictionError) as error:
        return [], str(error)
    except Exception as error:
        return [], f"the contestant failed at frame {step}: {describe(error)}"
    if not expected:
        return [], f"the contestant yields more than {step} frames"
    if not isinstance(images, list | tuple):
        return (
            [],
            f"frame {step}: the contestant yields {type(images).__name__}, not a list with a frame per clip",
        )
    if len(images) != expected:
        return [], f"frame {step}: the contestant yields {len(images)} frames for {expected} clips"
    return images, None


def _fault(image: object, case: Case, step: int) -> str | None:
    """What is wrong with a frame, None where it is uint8 of the size of the case."""
    shape = (case.height, case.width, 3)
    if isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.shape == shape:
        return None
    given = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
    return f"frame {step}: the contestant yields {given}, not uint8 {shape}"
