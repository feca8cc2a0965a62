"""Weight files in the formats of the real ones, with small networks."""

from __future__ import annotations

from pathlib import Path

import pytest

from talkingpose.weights import VARIABLE, read_lock
from tests.benchmark.metrics import standins


@pytest.fixture(scope="session")
def standin_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights folder with small stand-ins, and their lock file in it."""
    folder = tmp_path_factory.mktemp("weights")
    lock = read_lock()
    names = ("yunet", "sface", "arcface", "i3d")
    files = {name: folder / lock[name].file for name in names}
    standins.write_yunet(files["yunet"])
    standins.write_recogniser(files["sface"], 128, ("data", "fc1"))
    standins.write_buffalo(files["arcface"], folder)
    standins.write_i3d(files["i3d"])
    standins.write_lock(folder, files)
    return folder


@pytest.fixture
def standin_weights(standin_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the lock file demand the stand-ins, and put them into the weights folder."""
    monkeypatch.setenv(VARIABLE, str(standin_folder))
    monkeypatch.setattr("talkingpose.weights.lock.LOCK_FILE", standin_folder / "weights.lock.yaml")
    return standin_folder


@pytest.fixture
def standin_inception(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Inception of full size with random weights."""
    path = tmp_path / read_lock()["inception"].file
    standins.write_inception(path)
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    monkeypatch.setattr(
        "talkingpose.weights.lock.LOCK_FILE", standins.write_lock(tmp_path, {"inception": path})
    )
    return path


@pytest.fixture
def no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use an empty weights folder."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "none"))
