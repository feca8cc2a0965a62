"""Record of a finished source: verdicts and clips, stored as JSON."""

from __future__ import annotations

import base64
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

_NO_VALUE = 255
# Fields of a verdict for the report alone; `verdicts.jsonl` and `explain --json` leave them out.
SHOWN_ONLY = {"curve_times", "curves"}


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


Step = Literal["index", "gate", "scan", "clip"]
STEPS: tuple[Step, ...] = ("index", "gate", "scan", "clip")


class Evidence(_Record):
    """Time, and place where there is one, of what a filter rejects.

    Attributes:
        time_s: Seconds of the source.
        box: Normalised xyxy; None for the whole picture.
        what: Short description.
    """

    time_s: float
    what: str
    box: tuple[float, float, float, float] | None = None


class FilterResult(_Record):
    """Result of one filter for one span.

    Attributes:
        filter: name of the filter in the configuration.
        step: step of the cascade in which it runs.
        passed: None if it did not run because an earlier step rejected the span.
        measured: value in `unit`; None if it did not run or there was nothing to measure.
        threshold, at_least: values from the threshold upwards pass; up to it if `at_least` is False.
        share, min_share: share of the samples that reach the threshold, and the share that must. `measured`
            is then the value that `min_share` of the samples reach. None for filters that do not use samples.
        unit: unit of `measured` and `threshold`.
        evidence: times and places of what a filter that failed rejects; at most eight.
        reason: readable reason for a span that fails; None otherwise.
    """

    filter: str
    step: Step
    passed: bool | None
    measured: float | None
    threshold: float
    at_least: bool
    share: float | None = None
    min_share: float | None = None
    unit: str
    reason: str | None
    evidence: tuple[Evidence, ...] = ()

    @model_serializer(mode="wrap")
    def _without_empty_evidence(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Records from before evidence was stored are written as they were."""
        stored: dict[str, Any] = handler(self)
        return stored if self.evidence else {k: v for k, v in stored.items() if k != "evidence"}


class Curve(_Record):
    """Measured values over time in 255 levels: enough for a plot, a byte per sample.

    Attributes:
        low, high: values of levels 0 and 254.
        levels: base64 of one byte per sample; 255 where nothing could be measured.
    """

    low: float
    high: float
    levels: str

    @classmethod
    def of(cls, values: npt.NDArray[np.float64]) -> Curve:
        """Quantise values, float64 (N,), NaN where nothing could be measured."""
        known = np.isfinite(values)
        low, high = (float(edge(values[known])) if known.any() else 0.0 for edge in (np.min, np.max))
        levels = np.full(len(values), _NO_VALUE, np.uint8)
        levels[known] = np.round((values[known] - low) / ((high - low) or 1.0) * (_NO_VALUE - 1))
        return cls(low=low, high=high, levels=base64.b64encode(levels.tobytes()).decode())


class ShotVerdict(_Record):
    """Verdict for one span of frames: a whole shot or a part of one.

    The spans of a source are contiguous. A shot that was trimmed has several: the kept parts and the rest.

    Attributes:
        start_frame, end_frame: frames of the source, end exclusive.
        start_s, end_s: the same in seconds.
        shot_start, shot_end: frames of the shot, from cut to cut.
        verdict: `error` if the span could not be judged.
        step: step of the cascade that decided: `index` (container), `gate` (key frames), `scan` (samples of
            the full decode) or `clip` (every frame).
        reason: reason of the first filter that failed, or the error; None for a kept span.
        reasons: reasons of all filters that failed, in their order.
        findings: results of every filter that is on, in their order.
        clip_id: id of the clip of a kept span.
        appearance: properties of a span with a face, by which `report` compares yield; see `report.groups`.
        curve_times: seconds of the samples of `curves`.
        curves: values of the filters that measure every sample, for the report.
    """

    start_frame: int
    end_frame: int
    start_s: float
    end_s: float
    shot_start: int
    shot_end: int
    verdict: Literal["keep", "reject", "error"]
    step: Step
    reason: str | None
    reasons: tuple[str, ...] = ()
    findings: tuple[FilterResult, ...]
    clip_id: str | None
    appearance: dict[str, float] = {}
    curve_times: tuple[float, ...] = ()
    curves: dict[str, Curve] = {}

    @model_serializer(mode="wrap")
    def _without_empty_fields(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Records from before these fields were stored are written as they were."""
        stored: dict[str, Any] = handler(self)
        empty = {name for name in ("appearance", "curve_times", "curves") if not stored.get(name)}
        return {name: value for name, value in stored.items() if name not in empty}


class ClipRecord(_Record):
    """A kept clip without its pixels and keypoints; names are those of the dataset's columns.

    `face` is the mean of ArcFace's features, float16 in hex, by which `curation.dataset.persons` groups
    clips; it is not exported. `person_id` is set if the maker of the clip knows the person. `looks` are
    perceptual hashes of the whole picture of the source, ten a second, in hex, by which
    `curation.dataset.dedup` finds the same footage in another source; `person_looks` are those of the square
    around the face, which a crop of the picture does not change. `has_audio` is None where the run did not
    ask for audio.
    """

    clip_id: str
    start_pts: int
    end_pts: int
    time_base_num: int
    time_base_den: int
    start_s: float
    end_s: float
    fps: float
    width: int
    height: int
    num_frames: int
    crop_xyxy: tuple[float, float, float, float]
    scores: dict[str, float]
    sha256: str
    phash: str
    num_bytes: int
    looks: tuple[str, ...] = ()
    person_looks: tuple[str, ...] = ()
    face: str | None = None
    person_id: str | None = None
    has_audio: bool | None = None

    @model_serializer(mode="wrap")
    def _without_unknown_audio(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Records of runs without audio are written as before."""
        stored: dict[str, Any] = handler(self)
        return {k: v for k, v in stored.items() if k != "has_audio" or v is not None}


class SourceRecord(_Record):
    """A finished source.

    Attributes:
        recipe: identifier of configuration and tools; the record is outdated under another one.
        error: reason why the source could not be processed at all.
        quarantined: the source crashed its process or exceeded its time limit; it is not retried by default.
        spans: requested seconds; empty for the whole source.
        identity: method of the identity filter: `arcface`, `dlib` or `face track`; None without samples.
        seconds: CPU time per step.
    """

    source: str
    source_id: str
    name: str
    source_sha256: str | None
    recipe: str
    config_hash: str
    tool_versions: dict[str, str]
    error: str | None
    quarantined: bool = False
    url: str | None = None
    license: str | None = None
    uploader_id: str | None = None
    fetched_at: str | None = None
    rights_evidence: str | None = None
    spans: tuple[tuple[float, float], ...] = ()
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    num_frames: int | None = None
    lost_frames: int | None = None
    variable_frame_rate: bool | None = None
    container: str | None = None
    codec: str | None = None
    key_frames: int | None = None
    identity: str | None = None
    cuts: tuple[int, ...] = ()
    shots: tuple[ShotVerdict, ...] = ()
    clips: tuple[ClipRecord, ...] = ()
    seconds: dict[str, float] = {}

    @property
    def errors(self) -> list[str]:
        """Errors of the source and of its spans."""
        whole = [self.error] if self.error else []
        return whole + [shot.reason or "" for shot in self.shots if shot.verdict == "error"]
