"""What is remembered of a source: its verdicts and its clips, as JSON."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Measured(_Record):
    """One filter's answer; see `curation.filters.finding.Finding`."""

    filter: str
    passed: bool
    measured: float
    threshold: float
    unit: str
    reason: str | None


class ShotVerdict(_Record):
    """What became of one shot.

    `reason` is that of the first filter that said no, or what went wrong. An `error` is undecided: nobody
    knows whether the shot would be kept.
    """

    start_frame: int
    end_frame: int
    start_s: float
    end_s: float
    verdict: Literal["keep", "reject", "error"]
    reason: str | None
    findings: tuple[Measured, ...]
    clip_id: str | None


class ClipRecord(_Record):
    """A kept clip, all but its pixels and keypoints; names are those of the dataset's columns."""

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


class SourceRecord(_Record):
    """A source that was worked on to its end.

    `error` says why it could not be judged at all. `recipe` names the configuration and the tools: with
    other ones the record is out of date. `spans` are the seconds that were asked for, none for all. `seconds`
    is the time spent per step.
    """

    source: str
    source_id: str
    name: str
    source_sha256: str | None
    recipe: str
    config_hash: str
    tool_versions: dict[str, str]
    error: str | None
    person_id: str | None = None
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
    cuts: tuple[int, ...] = ()
    shots: tuple[ShotVerdict, ...] = ()
    clips: tuple[ClipRecord, ...] = ()
    seconds: dict[str, float] = {}

    @property
    def errors(self) -> list[str]:
        """Everything in this source that stayed undecided."""
        whole = [self.error] if self.error else []
        return whole + [shot.reason or "" for shot in self.shots if shot.verdict == "error"]
