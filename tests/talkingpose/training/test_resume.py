"""Resumed trainings equal undisturbed ones."""

from __future__ import annotations

import csv
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

from talkingpose.io.progress import Progress
from talkingpose.training.config import checked
from talkingpose.training.errors import TrainingError
from talkingpose.training.loop import train
from tests.talkingpose.training.conftest import write

STEPS = 9


class Messages(Progress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def message(self, text: str) -> None:
        self.lines.append(text)


def start(path: Path, *options: str) -> subprocess.Popen[str]:
    command = [str(Path(sys.executable).parent / "tp-train"), "--config", str(path), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def log(folder: Path) -> list[list[str]]:
    with (folder / "loss.csv").open(newline="") as file:
        return list(csv.reader(file))


def weights(folder: Path) -> dict[str, torch.Tensor]:
    files = sorted((folder / "checkpoint").glob("*/*.safetensors"))
    return {f"{file.parent.name}.{key}": value for file in files for key, value in load_file(file).items()}


def check_equal(killed: Path, whole: Path) -> None:
    """The bits of weights, training state and log are equal."""
    assert log(killed) == log(whole)
    ours, theirs = weights(killed), weights(whole)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    states = [torch.load(folder / "state" / "state.pt", weights_only=True) for folder in (killed, whole)]
    assert all(torch.equal(value, states[1]["model"][name]) for name, value in states[0]["model"].items())


def test_killed_training_gives_the_same_bits(content: dict[str, Any], tmp_path: Path) -> None:
    content |= {
        "steps": STEPS,
        "save_every": 3,
        "validation": {"every": 5, "samples": 1, "inference_steps": 1},
    }
    content["optimizer"] = {"learning_rate": 2e-3, "warmup_steps": 2, "decay": "cosine"}
    train(checked(content | {"out": str(tmp_path / "whole")}, "test"))

    killed = tmp_path / "killed"
    path = write(tmp_path / "c.yaml", content | {"out": str(killed)})
    process = start(path)
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and process.poll() is None:
        # Some steps after a state, so that there are rows to take back.
        if (killed / "loss.csv").is_file() and len((killed / "loss.csv").read_text().splitlines()) >= 6:
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.005)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    # A row and a state that were being written at that moment.
    (killed / "state" / ".state.1-ab.part.pt").touch()
    with (killed / "loss.csv").open("a") as file:
        file.write("9,0.1")

    messages = Messages()
    train(checked(content | {"out": str(killed)}, "test"), progress=messages)
    assert any(line.startswith("resuming after step") for line in messages.lines)
    assert not list((killed / "state").glob(".*"))
    assert [int(row[0]) for row in log(killed)[1:]] == list(range(1, STEPS + 1))
    check_equal(killed, tmp_path / "whole")


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_training_that_is_killed_at_random_times_gives_the_same_bits(
    content: dict[str, Any], tmp_path: Path
) -> None:
    content |= {"steps": 3 * STEPS, "save_every": 2}
    train(checked(content | {"out": str(tmp_path / "whole")}, "test"))
    killed, random_ = tmp_path / "killed", random.Random(11)
    path = write(tmp_path / "c.yaml", content | {"out": str(killed)})
    for _ in range(20):
        process = start(path)
        # From the first imports to some saved states later.
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=random_.uniform(0.2, 15))
        process.kill()
        process.communicate()
    train(checked(content | {"out": str(killed)}, "test"))
    assert not list((killed / "state").glob(".*"))
    check_equal(killed, tmp_path / "whole")


def test_more_steps_resume_and_another_configuration_is_refused(content: dict[str, Any]) -> None:
    train(checked(content | {"steps": 2}, "test"))
    out = Path(content["out"])
    before = log(out)
    assert train(checked(content | {"steps": 2}, "test"))["steps"] == 2
    summary = train(checked(content | {"steps": 3}, "test"))
    assert summary["steps"] == 3
    assert log(out)[:3] == before
    assert yaml.safe_load((out / "config.yaml").read_text())["steps"] == 3
    # A key that came with a later version has its default in a training that began before.
    written = yaml.safe_load((out / "config.yaml").read_text())
    written.pop("targets_per_portrait")
    (out / "config.yaml").write_text(yaml.safe_dump(written))
    assert train(checked(content | {"steps": 4}, "test"))["steps"] == 4
    changed = content | {"batch_size": 3, "steps": 4}
    with pytest.raises(TrainingError, match="holds a training with another batch_size"):
        train(checked(changed, "test"))
    state = out / "state" / "state.pt"
    state.write_bytes(state.read_bytes()[:100])
    with pytest.raises(TrainingError, match="cannot be read: start over with --fresh"):
        train(checked(content | {"steps": 5}, "test"))
    train(checked(changed | {"steps": 1}, "test"), fresh=True)
    assert len(log(out)) == 2
