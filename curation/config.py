"""Configuration of a run: one typed value from `default.yaml` and a YAML file of differences."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError, create_model, model_validator

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
from talkingpose.io.documents import read_yaml
from talkingpose.io.errors import UserError

_DEFAULTS = Path(__file__).with_name("default.yaml")
# Fewer samples than this say nothing reliable about a shot.
_MIN_SAMPLES = 3
# Sections that were renamed. The hash uses the former names: every record stores the hash, and a dataset made
# under the former names must resume with nothing to do.
_FORMER_NAMES = {"keyframe_faces": "gate", "trim": "rescue", "download": "acquisition"}
# Sections that change no clip, by their current names.
_NOT_HASHED = {"export", "workers", "download"}


class ConfigError(UserError):
    """A configuration file that cannot be read, or an invalid setting in it."""


_FIELDS: dict[str, Any] = {name: (module.Settings | None, ...) for name, module in FILTERS.items()}
Filters: Any = create_model("Filters", __base__=Section, **_FIELDS)


class Config(Section):
    """Settings that decide the result of a run."""

    shots: ShotsSettings
    keyframe_faces: KeyframeFacesSettings | None
    sampling: SamplingSettings
    filters: Filters
    trim: TrimSettings | None
    pose: PoseSettings
    crop: CropSettings
    encode: EncodeSettings
    export: ExportSettings
    workers: WorkersSettings
    download: DownloadSettings

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
        """Settings by filter name in the order of `FILTERS`; None for a filter that is turned off."""
        return {name: getattr(self.filters, name) for name in FILTERS}

    @property
    def hash(self) -> str:
        """SHA-256, in hex, of the settings that change a clip; download and layout are left out."""
        settings = self.model_dump(mode="json", exclude=_NOT_HASHED)
        stored = {_FORMER_NAMES.get(name, name): value for name, value in settings.items()}
        return hashlib.sha256(json.dumps(stored, sort_keys=True).encode()).hexdigest()


def load_config(path: Path | None = None, *, pose: str | None = None) -> Config:
    """Load the default settings, overridden by those of a YAML file.

    Args:
        path: YAML file with the settings that differ from `default.yaml`.
        pose: pose backend that overrides the one of the file.

    Raises:
        DocumentError: the file is missing, not a regular file, too large, too deep or not YAML.
        ConfigError: an unknown setting or a value out of range.
    """
    if pose is not None:
        return _with_backend(load_config(path), pose)
    settings = _defaults()
    if path is None:
        return Config.model_validate(settings)
    own = read_yaml(path, "config")
    own = {} if own is None else own
    if not isinstance(own, dict):
        raise ConfigError(f"config {path}: no settings: write them as in curation/default.yaml")
    for name, former in _FORMER_NAMES.items():
        if former in own:
            raise ConfigError(f"config {path}: {former}: this section is now named {name}: rename it")
    try:
        return Config.model_validate(_merge(settings, own))
    except ValidationError as error:
        raise ConfigError(f"config {path}: {_first_problem(error)}") from error


def _with_backend(config: Config, backend: str) -> Config:
    try:
        pose = PoseSettings.model_validate(config.pose.model_dump() | {"backend": backend})
    except ValidationError:
        raise ConfigError(f"--pose {backend}: no such backend: choose mediapipe or dwpose") from None
    return config.model_copy(update={"pose": pose})


@cache
def _defaults() -> dict[str, Any]:
    settings: dict[str, Any] = yaml.safe_load(_DEFAULTS.read_text(encoding="utf-8"))
    return settings


def _merge(settings: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    merged = dict(settings)
    for name, value in own.items():
        below = settings.get(name)
        merged[name] = value
        # Split shares are one value: a file that names one split names all.
        if isinstance(below, dict) and isinstance(value, dict) and name != "splits":
            merged[name] = _merge(below, value)
    return merged


def _first_problem(error: ValidationError) -> str:
    problem = error.errors()[0]
    where = ".".join(str(part) for part in problem["loc"])[:200]
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        message = "no such setting: see curation/default.yaml"
    return f"{where}: {message}" if where else message
