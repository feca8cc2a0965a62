"""Contract 3: the documents of a run, `run.json` and `cases/CLIP.json`, and their JSON Schema.

A document holds no NaN and no infinity: a value that does not exist is `null` with a `state` and a `reason`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from talkingpose.data.contestant import FramesSeen
from talkingpose.io.atomic import write_text
from talkingpose.io.documents import DocumentError, DocumentLimits, read_json
from talkingpose.io.errors import UserError

RUN_SCHEMA: Literal["talkingpose.run/1"] = "talkingpose.run/1"
CASE_SCHEMA: Literal["talkingpose.case/1"] = "talkingpose.case/1"

Status = Literal["running", "complete", "partial", "failed"]
State = Literal["ok", "partial", "unavailable", "failed"]
Direction = Literal["higher", "lower", "none"]

_T = TypeVar("_T", bound="Document")

# Runs come from strangers. Seeds of cases have 63 bits, every other number is far smaller.
_RUN_LIMITS = DocumentLimits(size=64 << 20, depth=12, items=500_000, text=20_000, number=2.0**64)
_CASE_LIMITS = DocumentLimits(size=4 << 20, depth=8, items=100_000, text=20_000, number=2.0**64)
_MAX_PARAMETERS = 10**15


class ResultError(UserError):
    """A run or a case cannot be read, or contradicts itself."""


def _file_name(name: str) -> str:
    """Accept a clip id, which becomes a file name: it must not lead out of the run's folder."""
    plain = all(c.isalnum() or c in "-_." for c in name)
    if not name or len(name) > 250 or name.startswith(".") or not plain:
        raise ValueError("not a file name of letters, digits, - _ .")
    return name


def _inside(path: str) -> str:
    """Accept a file of the run: FOLDER/NAME, inside the run's folder."""
    folder, slash, name = path.partition("/")
    if not slash:
        raise ValueError("not a path of the form FOLDER/NAME")
    return f"{_file_name(folder)}/{_file_name(name)}"


def _ordered(interval: tuple[float, float]) -> tuple[float, float]:
    if interval[0] > interval[1]:
        raise ValueError("the interval is reversed")
    return interval


ClipId = Annotated[str, AfterValidator(_file_name)]
PathInRun = Annotated[str, AfterValidator(_inside)]
Count = Annotated[int, Field(ge=0, lt=2**31)]
Score = Annotated[float, Field(ge=-1e12, le=1e12)]
Interval = Annotated[tuple[Score, Score], AfterValidator(_ordered)]
Share = Annotated[float, Field(ge=0, le=1)]
Amount = Annotated[float, Field(ge=0, le=1e12)]


