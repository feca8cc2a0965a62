"""Folder of a study: pages and videos for raters, and the key that says what they saw."""

from __future__ import annotations

import json
import os
import random
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.results import CaseResult, Run, write_document
from benchmark.run_check import CheckedRun
from leaderboard.entries.runs import check_runs, find_runs
from leaderboard.study.clips import blind_copy, spoiled_copy
from leaderboard.study.design import PlannedPair, balanced_pairs
from leaderboard.study.documents import (
    KEY,
    PAGES,
    QUESTIONS,
    Attention,
    Fault,
    Question,
    StudyContestant,
    StudyError,
    StudyKey,
    StudyMetric,
    Trial,
)
from talkingpose.io.atomic import write_text
from talkingpose.io.html_page import render
from talkingpose.io.progress import SILENT, Progress

# Letters and digits that are not mistaken for each other.
_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_REAL, _PORTRAIT = "ground-truth", "frozen"
# Clips whose spoiled copies serve as attention checks.
_CHECK_CLIPS = 3
_LONGEST_S = 600.0
CONSENT = (
    "You will compare pairs of short videos. Taking part is voluntary, and you can stop at any time. Your "
    "answers, the time that each pair took and the code of this page are recorded, nothing else. They leave "
    "this device only when you send the file yourself."
)


@dataclass(frozen=True)
class StudySettings:
    """Settings of a study.

    Attributes:
        raters: number of pages, one for each rater.
        pairs: pairs for each rater, without attention checks.
        checks: attention checks for each rater.
        seconds: length of the shown part of a clip, in seconds.
        seed: seed of the design.
        title: title of the pages.
        consent: text that a rater reads first.
    """

    raters: int = 20
    pairs: int = 24
    checks: int = 4
    seconds: float = 8.0
    seed: int = 0
    title: str = "Comparison of videos"
    consent: str = CONSENT


@dataclass(frozen=True)
class BuiltStudy:
    """A study that was built.

    Attributes:
        folder: its folder.
        pages: one page for each rater.
        contestants: names of the contestants.
        num_clips: number of clips.
        votes_per_pair: votes that each pair of contestants gets if every rater answers.
        notes: remarks for the organizer.
    """

    folder: Path
    pages: Sequence[Path]
    contestants: Sequence[str]
    num_clips: int
    votes_per_pair: float
    notes: Sequence[str]


def build_study(
    paths: Sequence[Path], out: Path, settings: StudySettings | None = None, progress: Progress = SILENT
) -> BuiltStudy:
    """Build a study of pairs.

    The run of `ground-truth` gives the real videos, which stand beside each pair. Without it the run of
    `frozen` gives the portraits, and nobody is asked about motion.

    Args:
        paths: folders of runs, or folders of such folders.
        out: folder to create.
        settings: settings of the study.
        progress: receiver of progress.

    Raises:
        StudyError: the runs cannot be compared, lack videos or a reference, or the folder is in use.
        ResultError: there is no run.
    """
    settings = settings or StudySettings()
    _check_settings(settings)
    _check_place(out)
    folders, _ = find_runs(paths)
    runs, refused = check_runs(folders, progress)
    if refused:
        raise StudyError(f"{refused[0].lines()[0]}: leave this run out")
    _check_same(runs)
    reference, contestants = _roles(runs)
    clips = _clips([*contestants, reference])
    has_motion = reference.run.contestant.name == _REAL
    questions: list[Question] = [name for name in QUESTIONS if has_motion or name != "motion"]
    partial = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        media = partial / PAGES / "media"
        media.mkdir(parents=True)
        store = _Media(media, settings, progress, (len(contestants) + 1) * len(clips))
        for run in (reference, *contestants):
            store.add(run, clips)
        checks = store.spoil(reference if has_motion else contestants[0], clips, has_motion)
        key, pages = _design(contestants, reference, clips, questions, settings, store, checks)
        for code, trials in pages.items():
            write_text(partial / PAGES / f"{code}.html", _page(key, code, trials, settings, has_motion))
        write_document(key, partial / KEY)
        partial.rename(out)
    except OSError as error:
        raise StudyError(f"--out {out}: not writable ({error.strerror}): choose another folder") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    pairs = len(contestants) * (len(contestants) - 1) / 2
    shown = min(settings.pairs, round(pairs) * len(clips))
    return BuiltStudy(
        folder=out,
        pages=[out / PAGES / f"{code}.html" for code in key.raters],
        contestants=[one.name for one in key.contestants],
        num_clips=len(clips),
        votes_per_pair=settings.raters * shown / pairs,
        notes=_notes(shown, settings, has_motion),
    )


