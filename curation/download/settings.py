"""Typed settings of downloads: the section `download` of the configuration."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat

from curation.settings import Section

_Count = Annotated[int, Field(ge=1)]


class PolitenessSettings(Section):
    """Rate limits, shared by all workers and processes of an output folder."""

    requests_per_minute: PositiveFloat = 20.0
    burst: _Count = 3
    # Between two requests to the same host; each pause is longer by a random share of up to `jitter`.
    pause_s: NonNegativeFloat = 2.0
    jitter: NonNegativeFloat = 0.5
    sessions_per_host: _Count = 2
    bytes_per_s: PositiveFloat | None = None

    def divided(self, shards: int) -> Self:
        """Return the limits of one of `shards` equal shards; together the shards keep the limits."""
        return self.model_copy(
            update={
                "requests_per_minute": self.requests_per_minute / shards,
                "burst": max(self.burst // shards, 1),
                "pause_s": self.pause_s * shards,
                "bytes_per_s": self.bytes_per_s and self.bytes_per_s / shards,
            }
        )


class BreakerSettings(Section):
    """Conditions under which the whole run stops sending requests."""

    rate_limits: _Count = 3  # 429 answers without a success between them; a bot check counts at once
    unreachable: _Count = 5  # failed connections in a row
    wait_s: PositiveFloat = 900.0
    factor: Annotated[float, Field(ge=1)] = 2.0
    longest_s: PositiveFloat = 6 * 3600.0


class PrefilterSettings(Section):
    """Conditions on the description of a source, before any video is downloaded. None: no condition."""

    min_duration_s: NonNegativeFloat | None = 3.0
    max_duration_s: PositiveFloat | None = 4 * 3600.0
    min_height: _Count | None = None
    min_fps: PositiveFloat | None = None
    max_fps: PositiveFloat | None = None
    languages: tuple[str, ...] = ()
    require_license: tuple[str, ...] = ()


class FormatSettings(Section):
    """Choice among the offered files: one file, H.264 preferred, audio only on request."""

    max_height: _Count | None = 1080
    audio: bool = False


class DiskSettings(Section):
    """Disk space of downloaded sources."""

    budget_gb: PositiveFloat | None = None
    min_free_gb: NonNegativeFloat = 1.0
    poll_s: PositiveFloat = 15.0


class DownloadSettings(Section):
    """Settings of downloads; they change no clip."""

    workers: _Count = 4
    politeness: PolitenessSettings = PolitenessSettings()
    breaker: BreakerSettings = BreakerSettings()
    prefilter: PrefilterSettings = PrefilterSettings()
    formats: FormatSettings = FormatSettings()
    disk: DiskSettings = DiskSettings()
    # A connection without data for `timeout_s` has stalled; a download below `min_bytes_per_s` is stopped.
    timeout_s: PositiveFloat = 30.0
    min_bytes_per_s: NonNegativeFloat = 2000.0
    slow_for_s: PositiveFloat = 60.0
    # Factor on the retry waits of `curation.download.failures`.
    wait_scale: PositiveFloat = 1.0
    # A run ends if the next attempt is further away.
    patience_s: NonNegativeFloat = 1800.0
    # A worker without a sign of life for this long is considered dead.
    lease_s: PositiveFloat = 120.0
