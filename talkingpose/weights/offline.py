"""Offline mode of the Hugging Face libraries, for scoring without network access."""

from __future__ import annotations


def offline_environment() -> dict[str, str]:
    """Return environment variables that keep the Hugging Face libraries off the network.

    The libraries read them at import: set them before, or pass them to a new process.
    """
    return {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
