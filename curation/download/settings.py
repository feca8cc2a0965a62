"""The settings of an acquisition: one typed value."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat

_Count = Annotated[int, Field(ge=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PolitenessSettings(_Section):
    """How often hosts are asked. The bucket is one for all workers, processes and machines."""

    requests_per_minute: PositiveFloat = 20.0
    burst: _Count = 3
    # Between two requests to the same host; each pause is longer by a random share of up to `jitter`.
    pause_s: NonNegativeFloat = 2.0
    jitter: NonNegativeFloat = 0.5
    sessions_per_host: _Count = 2
    bytes_per_s: PositiveFloat | None = None


class BreakerSettings(_Section):
    """When the whole run stops asking."""

    rate_limits: _Count = 3  # so many answers 429 without a success between them; a bot check counts at once
    unreachable: _Count = 5  # so many connections in a row that did not come about
    wait_s: PositiveFloat = 900.0
    factor: Annotated[float, Field(ge=1)] = 2.0
    longest_s: PositiveFloat = 6 * 3600.0


class PrefilterSettings(_Section):
    """What a source must be like, judged by its description before any byte of video. Null: not asked."""

    min_duration_s: NonNegativeFloat | None = 3.0
    max_duration_s: PositiveFloat | None = 4 * 3600.0
    min_height: _Count | None = None
    min_fps: PositiveFloat | None = None
    max_fps: PositiveFloat | None = None
    languages: tuple[str, ...] = ()
    require_license: tuple[str, ...] = ()


class FormatSettings(_Section):
    """Which of the offered files is taken: one file, H.264 first, no sound unless asked for."""

    max_height: _Count | None = 1080
    audio: bool = False


class DiskSettings(_Section):
    """How much may lie on the disk at a time."""

    budget_gb: PositiveFloat | None = None
    min_free_gb: NonNegativeFloat = 1.0
    poll_s: PositiveFloat = 15.0


class DownloadSettings(_Section):
    """Everything that decides how sources are fetched; it changes no clip."""

    workers: _Count = 4
    politeness: PolitenessSettings = PolitenessSettings()
    breaker: BreakerSettings = BreakerSettings()
    prefilter: PrefilterSettings = PrefilterSettings()
    formats: FormatSettings = FormatSettings()
    disk: DiskSettings = DiskSettings()
    # A host that sends nothing for so long has stalled; one that stays below `min_bytes_per_s` drips.
    timeout_s: PositiveFloat = 30.0
    min_bytes_per_s: NonNegativeFloat = 2000.0
    slow_for_s: PositiveFloat = 60.0
    # Waits of the table of causes are multiplied by this.
    wait_scale: PositiveFloat = 1.0
    # A run that has nothing to do but wait ends when the next attempt is further away than this.
    patience_s: NonNegativeFloat = 1800.0
    # A worker that does not sign on for so long has died with its machine.
    lease_s: PositiveFloat = 120.0
