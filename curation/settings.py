"""Typed sections of the configuration, as in `default.yaml`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PositiveFloat, model_validator

from talkingpose.data.schema import SPLITS


class Section(BaseModel):
    """Section of the configuration: frozen, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ShotsSettings(Section):
    """Detection of shot boundaries."""

    adaptive_threshold: PositiveFloat
    window_frames: Annotated[int, Field(ge=1)]
    min_content: Annotated[float, Field(ge=0, le=255)]
    width: Annotated[int, Field(ge=32)]
    max_s: PositiveFloat


class SamplingSettings(Section):
    """Rate and size of the sampled frames."""

    per_second: PositiveFloat
    longer_side: Annotated[int, Field(ge=64)]


class KeyframeFacesSettings(Section):
    """Search for faces in key frames, before a source is decoded."""

    max_gap_s: PositiveFloat
    min_key_frames: Annotated[int, Field(ge=1)]
    every_s: Annotated[float, Field(ge=0)]


class TrimSettings(Section):
    """Trimming of a shot to its good spans."""

    min_s: Annotated[float, Field(ge=0)]
    settle_s: Annotated[float, Field(ge=0)]
    max_gap_s: Annotated[float, Field(ge=0)]


class DuplicatesSettings(Section):
    """Thresholds for two clips of different sources that show the same footage."""

    max_difference: Annotated[float, Field(ge=0, le=0.5)]
    min_overlap: Annotated[float, Field(gt=0, le=1)]


class PersonsSettings(Section):
    """Threshold for two clips that show the same person."""

    min_similarity: Annotated[float, Field(gt=0, le=1)]
    # Absent from settings stored by former exports.
    max_distance: PositiveFloat = 0.35


class WorkersSettings(Section):
    """Limits of a worker process."""

    source_limit_s: PositiveFloat
    sources_per_process: Annotated[int, Field(ge=1)]


class PoseSettings(Section):
    """Detector of the keypoints of a clip."""

    backend: Literal["mediapipe", "dwpose"]
    smooth_s: Annotated[float, Field(ge=0, le=2)]


class CropSettings(Section):
    """Crop of a clip."""

    # YAML reads 9:16 without quotes as nine minutes and sixteen seconds.
    mode: Annotated[
        Literal["square", "9:16", "none"], BeforeValidator(lambda mode: "9:16" if mode == 556 else mode)
    ]
    margin: Annotated[float, Field(ge=0, le=1)]


class EncodeSettings(Section):
    """Encoding of clips."""

    crf: Annotated[int, Field(ge=0, le=51)]
    # None: the encoder's own. Not hashed then, so that clips of former versions stay valid.
    gop: Annotated[int, Field(ge=1, le=600)] | None = None
    preset: Literal[
        "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"
    ]
    audio: bool = False


class ExportSettings(Section):
    """Layout of the dataset; changes no clip."""

    splits: dict[str, Annotated[float, Field(ge=0)]]
    max_shard_mb: PositiveFloat
    duplicates: DuplicatesSettings | None = None
    persons: PersonsSettings | None = None

    @model_validator(mode="after")
    def _known_splits(self) -> ExportSettings:
        if not set(self.splits) <= set(SPLITS) or sum(self.splits.values()) <= 0:
            raise ValueError(f"give shares of {', '.join(SPLITS)} that are not all 0")
        return self
