"""Curation of footage into a clean, pose-annotated Hugging Face dataset.

    from curation import curate, explain, filters

Names are imported on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from talkingpose.io.telemetry import disable_telemetry

if TYPE_CHECKING:
    from curation import filters as filters
    from curation.api import Explanation as Explanation
    from curation.api import curate as curate
    from curation.api import explain as explain
    from curation.config import Config as Config
    from curation.config import load_config as load_config
    from curation.run import CurationSummary as CurationSummary
    from curation.run import RunOptions as RunOptions

_MODULES = {
    "Config": "curation.config",
    "CurationSummary": "curation.run",
    "Explanation": "curation.api",
    "RunOptions": "curation.run",
    "curate": "curation.api",
    "explain": "curation.api",
    "load_config": "curation.config",
}

__all__ = [
    "Config",
    "CurationSummary",
    "Explanation",
    "RunOptions",
    "curate",
    "explain",
    "filters",
    "load_config",
]

disable_telemetry()


def __getattr__(name: str) -> Any:
    if name == "filters":
        return import_module("curation.filters")
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
