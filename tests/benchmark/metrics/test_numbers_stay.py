"""Numbers of metrics, pinned by version: a number that changes needs a new version of its metric.

`numbers.json` holds the values of each version. The test writes what it measured into a file and names it:
replace `numbers.json` by it after raising a version.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.metrics import CaseShape, Metric
from benchmark.metrics.registry import metrics_of
from benchmark.metrics.scoring import Scoring
from benchmark.protocols.protocol import load_protocol
from tests.benchmark.drawn_clips import Drawn, picture, skeleton
from tests.benchmark.metrics import posed_pairs

NUMBERS = Path(__file__).with_name("numbers.json")
FRAMES, WINDOW = 40, 8
CLIP = Drawn("clip-a", "anna", posed_pairs.CASE.fps, FRAMES, (96, 80))


def by_given_poses() -> list[Metric]:
    """Metrics of detected poses, scored on given poses."""
    protocol = load_protocol("tp-long+pose@1")
    cross = load_protocol("tp-cross@1")
    found = [*metrics_of(protocol.metrics, (1,)), *metrics_of(cross.metrics, (1,))]
    return [m for m in found if isinstance(m, Metric) and m.spec.features == ("pose",) and m.spec.needs_real]


def by_frames() -> list[Metric]:
    """Metrics without weights and without a detector."""
    found = [*metrics_of(load_protocol("tp-long@1").metrics, (1, 2, 16)), *metrics_of(CROSS, (1,))]
    return [m for m in found if isinstance(m, Metric) and not {"pose", "lpips-alex"} & set(m.spec.features)]


CROSS = {"portrait_colour": 1, "portrait_sharpness": 1, "seam_change": 1}


def measured() -> dict[str, dict[str, Any]]:
    """Version and value of each metric on a drawn video and a corrupted copy."""
    real = [picture(CLIP, t) for t in range(FRAMES)]
    noise = np.random.default_rng(0)
    generated = [
        (np.roll(picture(CLIP, t), t // 9, 1) * 0.9 + t / 4 + noise.integers(0, 9, real[0].shape) * (t > 3))
        .clip(0, 255)
        .astype(np.uint8)
        for t in range(FRAMES)
    ]
    keypoints = skeleton(CLIP).astype(np.float32)
    keypoints[:, 23:91] = (0.5, 0.3, 1) + 0.1 * noise.uniform(-1, 1, (68, 3)) * (1, 1, 0)
    keypoints[:, 91:] = (0.3, 0.7, 1) + 0.1 * noise.uniform(-1, 1, (42, 3)) * (1, 1, 0)
    frames = by_frames()
    scoring = Scoring(CaseShape("clip", CLIP.fps, *CLIP.size, FRAMES, WINDOW), real[0], frames)
    for t in range(FRAMES):
        scoring.window.push(real[t], generated[t], keypoints[t])
        scoring.score()
    values = {spec.id: (spec.version, scoring.finish()[0][spec.id].value) for spec in scoring.specs}
    poses, moved = posed_pairs.person(9), posed_pairs.person(9)
    moved[..., :2] += 0.02 * np.random.default_rng(1).normal(size=moved[..., :2].shape)
    moved[3:5, 91:, 2] = 0
    for metric in by_given_poses():
        value = posed_pairs.score(metric, poses, moved)[0].value
        values[metric.spec.id] = (metric.spec.version, value)
    return {name: {"version": version, "value": value} for name, (version, value) in sorted(values.items())}


def test_a_number_changes_only_with_its_version(tmp_path: Path) -> None:
    found = measured()
    new = tmp_path / "numbers.json"
    new.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    known = json.loads(NUMBERS.read_text("utf-8"))
    assert found.keys() == known.keys(), new
    for name, now in found.items():
        assert now["version"] == known[name]["version"], new
        # Optical flow depends on the vector unit of the machine.
        near = pytest.approx(known[name]["value"], rel=1e-3 if name == "warp_error" else 1e-6)
        assert now["value"] is not None, name
        assert now["value"] == near, f"{name}: raise its version, then replace numbers.json by {new}"