class _Media:
    """Videos of the pages under random names."""

    def __init__(self, folder: Path, settings: StudySettings, progress: Progress, total: int) -> None:
        self._folder, self._settings, self._progress = folder, settings, progress
        self._names: dict[tuple[int, str], str] = {}
        progress.start("videos", total, "video")

    def add(self, run: CheckedRun, clips: Sequence[str]) -> None:
        """Copy the videos of a run."""
        for clip_id in clips:
            video = run.cases[clip_id].video
            assert video is not None
            name = f"{_token(16)}.mp4"
            blind_copy(run.folder, video, self._folder / name)
            self._names[id(run), clip_id] = name
            self._progress.advance()

    def name(self, run: CheckedRun, clip_id: str) -> str:
        """Return the address of a video on a page."""
        return f"media/{self._names[id(run), clip_id]}"

    def spoil(self, run: CheckedRun, clips: Sequence[str], has_motion: bool) -> list[_Check]:
        """Write spoiled copies of some clips of a run."""
        draw = random.Random(self._settings.seed)
        chosen = draw.sample(list(clips), min(_CHECK_CLIPS, len(clips))) if self._settings.checks else []
        faults: Sequence[Fault] = ("frozen", "damaged") if has_motion else ("damaged",)
        found = []
        for number, clip_id in enumerate(chosen):
            intact = self.name(run, clip_id)
            for fault in faults:
                name = f"{_token(16)}.mp4"
                source = self._folder / Path(intact).name
                spoiled_copy(source, self._folder / name, fault, self._settings.seconds, number)
                found.append(_Check(clip_id, fault, intact, f"media/{name}"))
        return found


@dataclass(frozen=True)
class _Check:
    clip_id: str
    fault: Fault
    intact: str
    spoiled: str


@dataclass(frozen=True)
class _ShownTrial:
    """A trial as the page holds it."""

    trial: str
    left: str
    right: str
    reference: str
    start_s: float


def _check_settings(settings: StudySettings) -> None:
    ranges = {"raters": (1, 5000), "pairs": (1, 1000), "checks": (0, 50)}
    for name, (low, high) in ranges.items():
        if not low <= getattr(settings, name) <= high:
            raise StudyError(f"--{name} {getattr(settings, name)}: give a number from {low} to {high}")
    if not 1 <= settings.seconds <= _LONGEST_S:
        raise StudyError(f"--seconds {settings.seconds:g}: give a number from 1 to {_LONGEST_S:g}")


def _check_place(out: Path) -> None:
    if out.is_symlink() or out.exists():
        raise StudyError(f"--out {out}: exists: a study is never replaced, because its votes need its key")
    if not out.parent.is_dir():
        raise StudyError(f"--out {out}: no folder {out.parent}: create it")


def _check_same(runs: Sequence[CheckedRun]) -> None:
    first = runs[0]
    for other in runs[1:]:
        one, two = first.run, other.run
        differs = {
            "another protocol": one.protocol.sha256 != two.protocol.sha256,
            "other clips": one.dataset.cases_sha256 != two.dataset.cases_sha256,
            "another --max-frames": one.max_frames != two.max_frames,
        }
        what = next((what for what, found in differs.items() if found), None)
        if what is not None:
            raise StudyError(f"{other.folder}: {what} than {first.folder}: give runs over the same clips")


def _roles(runs: Sequence[CheckedRun]) -> tuple[CheckedRun, list[CheckedRun]]:
    """Return the run that gives the reference, and the contestants."""
    by_name = {run.run.contestant.name: run for run in runs if run.run.contestant.control}
    reference = by_name.get(_REAL) or by_name.get(_PORTRAIT)
    if reference is None:
        raise StudyError(
            "no reference: give the run of ground-truth as well (tp-eval --model ground-truth), or that of "
            "frozen across identities"
        )
    contestants = [run for run in runs if run is not reference]
    if len(contestants) < 2:
        name = reference.run.contestant.name
        raise StudyError(f"fewer than 2 contestants beside {name}: give more runs")
    return reference, contestants


def _clips(runs: Sequence[CheckedRun]) -> list[str]:
    """Return the clips that every run has a video of."""
    shared = set.intersection(
        *({clip for clip, case in run.cases.items() if case.video is not None} for run in runs)
    )
    if not shared:
        raise StudyError("no clip has a video in every run: run tp-eval again")
    return sorted(shared)


