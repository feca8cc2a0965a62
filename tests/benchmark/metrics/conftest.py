"""Weight files of the real formats that hold small networks."""

from __future__ import annotations

from pathlib import Path

import pytest

from talkingpose.weights import VARIABLE, read_lock
from tests.benchmark.metrics import standins


@pytest.fixture(scope="session")
def standin_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights folder with all stand-ins, and their lock file in it."""
    folder = tmp_path_factory.mktemp("weights")
    lock = read_lock()
    names = ("yunet", "sface", "arcface", "i3d", "inception")
    files = {name: folder / lock[name].file for name in names}
    standins.write_yunet(files["yunet"])
    standins.write_recogniser(files["sface"], 128, ("data", "fc1"))
    standins.write_buffalo(files["arcface"], folder)
    standins.write_i3d(files["i3d"])
    standins.write_inception(files["inception"])
    standins.write_lock(folder, files)
    return folder


@pytest.fixture
def standin_weights(standin_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The stand-ins are what the lock file asks for, and they are here."""
    monkeypatch.setenv(VARIABLE, str(standin_folder))
    monkeypatch.setattr("talkingpose.weights.lock.LOCK_FILE", standin_folder / "weights.lock.yaml")
    return standin_folder


@pytest.fixture
def no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No weight file is here."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "none"))
