"""Configuration of a run: one typed value from `default.yaml` and a YAML file of differences."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import SerializeAsAny, ValidationError, model_validator

from curation import filters
from curation.download.settings import DownloadSettings
from curation.filters import FilterSettings
from curation.filters.length import LengthSettings
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


class Config(Section):
    """Settings that decide the result of a run.

    `filters` holds settings by filter name, None for a filter that is off, in the order in which they run.
    """

    shots: ShotsSettings
    keyframe_faces: KeyframeFacesSettings | None
    sampling: SamplingSettings
    filters: dict[str, SerializeAsAny[FilterSettings] | None]
    trim: TrimSettings | None
    pose: PoseSettings
    crop: CropSettings
    encode: EncodeSettings
    export: ExportSettings
    workers: WorkersSettings
    download: DownloadSettings

    @model_validator(mode="after")
    def _enough_samples(self) -> Config:
        if self.min_length_s * self.sampling.per_second < _MIN_SAMPLES:
            raise ValueError(
                f"the shortest clip needs at least {_MIN_SAMPLES} samples: raise sampling.per_second or "
                "filters.length.min_s"
            )
        return self

    @property
    def min_length_s(self) -> float:
        """Shortest clip in seconds; 0 if the length filter is off."""
        length = self.filters.get("length")
        return length.min_s if isinstance(length, LengthSettings) else 0.0

    def with_audio(self) -> Config:
        """Return the same settings for clips with their audio track; downloads include it."""
        formats = self.download.formats.model_copy(update={"audio": True})
        return self.model_copy(
            update={
                "encode": self.encode.model_copy(update={"audio": True}),
                "download": self.download.model_copy(update={"formats": formats}),
            }
        )

    @property
    def hash(self) -> str:
        """SHA-256, in hex, of the settings that change a clip; download and layout are left out."""
        settings = self.model_dump(mode="json", exclude=_NOT_HASHED)
        stored = {_FORMER_NAMES.get(name, name): value for name, value in settings.items()}
        if self.encode.gop is None:
            del stored["encode"]["gop"]
        if not self.encode.audio:  # as in runs of versions without audio
            del stored["encode"]["audio"]
        versions = {
            name: filters.get(name).spec.version for name, own in self.filters.items() if own is not None
        }
        changed = {name: version for name, version in versions.items() if version != "1"}
        if changed:
            stored["filter_versions"] = changed
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
        return Config.model_validate(_with_filters(settings, "default.yaml"))
    own = read_yaml(path, "config")
    own = {} if own is None else own
    if not isinstance(own, dict):
        raise ConfigError(f"config {path}: no settings: write them as in curation/default.yaml")
    for name, former in _FORMER_NAMES.items():
        if former in own:
            raise ConfigError(f"config {path}: {former}: this section is now named {name}: rename it")
    merged = _with_filters(_merge(settings, own), f"config {path}")
    try:
        return Config.model_validate(merged)
    except ValidationError as error:
        raise ConfigError(f"config {path}: {_first_problem(error)}") from error


def _with_backend(config: Config, backend: str) -> Config:
    try:
        pose = PoseSettings.model_validate(config.pose.model_dump() | {"backend": backend})
    except ValidationError:
        raise ConfigError(f"--pose {backend}: no such backend: choose mediapipe or dwpose") from None
    return config.model_copy(update={"pose": pose})


def _with_filters(settings: dict[str, Any], where: str) -> dict[str, Any]:
    """The same settings with the section `filters` read by the filters' own models.

    Bundled filters come in the order of `default.yaml`, then those of other packages by name. The latter are
    off unless the section names them.
    """
    section = settings["filters"]
    if not isinstance(section, dict):
        raise ConfigError(f"{where}: filters: give settings by filter name, or leave the section out")
    bundled = _defaults()["filters"]
    others = {
        str(name): section[name] for name in section.keys() - bundled.keys() if section[name] is not None
    }
    read: dict[str, FilterSettings | None] = {}
    for name, given in [*((name, section[name]) for name in bundled), *sorted(others.items())]:
        if given is None:
            read[name] = None
            continue
        if name in others and name not in filters.names():
            installed = ", ".join(filters.names())
            raise ConfigError(
                f"{where}: filters.{name[:100]}: no such setting: installed filters are {installed}"
            )
        try:
            read[name] = filters.get(name).Settings.model_validate(given)
        except ValidationError as error:
            raise ConfigError(f"{where}: filters.{name}.{_first_problem(error)}") from error
    return settings | {"filters": read}


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
