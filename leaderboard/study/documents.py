"""Documents of a study: its key, which stays with the organizer, and the votes of a rater."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import Field, ValidationError

from benchmark.results import Direction, Document
from talkingpose.io.documents import DocumentError, DocumentLimits, read_json
from talkingpose.io.errors import UserError

Question = Literal["real", "motion", "person"]
Choice = Literal["left", "right", "tie"]
Fault = Literal["frozen", "damaged"]

QUESTIONS: dict[Question, str] = {
    "real": "Which looks more like a real video?",
    "motion": "Which follows the motion of the real video better?",
    "person": "Which keeps the person's appearance better?",
}
KEY = "key.json"
PAGES = "pages"

_KEY_LIMITS = DocumentLimits(size=256 << 20, depth=8, items=5_000_000, text=20_000, number=1e18)
_VOTES_LIMITS = DocumentLimits(size=4 << 20, depth=5, items=100_000, text=2_000, number=1e9)

_D = TypeVar("_D", bound=Document)
Token = Annotated[str, Field(pattern=r"^[0-9A-Za-z]{4,32}$")]


class StudyError(UserError):
    """A study that cannot be built, or votes that cannot be counted."""


class Attention(Document):
    """Attention check of a trial: the side of the intact video, and the question that decides."""

    fault: Fault
    intact: Literal["left", "right"]
    question: Question


class Trial(Document):
    """One pair as a rater sees it. `left` and `right` are positions in the list of contestants.

    Both are 0 in an attention check, which is not counted as a vote.
    """

    trial: Token
    clip_id: str
    left: int = Field(ge=0)
    right: int = Field(ge=0)
    check: Attention | None = None


class StudyContestant(Document):
    """A contestant of the study, named as its run names it."""

    name: str
    revision: str
    control: bool


class StudyMetric(Document):
    """Scores of a metric: one row for each contestant, one column for each clip; null without a score."""

    direction: Direction
    scores: list[list[float | None]]


class StudyKey(Document):
    """`key.json`: everything that the pages hide. `raters` maps codes to trials in their order."""

    schema_: Literal["talkingpose.study/1"] = Field("talkingpose.study/1", alias="schema")
    study: Token
    title: str
    protocol: str
    protocol_sha256: str
    cases_sha256: str
    seed: int
    questions: list[Question]
    contestants: list[StudyContestant]
    clips: list[str]
    metrics: dict[str, StudyMetric]
    raters: dict[Token, list[Trial]]


class Answer(Document):
    """Answers to one pair; none where it was skipped because a video did not play."""

    trial: Token
    skipped: bool = False
    real: Choice | None = None
    motion: Choice | None = None
    person: Choice | None = None
    seconds: float = Field(ge=0, le=1e7)


class Votes(Document):
    """Document that a rater sends back. It holds no name, no date and no address."""

    schema_: Literal["talkingpose.votes/1"] = Field("talkingpose.votes/1", alias="schema")
    study: Token
    rater: Token
    answers: list[Answer] = Field(max_length=10_000)


def read_key(folder: Path) -> StudyKey:
    """Read the key of a study.

    Raises:
        StudyError: there is none, or it is damaged.
    """
    path = folder / KEY if folder.is_dir() else folder
    return _read(StudyKey, path, "study", _KEY_LIMITS, "give the folder that tp-leaderboard study wrote")


def read_votes(path: Path) -> Votes:
    """Read the votes of a rater; the file comes from a stranger.

    Raises:
        StudyError: it is no document of votes.
    """
    return _read(Votes, path, "votes", _VOTES_LIMITS, "ask the rater for the file as it was downloaded")


def _read(kind: type[_D], path: Path, what: str, limits: DocumentLimits, remedy: str) -> _D:
    try:
        return kind.model_validate(read_json(path, what, limits))
    except DocumentError as error:
        raise StudyError(f"{error}; {remedy}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])[:120] or "the document"
        raise StudyError(f"{what} {path}: {where}: {first['msg'][:200]}: {remedy}") from error
