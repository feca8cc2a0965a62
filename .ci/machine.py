"""Says in one line what this machine lacks before minutes are spent, and after the installation.

Runs with the standard library alone. `before`: the interpreter and its venv module. `after`: the system
libraries that the installed wheels load.
"""

from __future__ import annotations

import importlib
import re
import sys

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
    """What is missing to make the environment, or None."""
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
    """Which system package an installed wheel misses, or None."""
    missing = {}
    for name in MODULES:
        try:
            importlib.import_module(name)
        except ImportError as error:
            library = re.match(r"(\S+\.so[.\d]*): cannot open shared object", str(error))
            if library is None:
                return f"{name} cannot be loaded: {error}: delete .venv and run make again"
            missing[library[1]] = DEBIAN_PACKAGES.get(library[1], f"the package that holds {library[1]}")
    if missing:
        packages = " ".join(sorted(set(missing.values())))
        return f"system libraries are missing ({', '.join(sorted(missing))}): apt-get install {packages}"
    return None


if __name__ == "__main__":
    problem = {"before": before, "after": after}[sys.argv[1]]()
    if problem:
        sys.exit(f"make: {problem}")
