"""Groups of the report, and the clips that long protocols take."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from fake_detectors import person, sample
from made_records import clip, source, span

import benchmark.protocols
from benchmark.protocols.protocol import protocol_names
from curation.clips.scores import appearance
from curation.detect.measurements import Shot
from curation.protocols import MIN_FRAMES, ProtocolNameError, long_clips, min_frames_of
from curation.report.groups import by_group


def looking(luma: float, hands: float, *parts):
    """Spans with a dark or light face and a share of samples with hands."""
    found = {"face_luma": luma, "light": 80.0, "face_height": 0.2, "yaw_deg": 5.0, "hands": hands}
    return [one.model_copy(update={"appearance": found}) for one in parts]


def test_yield_and_hands_by_group_with_intervals_over_sources():
    records = [
        source("a", *looking(40.0, 0.5, span(0, clip_id="k"), span(1, sharp=0.1))),
        source("b", *looking(40.0, 0.5, span(0, sharp=0.1), span(1, sharp=0.1))),
        source("c", *looking(150.0, 1.0, span(0, clip_id="m"), span(1, clip_id="n")), span(2)),
    ]
    dark, light = [one for one in by_group(records) if one.label.startswith("brightness of the face")]
    assert (dark.low, dark.high, dark.sources, dark.spans, dark.seconds) == (None, 70.0, 2, 4, 16.0)
    assert dark.kept.value == pytest.approx(0.25) and dark.hands.value == pytest.approx(0.5)
    assert dark.kept.low is not None and dark.kept.high is not None
    assert dark.kept.low <= 0.25 <= dark.kept.high
    assert light.kept.value == 1 and light.kept.low is None and light.spans == 2
    assert by_group([source("d", span(0))]) == []


def test_the_look_of_a_span_needs_a_face():
    def shot(samples):
        return Shot(0, 50, 2.0, 1280, 720, tuple(samples))

    seen = [sample(person(hands=i % 2), index=5 * i, face_luma=50.0) for i in range(10)]
    found = appearance(shot(seen))
    assert found["hands"] == 0.5 and found["face_luma"] == 50 and found["light"] == 120
    assert found["face_height"] == pytest.approx(0.2) and found["yaw_deg"] < 10
    assert appearance(shot([sample(index=5 * i) for i in range(6)] + seen[:4])) == {}
    assert np.isfinite(list(found.values())).all()


def test_long_clips_are_those_of_the_protocols():
    folder = Path(benchmark.protocols.__file__).parent
    taken = {name for name in protocol_names() if name.split("@")[0] in ("tp-long", "tp-cross", "tp-robust")}
    assert MIN_FRAMES.keys() == taken
    for name, frames in MIN_FRAMES.items():
        protocol = yaml.safe_load((folder / f"{name}.yaml").read_text())
        assert any(part.get("min_frames") == frames for part in protocol.values() if isinstance(part, dict))
    assert long_clips([clip("a", seconds=4.0), clip("b", seconds=4.04), clip("c", seconds=9.0)]) == 2
    with pytest.raises(ProtocolNameError, match="tp-long@1"):
        min_frames_of("tp-longer@1")
