"""Analysis of votes: checks of raters, strengths, agreement of raters, agreement of metrics with raters."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from benchmark.results import Document
from leaderboard.study.agreement import krippendorff_alpha, rank_correlation
from leaderboard.study.bradley_terry import fit_strengths, pair_indices
from leaderboard.study.documents import (
    Answer,
    Choice,
    Question,
    StudyError,
    StudyKey,
    StudyMetric,
    Trial,
    Votes,
    read_key,
    read_votes,
)
from leaderboard.study.intervals import two_way_intervals

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Interval = tuple[float, float]

_DRAWS = 400
# With fewer contestants a rank correlation has hardly any values.
_FEWEST_RANKED = 4


class Strength(Document):
    """Result of a contestant for one question.

    Attributes:
        strength: Bradley-Terry strength, the mean over contestants is 0. A difference of 1 between two
            contestants means odds of e to 1 among votes that are no ties.
        preferred: share of its votes that it won, a tie counted as half.
        n_votes: number of its votes.
    """

    name: str
    control: bool
    strength: float
    ci95: Interval | None
    preferred: float | None
    n_votes: int


class Preference(Document):
    """Votes between two contestants, and the interval of the difference of their strengths, A minus B."""

    a: str
    b: str
    wins_a: int
    wins_b: int
    ties: int
    difference: float
    ci95: Interval | None


class MetricAgreement(Document):
    """Agreement of a metric with the votes of one question.

    Attributes:
        accuracy: share of votes without ties in which the preferred video has the better score on that clip.
        rank_correlation: Spearman's correlation of strengths and mean scores over contestants; above 0 where
            the metric agrees.
        reason: reason for a null.
    """

    metric: str
    accuracy: float | None
    accuracy_ci95: Interval | None
    n_votes: int
    rank_correlation: float | None
    rank_correlation_ci95: Interval | None
    reason: str | None = None


class QuestionResult(Document):
    """Result of one question.

    Attributes:
        alpha: Krippendorff's alpha over pairs on a clip with two or more votes: a win is 1, a tie 0, a loss
            -1.
        n_alpha: number of such pairs.
        ties: share of ties.
        raters_agree: share of pairs of votes on the same pair and clip, ties left out, that agree: what a
            metric can reach at most is not much higher.
    """

    question: Question
    n_votes: int
    ties: float
    strengths: list[Strength]
    pairs: list[Preference]
    alpha: float | None
    n_alpha: int
    raters_agree: float | None
    metrics: list[MetricAgreement]


class ExcludedRater(Document):
    """A rater whose votes are not counted."""

    rater: str
    reason: str


class RefusedFile(Document):
    """A file that was not accepted."""

    file: str
    reason: str


class VoteResult(Document):
    """Result of `tp-leaderboard votes`."""

    schema_: Literal["talkingpose.vote-result/1"] = Field("talkingpose.vote-result/1", alias="schema")
    study: str
    title: str
    protocol: str
    protocol_sha256: str
    cases_sha256: str
    n_raters: int
    n_invited: int
    excluded: list[ExcludedRater]
    refused: list[RefusedFile]
    questions: list[QuestionResult]
    method: str


METHOD = (
    "Bradley-Terry with ties after Davidson; 95 % intervals by bootstrap over raters plus clips minus votes, "
    "Student's t; raters who fail an attention check are left out"
)


@dataclass(frozen=True)
class Tally:
    """Votes of one question, one entry for each vote.

    Attributes:
        rater, clip: int64 (votes,), positions in the lists of raters and clips.
        first, second: int64 (votes,), the compared contestants; `first` is the lower position.
        outcome: int64 (votes,): 0 the first was preferred, 1 the second, 2 a tie.
    """

    rater: Integers
    clip: Integers
    first: Integers
    second: Integers
    outcome: Integers


def count_votes(
    files: Sequence[Path], study: Path, *, allow_failed: int = 0, draws: int = _DRAWS, seed: int = 0
) -> VoteResult:
    """Count the votes of a study.

    Args:
        files: documents that raters sent back.
        study: folder of the study, or its key.
        allow_failed: attention checks that a rater may fail.
        draws: number of draws of each bootstrap.
        seed: seed of the draws.

    Raises:
        StudyError: the key cannot be read, or no vote can be counted.
    """
    key = read_key(study)
    accepted, refused = _accepted(files, key)
    excluded = []
    counted: dict[str, Votes] = {}
    for code, votes in accepted.items():
        reason = _failed(votes, key, allow_failed)
        if reason is None:
            counted[code] = votes
        else:
            excluded.append(ExcludedRater(rater=code, reason=reason))
    if not counted:
        lines = [f"{one.file}: {one.reason}" for one in refused]
        lines += [f"rater {one.rater}: {one.reason}" for one in excluded]
        raise StudyError(
            f"no votes to count: {lines[0] if lines else 'no file given'}: give votes of this study"
        )
    return VoteResult(
        schema="talkingpose.vote-result/1",
        study=key.study,
        title=key.title,
        protocol=key.protocol,
        protocol_sha256=key.protocol_sha256,
        cases_sha256=key.cases_sha256,
        n_raters=len(counted),
        n_invited=len(key.raters),
        excluded=excluded,
        refused=refused,
        questions=[
            question_result(name, tally(counted, key, name), key, draws=draws, seed=seed)
            for name in key.questions
        ],
        method=METHOD,
    )


def tally(votes: Mapping[str, Votes], key: StudyKey, question: Question) -> Tally:
    """Collect the votes of one question; attention checks and skipped pairs are no votes."""
    clips = {clip: index for index, clip in enumerate(key.clips)}
    rows = []
    for rater, code in enumerate(sorted(votes)):
        trials = {trial.trial: trial for trial in key.raters[code]}
        for answer in votes[code].answers:
            trial = trials[answer.trial]
            choice = _choice(answer, question)
            if trial.check is None and choice is not None:
                rows.append((rater, clips[trial.clip_id], *_oriented(trial, choice)))
    table = np.array(rows, np.int64).reshape(-1, 5)
    return Tally(*(table[:, column] for column in range(5)))


def question_result(
    question: Question, votes: Tally, key: StudyKey, *, draws: int = _DRAWS, seed: int = 0
) -> QuestionResult:
    """Analyse the votes of one question."""
    number = len(votes.outcome)
    alpha, units = _alpha(votes)
    return QuestionResult(
        question=question,
        n_votes=number,
        ties=float((votes.outcome == 2).mean()) if number else 0.0,
        strengths=_strengths(votes, key, draws, seed),
        pairs=_preferences(votes, key, draws, seed),
        alpha=alpha,
        n_alpha=units,
        raters_agree=_raters_agree(votes),
        metrics=_metric_agreements(votes, key, draws, seed) if number else [],
    )


def strengths_of(votes: Tally, contestants: int, weights: Floats) -> Floats:
    """Fit strengths to weighted votes.

    Args:
        votes: the votes.
        contestants: number of contestants.
        weights: float64 (draws, votes).

    Returns:
        float64 (draws, contestants), with mean 0.
    """
    one, other = pair_indices(contestants)
    position = np.zeros((contestants, contestants), np.int64)
    position[one, other] = np.arange(len(one))
    column = position[votes.first, votes.second] * 3 + votes.outcome
    counts = np.zeros((len(weights), 3 * len(one)))
    for value in np.unique(column):
        counts[:, value] = weights[:, column == value].sum(axis=1)
    return fit_strengths(counts.reshape(len(weights), len(one), 3), contestants)[0]


def _accepted(files: Sequence[Path], key: StudyKey) -> tuple[dict[str, Votes], list[RefusedFile]]:
    """Return valid documents by rater, and files that are refused."""
    by_rater: dict[str, list[tuple[Path, Votes]]] = defaultdict(list)
    refused = []
    for path in dict.fromkeys(files):
        try:
            votes = read_votes(path)
            _check(votes, key)
        except StudyError as error:
            refused.append(RefusedFile(file=str(path), reason=str(error)))
            continue
        by_rater[votes.rater].append((path, votes))
    accepted = {}
    for code, found in sorted(by_rater.items()):
        if any(votes != found[0][1] for _, votes in found[1:]):
            # Nothing tells which of them the rater sent.
            reason = f"{len(found)} different files of rater {code}: keep the right one"
            refused += [RefusedFile(file=str(path), reason=reason) for path, _ in found]
            continue
        accepted[code] = found[0][1]
        refused += [
            RefusedFile(file=str(path), reason=f"the same votes as {found[0][0]}") for path, _ in found[1:]
        ]
    return accepted, refused


def _check(votes: Votes, key: StudyKey) -> None:
    """Refuse votes that this study did not ask for."""
    if votes.study != key.study:
        raise StudyError(f"votes of study {votes.study}, not {key.study}: give its own key")
    if votes.rater not in key.raters:
        raise StudyError(f"rater {votes.rater}: not invited to this study: ask for the file of an own page")
    trials = {trial.trial for trial in key.raters[votes.rater]}
    seen: set[str] = set()
    for answer in votes.answers:
        if answer.trial not in trials:
            raise StudyError(
                f"pair {answer.trial}: not on the page of rater {votes.rater}: the file was changed"
            )
        if answer.trial in seen:
            raise StudyError(f"pair {answer.trial}: answered twice: the file was changed")
        seen.add(answer.trial)
        given = [_choice(answer, name) is not None for name in key.questions]
        if any(given) == answer.skipped or (any(given) and not all(given)):
            raise StudyError(f"pair {answer.trial}: not every question is answered: the file was changed")


def _failed(votes: Votes, key: StudyKey, allowed: int) -> str | None:
    """Return why the votes of a rater are not counted, None if they are."""
    trials = {trial.trial: trial for trial in key.raters[votes.rater]}
    checks = [
        _choice(answer, check.question) == check.intact
        for answer in votes.answers
        if (check := trials[answer.trial].check) is not None and not answer.skipped
    ]
    failed = checks.count(False)
    if failed > allowed:
        return f"failed {failed} of {len(checks)} attention checks"
    if not checks and any(trial.check for trial in trials.values()):
        return "answered no attention check"
    return None


def _choice(answer: Answer, question: Question) -> Choice | None:
    return {"real": answer.real, "motion": answer.motion, "person": answer.person}[question]


def _oriented(trial: Trial, choice: Choice) -> tuple[int, int, int]:
    """Return the lower and the higher position of a pair, and the outcome for this order."""
    first, second = sorted((trial.left, trial.right))
    if choice == "tie":
        return first, second, 2
    preferred = trial.left if choice == "left" else trial.right
    return first, second, int(preferred == second)


def _strengths(votes: Tally, key: StudyKey, draws: int, seed: int) -> list[Strength]:
    number = len(key.contestants)
    if not len(votes.outcome):
        return []
    values = strengths_of(votes, number, np.ones((1, len(votes.outcome))))[0]
    intervals = two_way_intervals(
        lambda weights: strengths_of(votes, number, weights), votes.rater, votes.clip, draws=draws, seed=seed
    )
    found = []
    for index, who in enumerate(key.contestants):
        own = (votes.first == index) | (votes.second == index)
        points = np.where(votes.outcome == 2, 0.5, (votes.outcome == 0) == (votes.first == index))[own]
        found.append(
            Strength(
                name=who.name,
                control=who.control,
                strength=float(values[index]),
                ci95=intervals[index],
                preferred=float(points.mean()) if len(points) else None,
                n_votes=int(own.sum()),
            )
        )
    return sorted(found, key=lambda one: -one.strength)


def _preferences(votes: Tally, key: StudyKey, draws: int, seed: int) -> list[Preference]:
    number = len(key.contestants)
    if not len(votes.outcome):
        return []
    one, other = pair_indices(number)

    def gaps(weights: Floats) -> Floats:
        fitted = strengths_of(votes, number, weights)
        return np.asarray(fitted[:, one] - fitted[:, other])

    values = gaps(np.ones((1, len(votes.outcome))))[0]
    intervals = two_way_intervals(gaps, votes.rater, votes.clip, draws=draws, seed=seed)
    found = []
    for index, (i, j) in enumerate(zip(one, other, strict=True)):
        outcomes = votes.outcome[(votes.first == i) & (votes.second == j)]
        wins = [int((outcomes == value).sum()) for value in range(3)]
        found.append(
            Preference(
                a=key.contestants[i].name,
                b=key.contestants[j].name,
                wins_a=wins[0],
                wins_b=wins[1],
                ties=wins[2],
                difference=float(values[index]),
                ci95=intervals[index],
            )
        )
    return found


def _units(votes: Tally) -> Iterator[Integers]:
    """Yield the outcomes of each pair on each clip."""
    cells = np.stack([votes.first, votes.second, votes.clip], axis=1)
    _, index = np.unique(cells, axis=0, return_inverse=True)
    for unit in range(int(index.max(initial=-1)) + 1):
        yield votes.outcome[index.ravel() == unit]


def _alpha(votes: Tally) -> tuple[float | None, int]:
    """Krippendorff's alpha; every pair counts in both orders, since their order has no meaning."""
    points = np.array([1.0, -1.0, 0.0])
    units = [points[outcomes] for outcomes in _units(votes) if len(outcomes) > 1]
    both = [list(unit) for unit in units] + [list(-unit) for unit in units]
    return krippendorff_alpha(both), len(units)


