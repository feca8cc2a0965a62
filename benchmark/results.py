"""Contract 3: the documents of a run. `run.json`, `cases/CLIP.json`, and the JSON Schema of both.

No NaN and no infinity stands in them: a value that does not exist is `null` with a `state` and a `reason`.
The leaderboard imports this module and nothing else of the project.
"""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from talkingpose.io.errors import UserError

RUN_SCHEMA: Literal["talkingpose.run/1"] = "talkingpose.run/1"
CASE_SCHEMA: Literal["talkingpose.case/1"] = "talkingpose.case/1"

Status = Literal["running", "complete", "partial", "failed"]
State = Literal["ok", "partial", "unavailable", "failed"]
Direction = Literal["higher", "lower", "none"]

_T = TypeVar("_T", bound="Document")


class ResultError(UserError):
    """A run or a case cannot be read or is not what it says."""


def _file_name(name: str) -> str:
    """A clip id, which becomes a file name: it must not lead out of the run's folder."""
    plain = all(c.isalnum() or c in "-_." for c in name)
    if not name or len(name) > 250 or name.startswith(".") or not plain:
        raise ValueError("is no file name of letters, digits, - _ .")
    return name


def _inside(path: str) -> str:
    """A file of the run: FOLDER/NAME, inside the run's folder."""
    folder, slash, name = path.partition("/")
    if not slash:
        raise ValueError("is no path of the form FOLDER/NAME")
    return f"{_file_name(folder)}/{_file_name(name)}"


ClipId = Annotated[str, AfterValidator(_file_name)]
PathInRun = Annotated[str, AfterValidator(_inside)]
Count = Annotated[int, Field(ge=0, lt=2**31)]


class Document(BaseModel):
    """A part of a results file: nothing unknown in it, frozen, no NaN, no infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ProtocolRef(Document):
    """Which rules were used; runs of different `sha256` are never ranked together."""

    id: str
    version: int
    sha256: str


class DatasetRef(Document):
    """Which clips were used. `cases_sha256` covers ids, lengths and file hashes of the clips of this run."""

    location: str
    revision: str | None
    split: str
    cases_sha256: str
    n_cases: int = Field(gt=0, lt=2**31)


class ContestantRef(Document):
    """Who made the videos, and with what settings."""

    name: str
    revision: str
    args: dict[str, str | int | float | bool | None] = Field(default_factory=dict)
    origin: Literal["generated", "predictions"] = "generated"
    parameters: int = 0
    licence: str = "unknown"
    window: int | None = None
    control: bool = False
    saw_driving_frames: bool = False


class WeightRef(Document):
    """One weight file that was used."""

    name: str
    sha256: str


class MetricSummary(Document):
    """One number of the run, with everything that is needed to doubt it.

    `value` is the mean over clips of the clip's value unless `aggregation` says otherwise; `ci95` an interval
    over clusters (`aggregation` says by which method), null below two of them. `n_infinite` counts frames
    whose score is infinite (identical frames in PSNR): they are left out of the mean, and counted here. A
    `value` that is null because every frame is identical has state `ok` and says so in `reason`.
    `frame_weighted` is the mean over clips weighted by their numbers of finite scores. `coverage` is the
    share of the planned frames that could be judged, every clip with the same weight.
    """

    value: float | None
    frame_weighted: float | None = None
    ci95: tuple[float, float] | None = None
    version: int
    unit: str
    direction: Direction
    aggregation: str
    n_cases: int
    n_clusters: int
    n_frames: int
    n_infinite: int = 0
    coverage: float | None = None
    state: State
    reason: str | None = None


class Curve(Document):
    """A per-frame metric over time, in bins of one second, averaged over the clips that reach the bin.

    All lists have the length of `time_s` (middle of the bin, seconds). `slope_per_100_frames` is the
    Theil-Sen slope over the bins of each clip, averaged over clips; null below three bins. `low` and `high`
    are null below six clusters.
    """

    time_s: list[float]
    mean: list[float | None]
    low: list[float | None]
    high: list[float | None]
    n_clips: list[int]
    slope_per_100_frames: float | None
    ci95: tuple[float, float] | None = None


class Horizon(Document):
    """For how long the clips stay usable, by one metric next to the codec control.

    A clip crosses at the first second after which its score, minus that of the control, stays beyond
    `threshold` (below a negative one, above a positive one) for `lasting_s` seconds. `survival[i]` is the
    share of clips, by Kaplan and Meier, that have not crossed by the end of `time_s[i]`; clips that never do
    are censored where they end. `median_s` is null, with a reason, where more than half of them go on.

    `low`, `high` and `median_ci95` are 95 % intervals from a bootstrap over people, null below six of them;
    an end of `median_ci95` that is null lies beyond the end of the clips.
    """

    threshold: float
    lasting_s: int
    n_clips: int
    n_crossed: int
    median_s: float | None
    time_s: list[float]
    survival: list[float]
    low: list[float] | None = None
    high: list[float] | None = None
    median_ci95: tuple[float | None, float | None] | None = None
    reason: str | None = None


class LongForm(Document):
    """What time does to the scores, content and compression taken away.

    `drift` holds, for every per-frame metric, the curve of its score minus that of the codec control
    (`control`, with its revision) for the same frame; `horizons` those metrics that the protocol has a
    threshold for.
    """

    control: str
    revision: str
    drift: dict[str, Curve]
    horizons: dict[str, Horizon]


class AuditEntry(Document):
    """Something a reader of the numbers must know: a clip left out, a change of size, a limit."""

    kind: str
    clip_id: str | None = None
    message: str


class Cost(Document):
    """What it took. `seconds_per_frame` covers generation alone; peaks are those of the whole process."""

    seconds_per_frame: float | None
    generation_s: float
    scoring_s: float
    peak_rss_mb: float
    peak_device_mb: float | None = None
    device: str


class Video(Document):
    """A generated video beside the run: file name relative to the run's folder, and its hash."""

    path: PathInRun
    sha256: str


