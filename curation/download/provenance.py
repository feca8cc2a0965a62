"""Provenance of a downloaded source: the stored info JSON and its hash."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from typing import Any

# Fields that change with every request or contain the network address of this machine.
_FLEETING = frozenset(
    """
    epoch _version url manifest_url fragment_base_url fragments http_headers cookies request_data
    requested_formats requested_downloads requested_subtitles requested_entries downloader_options
    automatic_captions subtitles thumbnails heatmap filesize_approx formats_table available_at
    filename _filename filepath infojson_filename original_url playlist_autonumber
    """.split()  # noqa: SIM905
)


def info_document(info: Mapping[str, Any]) -> bytes:
    """Return the info JSON to store: sorted, without stream addresses and fields that change by the hour."""
    return (json.dumps(_kept(info), sort_keys=True, ensure_ascii=False, indent=1) + "\n").encode()


def info_sha256(document: bytes) -> str:
    """Return the SHA-256 of an info JSON in hex."""
    return hashlib.sha256(document).hexdigest()


def uploader_id(info: Mapping[str, Any]) -> str | None:
    """Return the id of the uploader, else of the channel, else the name of the uploader."""
    value = info.get("uploader_id") or info.get("channel_id") or info.get("uploader")
    return str(value) if value else None


def rights_evidence(license: str | None, fetched_at: float, info_hash: str) -> str:
    """Return the JSON line of licence, time and info hash for the clips of a source."""
    seen = dt.datetime.fromtimestamp(fetched_at, dt.UTC).isoformat(timespec="seconds")
    document = {"license": license, "seen_at": seen, "info_json_sha256": info_hash}
    return json.dumps(document, sort_keys=True, ensure_ascii=False)


def _kept(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            str(name): _kept(inner)
            for name, inner in value.items()
            if name not in _FLEETING and not str(name).startswith("__") and inner is not None
        }
    if isinstance(value, list | tuple):
        return [_kept(inner) for inner in value]
    if isinstance(value, float) and value != value:
        return None
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)
