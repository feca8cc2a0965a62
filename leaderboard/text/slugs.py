"""File names from texts of strangers."""

from __future__ import annotations

import hashlib
import re

_LENGTH = 40


def slug(text: str) -> str:
    """Return a file name of a-z, 0-9 and hyphens that is different for different texts."""
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:_LENGTH].strip("-")
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{plain}-{digest}" if plain else digest
