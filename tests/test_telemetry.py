"""No library phones home: no name look-up and no telemetry file in imports and commands."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from talkingpose import load_clips
from talkingpose.io.telemetry import disable_telemetry
from talkingpose.media import VideoWriter

# Records look-ups of Python code, in child processes too. Those of C++ code are seen by strace only.
_SITECUSTOMIZE = """
import os, socket
def recorded(function):
    def call(host, *args, **kwargs):
        if host not in (None, "", "localhost", "127.0.0.1", "::1", b"localhost", socket.gethostname()):
            with open(os.environ["LOOKUPS"], "a") as file:
                file.write(f"{host}\\n")
        return function(host, *args, **kwargs)
    return call
for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
    setattr(socket, name, recorded(getattr(socket, name)))
"""
_DNS = re.compile(r"htons\(53\)|resolve/io\.systemd")


def lookups(command: list[str], folder: Path) -> list[str]:
    """Run a command in an empty home folder; return its name look-ups and telemetry files."""
    home, trace, recorded = folder / "home", folder / "trace", folder / "lookups"
    site = folder / "site"
    for path in (home, site):
        path.mkdir()
    (site / "sitecustomize.py").write_text(_SITECUSTOMIZE)
    recorded.touch()
    hidden = {"CI", "XDG_CACHE_HOME", "ORT_DISABLE_TELEMETRY", "RAY_USAGE_STATS_ENABLED", "HF_HUB_OFFLINE"}
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    environment |= {"HOME": str(home), "PYTHONPATH": str(site), "LOOKUPS": str(recorded)}
    if shutil.which("strace"):
        command = ["strace", "-f", "--seccomp-bpf", "-qq", "-e", "trace=connect", "-o", str(trace), *command]
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=300)
    assert result.returncode == 0, result.stderr.decode()
    traced = trace.read_text().splitlines() if trace.exists() else []
    files = [str(path) for path in home.rglob("*") if path.name in ("deviceid", "onnxruntime.db")]
    return recorded.read_text().splitlines() + [line for line in traced if _DNS.search(line)] + files


def test_import_and_onnxruntime(tmp_path: Path) -> None:
    code = "from talkingpose import load_clips; import onnxruntime; onnxruntime.SessionOptions()"
    assert lookups([sys.executable, "-c", code], tmp_path) == []


@pytest.mark.parametrize("package", ["curation", "benchmark", "baselines", "leaderboard"])
def test_every_package_turns_telemetry_off(package: str) -> None:
    code = f"import {package}, os; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    hidden = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    assert subprocess.check_output([sys.executable, "-c", code], env=hidden).strip() == b"1"


def test_user_settings_are_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "1")
    disable_telemetry()
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


def program(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def test_tp_eval(tmp_path: Path) -> None:
    command = [program("tp-eval"), "--model", "frozen", "--limit", "1", "--smoke", "--out", "run"]
    assert lookups(command, tmp_path) == []
    assert (tmp_path / "run" / "run.json").is_file()


def test_tp_curate(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    with VideoWriter(tmp_path / "videos" / "a.mp4", fps=Fraction(25)) as writer:
        for level in range(60):
            writer.write(np.full((96, 96, 3), level, np.uint8))
    assert lookups([program("tp-curate"), "run", "videos", "--out", "data", "--workers", "1"], tmp_path) == []


def test_tp_animate(tmp_path: Path) -> None:
    clip = load_clips("tp-mini", "test")[0]
    Image.fromarray(clip.portrait).save(tmp_path / "portrait.png")
    np.savez(tmp_path / "poses.npz", keypoints=clip.keypoints[:2], fps=25.0, width=128, height=128)
    command = [program("tp-animate"), "--reference", "portrait.png", "--driving", "poses.npz"]
    assert lookups([*command, "--out", "out.mp4", "--steps", "1", "--device", "cpu"], tmp_path) == []
    assert (tmp_path / "out.mp4").is_file()
