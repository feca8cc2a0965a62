"""The settings of a run: one typed value, made from `default.yaml` and the user's file."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import (
    ValidationError,
    create_model,
    model_validator,
)

from curation.download.settings import DownloadSettings
from curation.filters import FILTERS
from curation.settings import (
    CropSettings,
    EncodeSettings,
    ExportSettings,
    KeyframeFacesSettings,
    PoseSettings,
    SamplingSettings,
    Section,
    ShotsSettings,
    TrimSettings,
    WorkersSettings,
)
from talkingpose.io.errors import UserError

_DEFAULTS = Path(__file__).with_name("default.yaml")
# Fewer samples than this decide nothing about a shot.
_MIN_SAMPLES = 3


class ConfigError(UserError):
    """A configuration file that cannot be read or says what cannot be."""


_FIELDS: dict[str, Any] = {name: (module.Settings | None, ...) for name, module in FILTERS.items()}
Filters: Any = create_model("Filters", __base__=Section, **_FIELDS)


class Config(Section):
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
