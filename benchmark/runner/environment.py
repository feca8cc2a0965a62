"""Versions of the software that may affect a number."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_PACKAGES = (
    "av", "diffusers", "mediapipe", "numpy", "onnxruntime", "opencv-contrib-python", "opencv-python",
    "pillow", "pyarrow", "scipy", "torch", "torch-fidelity", "transformers",
)  # fmt: skip


def project_version() -> str:
    """Return the version of the project."""
    return version("talkingpose")


def environment() -> dict[str, Any]:
    """Return the versions of project, Python, packages and codecs; no names of machines or users."""
    import av

    return {
        "talkingpose": project_version(),
        "git": _git(),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "packages": {name: found for name in _PACKAGES if (found := _version(name))},
        "ffmpeg": {name: ".".join(map(str, numbers)) for name, numbers in av.library_versions.items()},
    }


def device_facts(device: str) -> dict[str, Any]:
    """Return kind and model of a device, not its index: equal models give equal bits."""
    kind = device.partition(":")[0]
    if kind == "cpu":
        return {"device": kind}
    import torch

    return {"device": kind, "device_model": torch.cuda.get_device_name(device)}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git() -> dict[str, Any] | None:
    """Return commit and state of the project's checkout, None for any other installation."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    try:
        commit = _output(root, "rev-parse", "HEAD")
        changed = _output(root, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return None
    return {"commit": commit, "dirty": bool(changed)}


def _output(root: Path, *args: str) -> str:
    done = subprocess.run(["git", *args], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()
