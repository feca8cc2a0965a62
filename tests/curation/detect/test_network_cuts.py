"""Transitions by the network split what is about to be kept."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from fake_detectors import FAKE, SPEAKER
from shot_videos import write_shots

from curation.config import load_config
from curation.detect import transnet
from curation.detect.transitions import Transition
from curation.sources import find_sources, identify
from curation.worker import Job, process


def test_a_span_ends_before_a_transition_that_the_network_finds(tmp_path, monkeypatch):
    asked = []

    def found(frames):
        asked.append(frames.shape)
        return [Transition(10, 14, "transnet")]

    monkeypatch.setattr(transnet, "doubtful_windows", lambda doubts, start, end: [(start + 80, start + 130)])
    monkeypatch.setattr(transnet, "transitions", found)
    video = write_shots(tmp_path / "talk.mp4", [(SPEAKER, 200)])
    (source,) = find_sources([video])
    kept = {}
    for name, network in (("with", True), ("without", False)):
        detectors = replace(FAKE, finds_transitions=lambda network=network: network)
        job = Job(identify(source), load_config(), "test", {}, detectors, tmp_path / name)
        record = process(job)
        assert record.error is None
        spans = [(shot.start_frame, shot.end_frame, shot.verdict) for shot in record.shots]
        assert spans[0][0] == 0 and spans[-1][1] == 200
        kept[name] = [(start, end) for start, end, verdict in spans if verdict == "keep"]
    assert asked == [(50, 27, 48, 3)]
    assert kept["without"] == [(0, 200)]
    # Frames 90 to 94, with a margin of 0.3 s on both sides.
    assert kept["with"] == [(0, 82), (102, 200)]