def _raters_agree(votes: Tally) -> float | None:
    same = pairs = 0
    for outcomes in _units(votes):
        wins = [int((outcomes == value).sum()) for value in (0, 1)]
        same += sum(number * (number - 1) // 2 for number in wins)
        pairs += sum(wins) * (sum(wins) - 1) // 2
    return same / pairs if pairs else None


def _metric_agreements(votes: Tally, key: StudyKey, draws: int, seed: int) -> list[MetricAgreement]:
    names = list(key.metrics)
    if not names:
        return []
    correct = np.stack([_correct(votes, key.metrics[name]) for name in names], axis=1)
    known = ~np.isnan(correct)
    filled = np.where(known, correct, 0.0)

    def accuracy(weights: Floats) -> Floats:
        total = weights @ known.astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.where(total > 0, weights @ filled / total, np.nan))

    def correlation(weights: Floats) -> Floats:
        fitted = strengths_of(votes, len(key.contestants), weights)
        return np.stack([_correlation(fitted, weights, votes, key, name) for name in names], axis=1)

    whole = np.ones((1, len(votes.outcome)))
    shares = accuracy(whole)[0]
    share_ends = two_way_intervals(accuracy, votes.rater, votes.clip, draws=draws, seed=seed, bounds=(0, 1))
    ranked = len(key.contestants) >= _FEWEST_RANKED
    if ranked:
        ranks = correlation(whole)[0]
        rank_ends = two_way_intervals(
            correlation, votes.rater, votes.clip, draws=draws, seed=seed, bounds=(-1, 1)
        )
    else:
        ranks, rank_ends = np.full(len(names), np.nan), [None] * len(names)
    few = f"a rank correlation needs {_FEWEST_RANKED} contestants, there are {len(key.contestants)}"
    return [
        MetricAgreement(
            metric=name,
            accuracy=_number(shares[index]),
            accuracy_ci95=share_ends[index],
            n_votes=int(known[:, index].sum()),
            rank_correlation=_number(ranks[index]),
            rank_correlation_ci95=rank_ends[index],
            reason=None if ranked else few,
        )
        for index, name in enumerate(names)
    ]


