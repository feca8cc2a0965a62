"""The settings of a run: one typed value, made from `default.yaml` and the user's file."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveFloat,
    ValidationError,
    create_model,
    model_validator,
)

from curation.download.settings import DownloadSettings
from curation.filters import FILTERS
from talkingpose.data.dataset import SPLITS
from talkingpose.io.errors import UserError

_DEFAULTS = Path(__file__).with_name("default.yaml")
# Fewer samples than this decide nothing about a shot.
_MIN_SAMPLES = 3


class ConfigError(UserError):
    """A configuration file that cannot be read or says what cannot be."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ShotsSettings(_Section):
    """Where one shot ends and the next begins."""

    adaptive_threshold: PositiveFloat
    window_frames: Annotated[int, Field(ge=1)]
    min_content: Annotated[float, Field(ge=0, le=255)]
    width: Annotated[int, Field(ge=32)]
    max_s: PositiveFloat


class SamplingSettings(_Section):
    """Which frames are looked at, and how large."""

    per_second: PositiveFloat
    longer_side: Annotated[int, Field(ge=64)]


class KeyframeFacesSettings(_Section):
    """The look at key frames, before a source is decoded."""

    max_gap_s: PositiveFloat
    min_key_frames: Annotated[int, Field(ge=1)]
    every_s: Annotated[float, Field(ge=0)]


class TrimSettings(_Section):
    """How a good part of a shot begins and ends."""

    min_s: Annotated[float, Field(ge=0)]
    settle_s: Annotated[float, Field(ge=0)]
    max_gap_s: Annotated[float, Field(ge=0)]


class DuplicatesSettings(_Section):
    """When two clips of different sources show the same footage."""

    max_difference: Annotated[float, Field(ge=0, le=0.5)]
    min_overlap: Annotated[float, Field(gt=0, le=1)]


class PersonsSettings(_Section):
    """When the faces of two clips are one person's."""

    min_similarity: Annotated[float, Field(gt=0, le=1)]


class WorkersSettings(_Section):
    """What a worker process may take."""

    source_limit_s: PositiveFloat
    sources_per_process: Annotated[int, Field(ge=1)]


class PoseSettings(_Section):
    """Where the keypoints of a clip come from."""

    backend: Literal["mediapipe", "dwpose"]
    smooth_s: Annotated[float, Field(ge=0, le=2)]


class CropSettings(_Section):
    """Which part of the picture is kept."""

    # YAML reads 9:16 without quotes as nine minutes and sixteen seconds.
    mode: Annotated[
        Literal["square", "9:16", "none"], BeforeValidator(lambda mode: "9:16" if mode == 556 else mode)
    ]
    margin: Annotated[float, Field(ge=0, le=1)]


class EncodeSettings(_Section):
    """How clips are written."""

    crf: Annotated[int, Field(ge=0, le=51)]
    preset: Literal[
        "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"
    ]


class ExportSettings(_Section):
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


_FIELDS: dict[str, Any] = {name: (module.Settings | None, ...) for name, module in FILTERS.items()}
Filters: Any = create_model("Filters", __base__=_Section, **_FIELDS)


class Config(_Section):
    """Everything that decides what a run makes."""

    shots: ShotsSettings
    gate: KeyframeFacesSettings | None
    sampling: SamplingSettings
    filters: Filters
    rescue: TrimSettings | None
    pose: PoseSettings
    crop: CropSettings
    encode: EncodeSettings
    export: ExportSettings
    workers: WorkersSettings
    acquisition: DownloadSettings

    @model_validator(mode="after")
    def _enough_samples(self) -> Config:
        length = self.filters.length
        if length is None or length.min_s * self.sampling.per_second < _MIN_SAMPLES:
            raise ValueError(
                f"the shortest clip needs at least {_MIN_SAMPLES} samples: raise sampling.per_second or "
                "filters.length.min_s"
            )
        return self

    @property
    def filter_settings(self) -> dict[str, Any]:
        """Settings by name of the filter, None where one is turned off, in the order of `FILTERS`."""
        return {name: getattr(self.filters, name) for name in FILTERS}

    @property
    def hash(self) -> str:
        """SHA-256, in hex, of all settings that change a clip: not how it is fetched or laid out."""
        settings = self.model_dump(mode="json", exclude={"export", "workers", "acquisition"})
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def load_config(path: Path | None = None, *, pose: str | None = None) -> Config:
    """The default settings with those of a YAML file over them.

    Args:
        path: the file.
        pose: a backend, over that of the file.

    Raises:
        ConfigError: no such file, no YAML, an unknown setting or a value out of range.
    """
    if pose is not None:
        return _with_backend(load_config(path), pose)
    settings = _defaults()
    if path is None:
        return Config.model_validate(settings)
    try:
        own = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise ConfigError(f"config {path}: {reason}: give a YAML file") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"config {path}: no YAML: {error}") from error
    own = {} if own is None else own
    if not isinstance(own, dict):
        raise ConfigError(f"config {path}: it holds no settings: write them as in curation/default.yaml")
    try:
        return Config.model_validate(_over(settings, own))
    except ValidationError as error:
        raise ConfigError(f"config {path}: {_first(error)}") from error


def _with_backend(config: Config, backend: str) -> Config:
    try:
        pose = PoseSettings.model_validate(config.pose.model_dump() | {"backend": backend})
    except ValidationError:
        raise ConfigError(f"--pose {backend}: there is no such backend: choose mediapipe or dwpose") from None
    return config.model_copy(update={"pose": pose})


@cache
def _defaults() -> dict[str, Any]:
    settings: dict[str, Any] = yaml.safe_load(_DEFAULTS.read_text(encoding="utf-8"))
    return settings


def _over(settings: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    merged = dict(settings)
    for name, value in own.items():
        below = settings.get(name)
        merged[name] = value
        # Shares of splits stand or fall together; a file that names one names all.
        if isinstance(below, dict) and isinstance(value, dict) and name != "splits":
            merged[name] = _over(below, value)
    return merged


def _first(error: ValidationError) -> str:
    problem = error.errors()[0]
    where = ".".join(str(part) for part in problem["loc"])
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        message = "there is no such setting: see curation/default.yaml"
    return f"{where}: {message}" if where else message
