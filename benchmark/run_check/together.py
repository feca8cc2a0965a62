"""Runs over the same clips against each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from benchmark.results import CaseResult
from benchmark.run_check.checked_run import CheckedRun
from benchmark.run_check.controls import FROZEN, GROUND_TRUTH, KNOWN_CONTROLS
from benchmark.run_check.problem import RunProblem, contradiction, unchecked
from benchmark.run_check.scores import same_number
from benchmark.run_check.videos import check_stillness, check_videos, sample_clips


def check_together(runs: Sequence[CheckedRun]) -> list[CheckedRun]:
    """Hold runs of one protocol over the same clips against each other.

    The run of ground-truth says what the clips are, and its videos show them; in a protocol without real
    frames the run of frozen does. Without it no run can be verified. Where the videos of most other runs
    contradict it, it is taken for the false one.

    Returns:
        The runs in the same order, with the problems that were found.
    """
    name = GROUND_TRUTH if any("psnr" in run.run.metrics for run in runs) else FROZEN
    truth = next((run for run in runs if _is_control(run, name) and not run.contradictions), None)
    if truth is None:
        missing = unchecked("videos", f"no sound run of {name} over these clips to compare with")
        return [run.with_problems([missing]) for run in runs]
    others = [run for run in runs if run is not truth and not run.contradictions]
    found = {id(run): [*_copies(run, runs), *_against(run, truth)] for run in others}
    refuted = sum(_shows_other_clips(problems) for problems in found.values())
    if _is_outvoted(refuted, len(others)):
        return check_together([_refuse(run, refuted) if run is truth else run for run in runs])
    alone = refuted == len(others) == 1
    found[id(truth)] = [unchecked("videos", "the only other run contradicts it")] if alone else []
    return _check_skill([run.with_problems(found.get(id(run), ())) for run in runs])


def _check_skill(runs: Sequence[CheckedRun]) -> list[CheckedRun]:
    """Check the skill of each run against the jittering errors of frozen, the motion of the clips."""
    frozen = next((run for run in runs if _is_control(run, FROZEN) and not run.contradictions), None)
    if frozen is None:
        return [
            replace(run, not_recomputable=run.not_recomputable | set(filter(_is_skill, run.run.metrics)))
            for run in runs
        ]
    others = [run for run in runs if run is not frozen and not run.contradictions]
    found = {id(run): list(_skill_problems(run, frozen)) for run in others}
    refuted = sum(bool(problems) for problems in found.values())
    if _is_outvoted(refuted, len(others)):
        return _check_skill([_refuse(run, refuted) if run is frozen else run for run in runs])
    return [run.with_problems(found.get(id(run), ())) for run in runs]


def _is_outvoted(against: int, others: int) -> bool:
    """True where a control is more likely to be false than all the runs that contradict it."""
    return against > 1 and against > others / 2


def _refuse(run: CheckedRun, against: int) -> CheckedRun:
    return run.with_problems(
        [contradiction("run.json", f"{against} other runs over these clips contradict it")]
    )


def _is_skill(name: str) -> bool:
    return name.startswith("tje_skill@")


def _is_control(run: CheckedRun, name: str) -> bool:
    return run.run.contestant.control and run.run.contestant.name == name


def _shows_other_clips(problems: Sequence[RunProblem]) -> bool:
    return any(
        problem.severity == "contradiction" and problem.where.startswith("videos/") for problem in problems
    )


def _against(run: CheckedRun, truth: CheckedRun) -> Iterator[RunProblem]:
    """Yield what the clips and videos of the true run say against another run."""
    if set(run.run.cases) != set(truth.run.cases):
        yield contradiction("run.json", f"names other clips than the run of {truth.run.contestant.name}")
    shared = sorted(run.cases.keys() & truth.cases.keys())
    for clip_id in shared:
        if _clip(run.cases[clip_id]) != _clip(truth.cases[clip_id]):
            yield contradiction(
                f"cases/{clip_id}.json",
                f"length, size, rate, split or cluster differ from the run of {truth.run.contestant.name}",
            )
            return
    clips = sample_clips(run, [clip for clip in shared if truth.cases[clip].video is not None])
    if not clips:
        yield unchecked("videos", "no video of a clip of which the real video is there as well")
    yield from check_videos(run, truth, clips)
    if _is_control(run, FROZEN):
        yield from check_stillness(run, clips)


def _clip(case: CaseResult) -> tuple[object, ...]:
    return (case.num_frames, case.width, case.height, case.fps, case.split, case.cluster)


def _copies(run: CheckedRun, runs: Sequence[CheckedRun]) -> Iterator[RunProblem]:
    """Find a run that shows the frames of a control under another name."""
    for other in runs:
        name = other.run.contestant.name
        if other is run or not other.run.contestant.control or name not in KNOWN_CONTROLS:
            continue
        if name == run.run.contestant.name or not run.cases.keys() & other.cases.keys():
            continue
        shared = run.cases.keys() & other.cases.keys()
        if all(run.cases[clip].frames_sha256 == other.cases[clip].frames_sha256 for clip in shared):
            yield contradiction("run.json", f"its frames are those of the control {name}")


def _skill_problems(run: CheckedRun, frozen: CheckedRun) -> Iterator[RunProblem]:
    for clip_id in sorted(run.cases.keys() & frozen.cases.keys()):
        own, still = run.cases[clip_id].metrics, frozen.cases[clip_id].metrics
        for name in filter(_is_skill, own):
            error = name.replace("tje_skill@", "tje@")
            if error not in own or error not in still:
                continue
            skill, value, motion = own[name].value, own[error].value, still[error].value
            if skill is None or value is None or not motion:
                continue
            if not same_number(1 - value / motion, skill, 1e-6):
                message = f"{name}: tje gives {1 - value / motion:.6g}, it is {skill:.6g}"
                yield contradiction(f"cases/{clip_id}.json", message)