class Document(BaseModel):
    """Part of a results file: frozen, without unknown fields, NaN or infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ProtocolRef(Document):
    """The protocol of a run; runs of different `sha256` are never ranked together."""

    id: str
    version: int
    sha256: str


class DatasetRef(Document):
    """The clips of a run. `cases_sha256` covers their ids, lengths and file hashes."""

    location: str
    revision: str | None
    split: str
    cases_sha256: str
    n_cases: int = Field(gt=0, lt=2**31)


class ContestantRef(Document):
    """The contestant that made the videos, with its settings.

    `isolated` is true if it ran in a process of its own, without the dataset and the evaluator; false if it
    ran in the evaluator's process (`--in-process`); null for finished videos and in runs of older versions.
    `driving_frames` says which frames of the driving clip it saw; null in runs of older versions, where
    `saw_driving_frames` stands for all. `backbone` is the pretrained model that it is built on.
    """

    name: str
    revision: str
    args: dict[str, str | int | float | bool | None] = Field(default_factory=dict)
    origin: Literal["generated", "predictions"] = "generated"
    parameters: int = 0
    licence: str = "unknown"
    window: int | None = None
    carry: int | None = None
    streams: bool | None = None
    memory: Literal["constant", "grows"] | None = None
    control: bool = False
    saw_driving_frames: bool = False
    isolated: bool | None = None
    driving_frames: FramesSeen | None = None
    backbone: str | None = None

    @property
    def frames_seen(self) -> FramesSeen:
        """Return which frames of the driving clip it saw, in runs of any version."""
        return self.driving_frames or ("all" if self.saw_driving_frames else "none")


class WeightRef(Document):
    """One weight file that was used."""

    name: str
    sha256: str


class MetricSummary(Document):
    """One number of the run, with everything that is needed to doubt it.

    `value` is the mean over clips of the clip's value unless `aggregation` says otherwise. `ci95` is an
    interval over clusters by the method that `aggregation` names; null below two clusters. `n_infinite`
    counts frames whose score is infinite (identical frames in PSNR); the mean leaves them out. A `value` that
    is null because every frame is identical has state `ok` and says so in `reason`. `frame_weighted` is the
    mean over clips weighted by their numbers of finite scores. `coverage` is the share of the planned frames
    that could be judged, every clip with the same weight.
    """

    value: Score | None
    frame_weighted: Score | None = None
    ci95: Interval | None = None
    version: int
    unit: str
    direction: Direction
    aggregation: str
    n_cases: Count
    n_clusters: Count
    n_frames: Annotated[int, Field(ge=0, le=2**62)]
    n_infinite: Annotated[int, Field(ge=0, le=2**62)] = 0
    coverage: Share | None = None
    state: State
    reason: str | None = None


class Curve(Document):
    """A per-frame metric over time, in bins of one second, averaged over the clips that reach the bin.

    All lists have the length of `time_s` (middle of the bin, seconds). `slope_per_100_frames` is the
    Theil-Sen slope over the bins of each clip, averaged over clips; null below three bins. `low` and `high`
    are null below six clusters.
    """

    time_s: list[Amount]
    mean: list[Score | None]
    low: list[Score | None]
    high: list[Score | None]
    n_clips: list[Count]
    slope_per_100_frames: Score | None
    ci95: Interval | None = None

    @model_validator(mode="after")
    def _same_length(self) -> Self:
        if len({len(values) for values in (self.time_s, self.mean, self.low, self.high, self.n_clips)}) > 1:
            raise ValueError("lists of different lengths")
        return self


class Horizon(Document):
    """The time for which clips stay usable, by one metric relative to the codec control.

    A clip crosses at the first second after which its score, minus that of the control, stays beyond
    `threshold` (below a negative one, above a positive one) for `lasting_s` seconds. `survival[i]` is the
    share of clips, by Kaplan and Meier, that have not crossed by the end of `time_s[i]`; clips that never
    cross are censored at their end. `median_s` is null, with a reason, where fewer than half of them cross.

    `low`, `high` and `median_ci95` are 95 % intervals from a bootstrap over people, null below six of them;
    an end of `median_ci95` that is null lies beyond the end of the clips.

    `threshold` is null where several metrics are judged together: a clip crosses with the first of them.
    """

    threshold: Score | None
    lasting_s: Count
    n_clips: Count
    n_crossed: Count
    median_s: Amount | None
    time_s: list[Amount]
    survival: list[Share]
    low: list[Score] | None = None
    high: list[Score] | None = None
    median_ci95: tuple[Amount | None, Amount | None] | None = None
    reason: str | None = None


class CollapseEvent(Document):
    """A clip whose quality is lost from `second` on, by `metric`, and does not come back."""

    clip_id: ClipId
    second: Count
    metric: str


class Collapse(Document):
    """Clips that collapse, of `n_clips`, by the protocol's rule."""

    n_clips: Count
    events: list[CollapseEvent] = Field(max_length=100_000)


class LongForm(Document):
    """Scores over time, without the effect of content and compression.

    `drift` holds, for every per-frame metric, the curve of its score minus that of the codec control
    (`control`, with its revision) for the same frame; `horizons` those metrics that the protocol has a
    threshold for. Under a protocol without a control, `control` and `revision` are `none`, `drift` is empty,
    and thresholds hold for the scores themselves.

    `usable` is the horizon of all these metrics together, and `collapse` counts the clips that collapse; both
    are null where the protocol has no rule of collapse.
    """

    control: str
    revision: str
    drift: dict[str, Curve]
    horizons: dict[str, Horizon]
    usable: Horizon | None = None
    collapse: Collapse | None = None


