"""Which models look at frames: mediapipe at samples, the chosen backend at every frame of a clip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

from curation.detect.detectors import MEDIAPIPE, Detectors
from curation.settings import PoseSettings
from talkingpose.pose import PoseEstimator
from talkingpose.weights import find, pick


def detectors_of(pose: PoseSettings) -> Detectors:
    """The models that a configuration asks for.

    Raises:
        WeightsError: the backend needs weights that are not here; the message names the command that fetches
            them. Nothing is downloaded.
    """
    if pose.backend == "mediapipe":
        return MEDIAPIPE
    detector, model = (find(name, needed_by="dwpose") for name in _DWPOSE)
    return replace(MEDIAPIPE, estimator=partial(_dwpose, detector, model), versions=_dwpose_versions)


# Ids in the lock file of weights.
_DWPOSE = ("dwpose-detector", "dwpose")


def _dwpose(detector: Path, pose: Path) -> PoseEstimator:
    from talkingpose.pose import DWPoseEstimator

    return DWPoseEstimator(detector, pose)


def _dwpose_versions() -> Mapping[str, str]:
    libraries = {name: version(name) for name in ("rtmlib", "onnxruntime")}
    # What `find` has compared the files with.
    weights = {entry.id: str(entry.sha256) for entry in pick(_DWPOSE)}
    return {**MEDIAPIPE.versions(), **libraries, **weights}
