"""Bundled protocols on clips that are just long enough for two windows of 16 frames."""

from __future__ import annotations

from collections.abc import Collection
from fractions import Fraction
from pathlib import Path

import pytest

from benchmark.metrics.registry import GROUPS
from benchmark.protocols.protocol import Admission, Protocol, load_protocol
from tests.benchmark.drawn_clips import NTSC, Drawn, row, video_bytes, write_dataset
from tests.benchmark.tiny_runs import USERS_OF_PROTOCOLS

CLIPS = (
    Drawn("clip-a", "anna", Fraction(25), 32, (48, 48)),
    Drawn("clip-b", "bela", NTSC, 36, (48, 48)),
    Drawn("clip-c", "bela", NTSC, 40, (48, 48)),
)


@pytest.fixture(scope="session")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of three clips of two persons."""
    folder = tmp_path_factory.mktemp("short")
    rows = [row(clip, video_bytes(clip, folder)) for clip in CLIPS]
    return write_dataset(folder / "set", {"test": rows})


def shortened(name: str, metrics: Collection[str] | None = None) -> Protocol:
    """A protocol that admits short clips, with these families of metrics and those of its groups."""
    protocol = load_protocol(name)
    versions = protocol.metrics
    if metrics is not None:
        kept = {*metrics, *(each for group in GROUPS.values() for each in group)}
        versions = {family: version for family, version in versions.items() if family in kept}
    return protocol.model_copy(update={"admission": Admission(min_frames=8), "metrics": versions})


def admit_short_clips(monkeypatch: pytest.MonkeyPatch, *metrics: str) -> None:
    """Let every protocol admit short clips; with `metrics`, reduce it to these families and its groups."""
    for module in USERS_OF_PROTOCOLS:
        monkeypatch.setattr(
            f"benchmark.{module}.load_protocol", lambda name: shortened(name, metrics or None)
        )
