"""Models of a run: mediapipe for samples, the configured backend for every frame of a clip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

from curation.detect.detectors import MEDIAPIPE, Detectors, sample_versions
from curation.settings import PoseSettings
from talkingpose.pose import PoseEstimator
from talkingpose.weights import find, pick

# Ids in the lock file of weights.
_DWPOSE = ("dwpose-detector", "dwpose")


def detectors_of(pose: PoseSettings) -> Detectors:
    """Models of a configuration.

    Raises:
        WeightsError: The backend needs weights that are missing; the message names the command that fetches
            them. Nothing is downloaded.
    """
    if pose.backend == "mediapipe":
        return MEDIAPIPE
    detector, model = (find(name, needed_by="dwpose") for name in _DWPOSE)
    return replace(MEDIAPIPE, estimator=partial(_dwpose, detector, model), versions=_dwpose_versions)


def _dwpose(detector: Path, pose: Path) -> PoseEstimator:
    from talkingpose.pose import DWPoseEstimator

    return DWPoseEstimator(detector, pose)


def _dwpose_versions() -> Mapping[str, str]:
    libraries = {name: version(name) for name in ("rtmlib", "onnxruntime")}
    # Hashes that `find` has verified.
    weights = {entry.id: str(entry.sha256) for entry in pick(_DWPOSE)}
    return {**sample_versions(), **libraries, **weights}
