"""Says in one line what this machine lacks before minutes are spent, and after the installation.

Runs with the standard library alone. `before`: the interpreter and its venv module. `after`: the system
libraries that the installed wheels load.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

# The packages of Debian and Ubuntu that hold the libraries which wheels expect of the system.
DEBIAN_PACKAGES = {
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libGLESv2.so.2": "libgles2",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgomp.so.1": "libgomp1",
    "libxcb.so.1": "libxcb1",
    "libX11.so.6": "libx11-6",
    "libSM.so.6": "libsm6",
    "libICE.so.6": "libice6",
    "libXext.so.6": "libxext6",
    "libstdc++.so.6": "libstdc++6",
}
MODULES = ("av", "cv2", "mediapipe", "torch", "pyarrow", "onnxruntime", "scipy", "matplotlib")


def before() -> str | None:
    """Return the obstacle to making the environment, or None."""
    version = ".".join(map(str, sys.version_info[:2]))
    if not (3, 11) <= sys.version_info[:2] < (3, 13):
        return f"Python {version} is not 3.11 or 3.12: install one of them, then: make PYTHON=python3.11 ..."
    try:
        importlib.import_module("ensurepip")
        importlib.import_module("venv")
    except ImportError:
        return f"Python {version} has no venv: apt-get install python{version}-venv"
    return None


def after() -> str | None:
    """Return the system packages that installed wheels lack, or None."""
    missing = missing_libraries()
    if missing:
        packages = {DEBIAN_PACKAGES.get(library, f"the package that holds {library}") for library in missing}
        return f"system libraries are missing: apt-get install {' '.join(sorted(packages))}"
    for name in MODULES:
        try:
            importlib.import_module(name)
        except ImportError as error:
            return f"{name} cannot be loaded: {error}: delete .venv and run make again"
    return None


def missing_libraries() -> set[str]:
    """Names of shared libraries that the loader does not find, asked of it for all modules at once."""
    missing: set[str] = set()
    for name in MODULES:
        spec = importlib.util.find_spec(name)
        folder = Path(spec.origin).parent if spec and spec.origin else None
        for module in folder.rglob("*.so") if folder else ():
            answer = subprocess.run(["ldd", str(module)], capture_output=True, text=True, check=False).stdout
            found = re.findall(r"^\s*(\S+) => not found", answer, flags=re.MULTILINE)
            # Libraries that other wheels bring are found once their package is imported.
            missing.update(library for library in found if library in DEBIAN_PACKAGES)
    return missing


if __name__ == "__main__":
    problem = {"before": before, "after": after}[sys.argv[1]]()
    if problem:
        sys.exit(f"make: {problem}")