class RobustnessCurve(Document):
    """Mean change of a metric over clips, perturbed minus unperturbed poses, against strength.

    All lists have the length of `strength`; `ci95` is an interval over clusters as that of a metric.
    """

    strength: list[Amount]
    change: list[Score | None]
    ci95: list[Interval | None]
    n_clips: list[Count]

    @model_validator(mode="after")
    def _same_length(self) -> Self:
        if len({len(values) for values in (self.strength, self.change, self.ci95, self.n_clips)}) > 1:
            raise ValueError("lists of different lengths")
        return self


class AuditEntry(Document):
    """A remark for readers of the numbers: a clip left out, a change of size, a limit."""

    kind: str
    clip_id: str | None = None
    message: str


class Cost(Document):
    """Time and memory of the run. `seconds_per_frame` covers generation alone; peaks are of the process.

    `seconds_per_minute` is the time to generate one minute of video; null in runs of older versions.
    """

    seconds_per_frame: Amount | None
    seconds_per_minute: Amount | None = None
    generation_s: Amount
    scoring_s: Amount
    peak_rss_mb: Amount
    peak_device_mb: Amount | None = None
    device: str


class Video(Document):
    """A generated video beside the run: file name relative to the run's folder, and its hash."""

    path: PathInRun
    sha256: str


class StoredFeatures(Document):
    """Stored inputs of metrics of all clips together: file relative to the run's folder, and its hash."""

    path: PathInRun
    sha256: str


class CaseScore(Document):
    """One metric on one clip; `value` null with state and reason as in `MetricSummary`.

    `coverage` is the share of the frames that could be judged, null where that is all of them by nature. A
    metric of all clips together has no value here; `n_frames` counts the samples that it stored of the clip.
    """

    value: Score | None
    n_frames: Count
    n_infinite: Count = 0
    coverage: Share | None = None
    state: State
    reason: str | None = None


class CaseCost(Document):
    """Time and memory of one clip, relative to its `num_frames`.

    `seconds_per_frame` covers generation alone, null where finished videos were scored;
    `scoring_s_per_frame` covers decoding, metrics and the video beside the run. Peaks are those of the whole
    process since it began, up to the end of this clip: MiB, each at least that of the clip before it.
    """

    seconds_per_frame: Amount | None
    scoring_s_per_frame: Amount
    peak_rss_mb: Amount
    peak_device_mb: Amount | None = None


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
    generation_s: Amount
    scoring_s: Amount
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
    # Metric -> kind of perturbation -> curve; null where the protocol does not perturb poses.
    robustness: dict[str, dict[str, RobustnessCurve]] | None = None
    audit: list[AuditEntry] = Field(default_factory=list)
    cost: Cost | None = None

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True, serialize_by_alias=True
    )


def write_document(document: Document, path: Path) -> None:
    """Write a document as JSON, atomically."""
    text = json.dumps(document.model_dump(mode="json", by_alias=True), indent=1, allow_nan=False)
    write_text(path, text + "\n")


def read_run(folder: Path) -> Run:
    """Read `run.json` of a run's folder.

    Raises:
        ResultError: there is none, or it is not a run of this schema.
    """
    run = _read(Run, folder / "run.json", _RUN_LIMITS, "give a folder that tp-eval wrote")
    if not 0 <= run.contestant.parameters <= _MAX_PARAMETERS:
        raise ResultError(f"{folder / 'run.json'}: contestant.parameters: out of range: check its contestant")
    return run


def read_case(path: Path) -> CaseResult:
    """Read one `cases/CLIP.json`.

    Raises:
        ResultError: there is none, or it is not a case of this schema.
    """
    return _read(CaseResult, path, _CASE_LIMITS, "run the same tp-eval command again")


def json_schema() -> dict[str, Any]:
    """Build the JSON Schema of `run.json`."""
    schema = Run.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": RUN_SCHEMA, **schema}


def _read(kind: type[_T], path: Path, limits: DocumentLimits, remedy: str) -> _T:
    what = "run" if kind is Run else "case"
    try:
        return kind.model_validate(read_json(path, what, limits))
    except DocumentError as error:
        raise ResultError(f"{error}; {remedy}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])[:200] or "the document"
        raise ResultError(
            f"{path}: not a {what} of this version: {where}: {first['msg'][:200]}: {remedy}"
        ) from error
