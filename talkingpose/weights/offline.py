"""What keeps other libraries from the network while scores are computed."""

from __future__ import annotations


def offline_environment() -> dict[str, str]:
    """Environment variables under which Hugging Face's libraries use nothing but files that are here.

    They read them once, when they are imported: set them before, or give them to a new process.
    """
    return {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
