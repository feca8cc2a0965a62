"""What a source must be like, judged by its description before any byte of video."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from curation.download.settings import PrefilterSettings


def is_live(info: Mapping[str, Any]) -> bool:
    """Whether it runs now, has not begun, or is still being cut by its host."""
    return bool(info.get("is_live")) or info.get("live_status") in ("is_live", "is_upcoming", "post_live")


def objection(info: Mapping[str, Any], settings: PrefilterSettings) -> str | None:
    """Why a source is not wanted, with the value that decided; None where nothing speaks against it.

    What a description does not say is no objection, but for the licence: where one is required, it must be
    there.

    Args:
        info: the fields of yt-dlp's info JSON.
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
            return f"{name} {value:g}{unit}: at least {low:g} is asked for"
        if high is not None and value > high:
            return f"{name} {value:g}{unit}: at most {high:g} is asked for"
    language = info.get("language")
    if settings.languages and isinstance(language, str) and not _speaks(language, settings.languages):
        return f"language {language}: asked for is {' or '.join(settings.languages)}"
    if settings.require_license and not permits(info.get("license"), settings.require_license):
        given = info.get("license") or "not given"
        return f"license {given}: asked for is {' or '.join(settings.require_license)}"
    return None


def permits(license: str | None, required: Sequence[str]) -> bool:
    """Whether a licence is one of those required, however it is spelt.

    `creativecommons` stands for YouTube's "Creative Commons Attribution license (reuse allowed)", for
    `CC BY-SA 4.0`, `CC0`, and for the addresses of creativecommons.org.
    """
    if not license:
        return False
    own = _plain(license)
    # "CC" at the start, or as a word of its own, is the usual short form.
    if re.search(r"(^|[^a-z])cc([^a-z]|$|by|0)", license.casefold()):
        own += " creativecommons"
    return any(_plain(name) in own for name in required if _plain(name))


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.casefold())


def _speaks(language: str, wanted: Sequence[str]) -> bool:
    first = language.casefold().replace("_", "-")
    return any(first == one.casefold() or first.startswith(f"{one.casefold()}-") for one in wanted)
