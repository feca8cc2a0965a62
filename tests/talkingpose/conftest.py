from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from talkingpose import TalkingPosePipeline

PARITY = Path(__file__).parents[1] / "data" / "parity"


@pytest.fixture(scope="session")
def parity_folder() -> Path:
    return PARITY


@pytest.fixture(scope="session")
def golden() -> dict[str, np.ndarray]:
    """Inputs and results of the official inference."""
    with np.load(PARITY / "golden.npz") as file:
        return dict(file)


@pytest.fixture(scope="session")
def pipe() -> TalkingPosePipeline:
    return TalkingPosePipeline.from_official(PARITY)


@pytest.fixture
def noise(golden: dict[str, np.ndarray]) -> torch.Tensor:
    return torch.from_numpy(golden["initial_noise"])


@pytest.fixture(scope="session")
def small(golden: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Pose pictures (64, 64, 3) for tests that need any frames."""
    return [np.ascontiguousarray(pose[::2, ::2]) for pose in golden["poses"]]