def _scores(metric: StudyMetric) -> Floats:
    """Scores of a metric, higher is better: float64 (contestants, clips), NaN without a score."""
    table = np.array([[np.nan if v is None else v for v in row] for row in metric.scores], np.float64)
    return table if metric.direction == "higher" else -table


def _correct(votes: Tally, metric: StudyMetric) -> Floats:
    """1 where the metric prefers what the rater prefers, 0.5 where its scores are equal, NaN for ties."""
    scores = _scores(metric)
    gap = scores[votes.first, votes.clip] - scores[votes.second, votes.clip]
    agrees = np.where(gap == 0, 0.5, ((gap > 0) == (votes.outcome == 0)).astype(np.float64))
    return np.asarray(np.where(np.isnan(gap) | (votes.outcome == 2), np.nan, agrees))


def _correlation(fitted: Floats, weights: Floats, votes: Tally, key: StudyKey, name: str) -> Floats:
    """Rank correlation of strengths with the means of scores over the clips of each draw, (draws,)."""
    scores = _scores(key.metrics[name])
    by_clip = np.zeros((len(weights), scores.shape[1]))
    for clip in np.unique(votes.clip):
        by_clip[:, clip] = weights[:, votes.clip == clip].sum(axis=1)
    complete = ~np.isnan(scores).any(axis=0)
    by_clip[:, ~complete] = 0
    total = by_clip.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = by_clip @ np.where(complete, scores, 0.0).T / total
    return rank_correlation(fitted, means)


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def vote_table(result: VoteResult) -> Iterator[str]:
    """Yield the result as lines for the terminal."""
    from talkingpose.io.text_table import text_table

    yield f"{result.title}: {result.n_raters} of {result.n_invited} raters counted"
    for question in result.questions:
        alpha = "-" if question.alpha is None else f"{question.alpha:.2f}"
        yield ""
        yield (
            f"{question.question}: {question.n_votes} votes, {question.ties:.0%} ties, Krippendorff's alpha "
            f"{alpha} over {question.n_alpha} pairs"
        )
        rows = [["contestant", "strength", "95 % interval", "preferred", "votes"]]
        rows += [
            [one.name, f"{one.strength:.2f}", _ends(one.ci95), _share(one.preferred), str(one.n_votes)]
            for one in question.strengths
        ]
        yield from text_table(rows)
        if question.metrics:
            yield ""
            agree = _share(question.raters_agree)
            yield f"metrics against {question.question} (two raters agree in {agree} of votes):"
            rows = [["metric", "agrees", "95 % interval", "rank correlation", "95 % interval"]]
            ordered = sorted(question.metrics, key=lambda one: -(one.accuracy or 0))
            rows += [
                [
                    one.metric,
                    _share(one.accuracy),
                    _ends(one.accuracy_ci95),
                    "-" if one.rank_correlation is None else f"{one.rank_correlation:.2f}",
                    _ends(one.rank_correlation_ci95),
                ]
                for one in ordered
            ]
            yield from text_table(rows)


def _ends(interval: Interval | None) -> str:
    return "-" if interval is None else f"{interval[0]:.2f} to {interval[1]:.2f}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"