def _design(
    contestants: Sequence[CheckedRun],
    reference: CheckedRun,
    clips: Sequence[str],
    questions: list[Question],
    settings: StudySettings,
    media: _Media,
    checks: Sequence[_Check],
) -> tuple[StudyKey, Mapping[str, list[_ShownTrial]]]:
    draw = random.Random(settings.seed)
    plan = balanced_pairs(len(contestants), len(clips), settings.raters, settings.pairs, draw)
    raters: dict[str, list[Trial]] = {}
    pages: dict[str, list[_ShownTrial]] = {}
    for number, own in enumerate(plan):
        code = _token(8)
        trials: list[tuple[Trial, _ShownTrial]] = [
            _pair_trial(pair, contestants, reference, clips, settings, media, draw) for pair in own
        ]
        for index in range(settings.checks if checks else 0):
            check = checks[(number * settings.checks + index) % len(checks)]
            # Not among the first pairs, while a rater still learns the page.
            place = draw.randint(min(2, len(trials)), len(trials))
            trials.insert(place, _check_trial(check, media.name(reference, check.clip_id), draw))
        raters[code] = [trial for trial, _ in trials]
        pages[code] = [shown for _, shown in trials]
    run = reference.run
    key = StudyKey(
        schema="talkingpose.study/1",
        study=_token(12),
        title=settings.title,
        protocol=f"{run.protocol.id}@{run.protocol.version}",
        protocol_sha256=run.protocol.sha256,
        cases_sha256=run.dataset.cases_sha256,
        seed=settings.seed,
        questions=questions,
        contestants=list(_named(contestants)),
        clips=list(clips),
        metrics=_metrics(contestants, clips),
        raters=raters,
    )
    return key, pages


def _pair_trial(
    pair: PlannedPair,
    contestants: Sequence[CheckedRun],
    reference: CheckedRun,
    clips: Sequence[str],
    settings: StudySettings,
    media: _Media,
    draw: random.Random,
) -> tuple[Trial, _ShownTrial]:
    clip_id = clips[pair.clip]
    trial = Trial(trial=_token(10), clip_id=clip_id, left=pair.left, right=pair.right)
    length = _length_s(contestants[pair.left].cases[clip_id])
    shown = _ShownTrial(
        trial=trial.trial,
        left=media.name(contestants[pair.left], clip_id),
        right=media.name(contestants[pair.right], clip_id),
        reference=media.name(reference, clip_id),
        start_s=round(draw.uniform(0, max(0.0, length - settings.seconds)), 2),
    )
    return trial, shown


def _check_trial(check: _Check, reference: str, draw: random.Random) -> tuple[Trial, _ShownTrial]:
    """Return an attention check; its spoiled copy holds the beginning of the clip."""
    intact_left = draw.random() < 0.5
    attention = Attention(
        fault=check.fault,
        intact="left" if intact_left else "right",
        question="motion" if check.fault == "frozen" else "real",
    )
    trial = Trial(trial=_token(10), clip_id=check.clip_id, left=0, right=0, check=attention)
    left, right = (check.intact, check.spoiled) if intact_left else (check.spoiled, check.intact)
    return trial, _ShownTrial(trial.trial, left, right, reference, 0.0)


def _named(contestants: Sequence[CheckedRun]) -> Iterator[StudyContestant]:
    """Yield the contestants; a name that two runs share gets the folder of the run."""
    names = [run.run.contestant.name for run in contestants]
    for run, name in zip(contestants, names, strict=True):
        shown = name if names.count(name) == 1 else f"{name} ({run.folder.name})"
        who = run.run.contestant
        yield StudyContestant(name=shown, revision=who.revision, control=who.control)


def _metrics(contestants: Sequence[CheckedRun], clips: Sequence[str]) -> dict[str, StudyMetric]:
    """Return the scores of the metrics that have a direction and that every run has."""
    first: Run = contestants[0].run
    found = {}
    for name, summary in first.metrics.items():
        if summary.direction == "none" or any(name not in run.run.metrics for run in contestants):
            continue
        scores = [[_score(run.cases[clip], name) for clip in clips] for run in contestants]
        if any(value is not None for row in scores for value in row):
            found[name] = StudyMetric(direction=summary.direction, scores=scores)
    return found


def _score(case: CaseResult, name: str) -> float | None:
    score = case.metrics.get(name)
    return None if score is None else score.value


def _length_s(case: CaseResult) -> float:
    above, _, below = case.fps.partition("/")
    return case.num_frames * int(below or 1) / int(above)


def _page(
    key: StudyKey, code: str, trials: Sequence[_ShownTrial], settings: StudySettings, has_motion: bool
) -> str:
    data = {
        "study": key.study,
        "rater": code,
        "seconds": settings.seconds,
        "reference": "Real video" if has_motion else "Portrait",
        "questions": [{"id": name, "text": QUESTIONS[name]} for name in key.questions],
        "trials": [
            {"id": t.trial, "left": t.left, "right": t.right, "reference": t.reference, "start": t.start_s}
            for t in trials
        ],
    }
    values = {
        "title": settings.title,
        "consent": settings.consent,
        "code": code,
        "number": len(trials),
        "questions": data["questions"],
        "reference": data["reference"],
        "data": json.dumps(data).replace("<", "\\u003c"),
    }
    return render("leaderboard.study", "rate.html.j2", values, css="rate.css", script="rate.js")


def _notes(shown: int, settings: StudySettings, has_motion: bool) -> list[str]:
    notes = []
    if shown < settings.pairs:
        notes.append(f"only {shown} different pairs exist: each rater sees these, not {settings.pairs}")
    if not has_motion:
        notes.append("no run of ground-truth: portraits stand beside the pairs, without a question on motion")
    return notes


def _token(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
