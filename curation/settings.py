"""Sections of the configuration: one typed value each, as in `default.yaml`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PositiveFloat, model_validator

from talkingpose.data.schema import SPLITS


class Section(BaseModel):
    """Section of the configuration: frozen, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ShotsSettings(Section):
    """Where one shot ends and the next begins."""

    adaptive_threshold: PositiveFloat
    window_frames: Annotated[int, Field(ge=1)]
    min_content: Annotated[float, Field(ge=0, le=255)]
    width: Annotated[int, Field(ge=32)]
    max_s: PositiveFloat


class SamplingSettings(Section):
    """Which frames are looked at, and how large."""

    per_second: PositiveFloat
    longer_side: Annotated[int, Field(ge=64)]


class KeyframeFacesSettings(Section):
    """The look at key frames, before a source is decoded."""

    max_gap_s: PositiveFloat
    min_key_frames: Annotated[int, Field(ge=1)]
    every_s: Annotated[float, Field(ge=0)]


class TrimSettings(Section):
    """How a good part of a shot begins and ends."""

    min_s: Annotated[float, Field(ge=0)]
    settle_s: Annotated[float, Field(ge=0)]
    max_gap_s: Annotated[float, Field(ge=0)]


class DuplicatesSettings(Section):
    """When two clips of different sources show the same footage."""

    max_difference: Annotated[float, Field(ge=0, le=0.5)]
    min_overlap: Annotated[float, Field(gt=0, le=1)]


class PersonsSettings(Section):
    """When the faces of two clips are one person's."""

    min_similarity: Annotated[float, Field(gt=0, le=1)]


class WorkersSettings(Section):
    """What a worker process may take."""

    source_limit_s: PositiveFloat
    sources_per_process: Annotated[int, Field(ge=1)]


class PoseSettings(Section):
    """Where the keypoints of a clip come from."""

    backend: Literal["mediapipe", "dwpose"]
    smooth_s: Annotated[float, Field(ge=0, le=2)]


class CropSettings(Section):
    """Which part of the picture is kept."""

    # YAML reads 9:16 without quotes as nine minutes and sixteen seconds.
    mode: Annotated[
        Literal["square", "9:16", "none"], BeforeValidator(lambda mode: "9:16" if mode == 556 else mode)
    ]
    margin: Annotated[float, Field(ge=0, le=1)]


class EncodeSettings(Section):
    """How clips are written."""

    crf: Annotated[int, Field(ge=0, le=51)]
    preset: Literal[
        "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"
    ]


class ExportSettings(Section):
    """How clips are laid out as a dataset; changes no clip."""

    splits: dict[str, Annotated[float, Field(ge=0)]]
    max_shard_mb: PositiveFloat
    duplicates: DuplicatesSettings | None = None
    persons: PersonsSettings | None = None

    @model_validator(mode="after")
    def _known_splits(self) -> ExportSettings:
        if not set(self.splits) <= set(SPLITS) or sum(self.splits.values()) <= 0:
            raise ValueError(f"give shares of {', '.join(SPLITS)} that are not all 0")
        return self