class StoredFeatures(Document):
    """What metrics of all clips together are computed from: file relative to the run's folder, and hash."""

    path: PathInRun
    sha256: str


class CaseScore(Document):
    """One metric on one clip; `value` null with state and reason as in `MetricSummary`.

    `coverage` is the share of the frames that could be judged, null where that is all of them by nature. A
    metric of all clips together has no value here; `n_frames` counts the samples that it stored of the clip.
    """

    value: Annotated[float, Field(ge=-1e12, le=1e12)] | None
    n_frames: Count
    n_infinite: Count = 0
    coverage: float | None = None
    state: State
    reason: str | None = None


class CaseCost(Document):
    """What one clip took, to be read against its `num_frames`.

    `seconds_per_frame` covers generation alone, null where finished videos were scored;
    `scoring_s_per_frame` decoding, metrics and the video beside the run. Peaks are those of the whole
    process since it began, up to the end of this clip: MiB, each at least that of the clip before it.
    """

    seconds_per_frame: float | None
    scoring_s_per_frame: float
    peak_rss_mb: float
    peak_device_mb: float | None = None


class CaseResult(Document):
    """`cases/CLIP.json`: one clip, complete. `key` hashes everything its numbers depend on.

    `frames_sha256` is of the frames as generated, one after another; `lossless` the video that keeps them.
    """

    # A field named `schema` would hide a method of pydantic's base class.
    schema_: Literal["talkingpose.case/1"] = Field(CASE_SCHEMA, alias="schema")
    key: str
    clip_id: ClipId
    split: str
    cluster: str
    seed: int
    num_frames: int = Field(gt=0, lt=2**31)
    width: int = Field(gt=0, lt=2**31)
    height: int = Field(gt=0, lt=2**31)
    fps: str = Field(pattern=r"^[1-9][0-9]{0,9}(/[1-9][0-9]{0,9})?$")
    metrics: dict[str, CaseScore]
    video: Video | None = None
    features: StoredFeatures | None = None
    lossless: Video | None = None
    frames_sha256: str
    audit: list[AuditEntry] = Field(default_factory=list)
    generation_s: float
    scoring_s: float
    # Absent in cases of older versions.
    cost: CaseCost | None = None

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True, serialize_by_alias=True
    )


class Run(Document):
    """`run.json`: the whole run. `comparable` is false where a limit makes it unfit for a ranking."""

    schema_: Literal["talkingpose.run/1"] = Field(RUN_SCHEMA, alias="schema")
    status: Status
    protocol: ProtocolRef
    dataset: DatasetRef
    contestant: ContestantRef
    seed: int
    limit: int | None = None
    max_frames: int | None = None
    comparable: bool
    command: str
    finished_at: str | None = None
    env: dict[str, Any]
    weights: list[WeightRef] = Field(default_factory=list)
    cases: list[ClipId] = Field(default_factory=list)
    metrics: dict[str, MetricSummary] = Field(default_factory=dict)
    drift: dict[str, Curve] = Field(default_factory=dict)
    long_form: LongForm | None = None
    audit: list[AuditEntry] = Field(default_factory=list)
    cost: Cost | None = None

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True, serialize_by_alias=True
    )


def write_document(document: Document, path: Path) -> None:
    """Write a document as JSON; the file is there whole or not at all."""
    text = json.dumps(document.model_dump(mode="json", by_alias=True), indent=1, allow_nan=False)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def read_run(folder: Path) -> Run:
    """Read `run.json` of a run's folder.

    Raises:
        ResultError: there is none, or it is no run of this schema.
    """
    return _read(Run, folder / "run.json", "give a folder that tp-eval wrote")


def read_case(path: Path) -> CaseResult:
    """Read one `cases/CLIP.json`.

    Raises:
        ResultError: there is none, or it is no case of this schema.
    """
    return _read(CaseResult, path, "run the same tp-eval command again")


def json_schema() -> dict[str, Any]:
    """The JSON Schema of `run.json`."""
    schema = Run.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": RUN_SCHEMA, **schema}


def _read(kind: type[_T], path: Path, remedy: str) -> _T:
    try:
        text = path.read_bytes()
        # Python's reader, too: pydantic's lets NaN and infinity pass where any value may stand.
        json.loads(text, parse_constant=_no_number, parse_float=_finite)
        return kind.model_validate_json(text)
    except FileNotFoundError as error:
        raise ResultError(f"{path}: no such file: {remedy}") from error
    except OSError as error:
        raise ResultError(f"{path}: cannot be read ({error.strerror}): {remedy}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the document"
        raise ResultError(
            f"{path}: not a {kind.__name__.lower()} of this version: {where}: {first['msg']}: {remedy}"
        ) from error
    except RecursionError as error:
        raise ResultError(f"{path}: no sound JSON (nested too deep): {remedy}") from error
    except ValueError as error:
        raise ResultError(f"{path}: no sound JSON ({error}): {remedy}") from error


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is no number of double precision")
    return value
