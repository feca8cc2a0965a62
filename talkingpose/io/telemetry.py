"""Telemetry of libraries, turned off before they are imported."""

from __future__ import annotations

import os

# Each variable is read by its library when it is imported.
_VARIABLES = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DISABLE_TELEMETRY": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "DO_NOT_TRACK": "1",
}


def disable_telemetry() -> None:
    """Set the environment variables that turn off usage reports; child processes inherit them."""
    os.environ.update(_VARIABLES)
