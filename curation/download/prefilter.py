"""Conditions on the description of a source, checked before any video is downloaded."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from curation.download.settings import PrefilterSettings


def is_live(info: Mapping[str, Any]) -> bool:
    """Return whether a source is live, has not begun, or is being processed by its host."""
    return bool(info.get("is_live")) or info.get("live_status") in ("is_live", "is_upcoming", "post_live")


def find_objection(info: Mapping[str, Any], settings: PrefilterSettings) -> str | None:
    """Return the first condition that a source violates, with the measured value; None if there is none.

    A missing field violates no condition, except the licence: if one is required, it must be present.

    Args:
        info: fields of yt-dlp's info JSON.
        settings: the conditions.
    """
    for name, low, high, unit in (
        ("duration", settings.min_duration_s, settings.max_duration_s, " s"),
        ("height", settings.min_height, None, " px"),
        ("fps", settings.min_fps, settings.max_fps, ""),
    ):
        value = info.get(name)
        if not isinstance(value, int | float):
            continue
        if low is not None and value < low:
            return f"{name} {value:g}{unit}: at least {low:g} is required"
        if high is not None and value > high:
            return f"{name} {value:g}{unit}: at most {high:g} is allowed"
    language = info.get("language")
    if settings.languages and isinstance(language, str) and not _speaks(language, settings.languages):
        return f"language {language}: required is {' or '.join(settings.languages)}"
    if settings.require_license and not permits(info.get("license"), settings.require_license):
        given = info.get("license") or "not given"
        return f"license {given}: required is {' or '.join(settings.require_license)}"
    return None


def permits(license: str | None, required: Sequence[str]) -> bool:
    """Return whether a licence is one of those required, in any spelling.

    `creativecommons` matches YouTube's "Creative Commons Attribution license (reuse allowed)",
    `CC BY-SA 4.0`, `CC0`, and the addresses of creativecommons.org.
    """
    if not license:
        return False
    own = _plain(license)
    # "CC" at the start or as a separate word is the usual short form.
    if re.search(r"(^|[^a-z])cc([^a-z]|$|by|0)", license.casefold()):
        own += " creativecommons"
    return any(_plain(name) in own for name in required if _plain(name))


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.casefold())


def _speaks(language: str, wanted: Sequence[str]) -> bool:
    first = language.casefold().replace("_", "-")
    return any(first == one.casefold() or first.startswith(f"{one.casefold()}-") for one in wanted)
