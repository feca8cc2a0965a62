"""Telemetry of libraries, turned off before they are imported.

Each package of the project calls `disable_telemetry` in its `__init__`; worker processes inherit the
environment.
"""

from __future__ import annotations

import os

# Read by the libraries at import, or at the start of their runtime.
_VARIABLES = {
    # onnxruntime 1.29 and later: uploads and a device id file on Linux and macOS, which also
    # onnxruntime.disable_telemetry_events() leaves on until it is called.
    "ORT_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",  # huggingface_hub, and through it diffusers, transformers, datasets
    "DISABLE_TELEMETRY": "1",  # their former name
    "RAY_USAGE_STATS_ENABLED": "0",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "NO_ALBUMENTATIONS_UPDATE": "1",  # imported by insightface before 1.0
    "DO_NOT_TRACK": "1",
}


def disable_telemetry() -> None:
    """Set the environment variables that turn off usage reports and update checks."""
    os.environ.update(_VARIABLES)
