"""The wheel holds what the commands need without network, and is small enough to install quickly."""

from __future__ import annotations

import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
# The index of Python packages refuses files above 100 MB by default.
LARGEST_WHEEL_MB = 60


def test_the_wheel_has_weights_data_and_protocols(tmp_path: Path) -> None:
    from hatchling.builders.wheel import WheelBuilder

    wheel = Path(next(WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])))
    names = set(zipfile.ZipFile(wheel).namelist())
    assert wheel.stat().st_size < LARGEST_WHEEL_MB * 1e6
    for path in (
        "talkingpose/weights/weights.lock.yaml",
        "talkingpose/weights/bundled/lpips-alexnet.safetensors",
        "talkingpose/weights/bundled/LICENSES.md",
        "talkingpose/checkpoints/tiny/model_index.json",
        "benchmark/protocols/tp-mini@1.yaml",
        "leaderboard/published.yaml",
    ):
        assert path in names
