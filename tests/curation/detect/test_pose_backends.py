"""Pose backends: DWPose takes weights from the weights folder, never from the network."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from fake_detectors import FAKE, SPEAKER
from shot_videos import write_shots

sys.path.insert(0, str(Path(__file__).parents[2] / "talkingpose" / "pose"))

from dwpose_stand_ins import write_detector, write_pose

import talkingpose.weights.lock
from curation.config import load_config
from curation.detect.detectors import MEDIAPIPE
from curation.detect.pose_backends import detectors_of
from curation.run import tool_versions
from curation.sources import find_sources, identify
from curation.worker import Job, process
from talkingpose.weights import WeightsError


@pytest.fixture
def weights(tmp_path, monkeypatch) -> Path:
    """Weights folder with stand-ins, and a lock file for them."""
    folder = tmp_path / "weights"
    # 160 x 96 pixels are 640 x 384 of the detector's square.
    write_detector(folder / "dwpose" / "yolox_l.onnx", [(320.0, 190.0, 200.0, 350.0, 0)])
    write_pose(folder / "dwpose" / "dw-ll_ucoco_384.onnx")
    entries = yaml.safe_load(talkingpose.weights.lock.LOCK_FILE.read_text())
    for entry in entries:
        if entry["id"].startswith("dwpose"):
            data = (folder / entry["file"]).read_bytes()
            entry |= {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    lock = tmp_path / "weights.lock.yaml"
    lock.write_text(yaml.safe_dump(entries))
    monkeypatch.setattr(talkingpose.weights.lock, "LOCK_FILE", lock)
    monkeypatch.setenv("TALKINGPOSE_WEIGHTS", str(folder))
    return folder


def test_mediapipe_is_the_default():
    assert detectors_of(load_config().pose) is MEDIAPIPE


def test_the_error_for_missing_weights_names_the_command(tmp_path, monkeypatch):
    monkeypatch.setenv("TALKINGPOSE_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsError, match=r"dwpose needs dwpose-detector: .*tp-eval weights fetch"):
        detectors_of(load_config(pose="dwpose").pose)


def test_damaged_weights_are_refused(weights):
    file = weights / "dwpose" / "dw-ll_ucoco_384.onnx"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(WeightsError, match="dwpose needs dwpose: SHA-256"):
        detectors_of(load_config(pose="dwpose").pose)


def test_a_clip_has_keypoints_and_versions_of_the_backend(weights, tmp_path):
    config = load_config(pose="dwpose")
    chosen = detectors_of(config.pose)
    video = write_shots(tmp_path / "a.mp4", [(SPEAKER, 80)])
    detectors = replace(FAKE, estimator=chosen.estimator, versions=chosen.versions)
    versions = tool_versions(detectors)
    source = identify(find_sources([video])[0])
    record = process(Job(source, config, "recipe", versions, detectors, tmp_path / "clips"))
    (clip,) = record.clips
    keypoints = np.load(tmp_path / "clips" / f"{clip.clip_id}.npz")["keypoints"]
    # The stand-in puts all points at the bluest place, unlike mediapipe and the fake person.
    assert np.ptp(keypoints[..., :2], axis=1).max() < 1e-3 and keypoints[..., 2].all()
    digest = hashlib.sha256((weights / "dwpose" / "yolox_l.onnx").read_bytes()).hexdigest()
    assert record.tool_versions["dwpose-detector"] == digest
    assert json.dumps(record.tool_versions).count("rtmlib") == 1
