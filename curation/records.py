"""What is remembered of a source: its verdicts and its clips, as JSON."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


Step = Literal["index", "gate", "scan", "clip"]
STEPS: tuple[Step, ...] = ("index", "gate", "scan", "clip")


class FilterResult(_Record):
    """Result of one filter for one span.

    Attributes:
        filter: its name in the configuration.
        step: of the cascade, where it is asked.
        passed: None where it was not asked, because an earlier step had ended it.
        measured: in `unit`; None where it was not asked, or where there was nothing to be measured.
        threshold, at_least: it passes from the threshold on; up to it where `at_least` is False.
        share, min_share: of the samples, how many reach the threshold, and how many must. Then `measured` is
            the value that so many samples reach. None for filters that do not judge samples.
        unit: of `measured` and `threshold`.
        reason: what a person would say of a span that fails; None otherwise.
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


class ShotVerdict(_Record):
    """What became of one span of frames: a whole shot, or a part of one.

    The spans of a source follow one another without a gap. A shot that holds a good part has several: the
    parts that are kept, and what is left of it.

    Attributes:
        start_frame, end_frame: in the source, end exclusive.
        start_s, end_s: the same in seconds of the source.
        shot_start, shot_end: frames of the shot that it belongs to, from cut to cut.
        verdict: an `error` is undecided: nobody knows whether the span would be kept.
        step: of the cascade, that decided: `index` (the container), `gate` (key frames), `scan` (samples of
            the full decode) or `clip` (every frame).
        reason: that of the first filter that said no, or what went wrong; None for a kept span.
        reasons: of all filters that said no, in their order.
        findings: of every filter that has settings, in their order, asked or not.
        clip_id: of a kept span.
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


class ClipRecord(_Record):
    """A kept clip, all but its pixels and keypoints; names are those of the dataset's columns.

    `face` is the mean of ArcFace's features, float16 in hex, by which `dataset.persons` knows the person
    again; it stays in the folder's state. `person_id` is set where who made the clip knows the person.
    `looks` are perceptual hashes of the source's whole picture, ten a second, in hex: by them
    `curation.dataset.dedup` knows the same footage in another source.
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
    face: str | None = None
    person_id: str | None = None


class SourceRecord(_Record):
    """A source that was worked on to its end.

    `error` says why it could not be judged at all; `quarantined`: it took its process with it, and is not
    tried again unless asked to. `recipe` names the configuration and the tools: with other ones the record is
    out of date. `spans` are the seconds that were asked for, none for all. `seconds`
    is the CPU time spent per step. `identity` says by what the identity filter knew the person: `arcface` or
    `face track`; None where nobody was looked at.
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
        """Everything in this source that stayed undecided."""
        whole = [self.error] if self.error else []
        return whole + [shot.reason or "" for shot in self.shots if shot.verdict == "error"]
