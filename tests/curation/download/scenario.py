"""Sources of every kind, with the state in which each has to end."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from loopback import Loopback

from curation.download.settings import DownloadSettings
from curation.download.source_list import RemoteSource, parse_address
from talkingpose.io.progress import Progress
from talkingpose.media import VideoWriter

LICENSE = "Creative Commons Attribution license (reuse allowed)"


@dataclass(frozen=True)
class Expected:
    """A source with its final state and cause, and the bytes of its file."""

    wanted: RemoteSource
    kind: str
    state: str
    cause: str | None
    data: bytes | None


class Lines(list[str], Progress):
    """Progress that collects its messages."""

    def message(self, text: str) -> None:
        self.append(text)


def settings(**changes: Any) -> DownloadSettings:
    """Default settings with the waits of a test."""
    values: dict[str, Any] = {
        "workers": 4,
        "politeness": {
            "requests_per_minute": 9600,
            "burst": 8,
            "pause_s": 0.004,
            "jitter": 0.5,
            "sessions_per_host": 4,
        },
        "breaker": {"rate_limits": 3, "wait_s": 0.4, "factor": 1.5, "longest_s": 1.0},
        "prefilter": {"min_duration_s": 1, "min_height": 40},
        "disk": {"min_free_gb": 0, "poll_s": 0.2},
        "timeout_s": 0.7,
        "min_bytes_per_s": 5000,
        "slow_for_s": 0.3,
        "wait_scale": 1e-6,
        "lease_s": 20,
    }
    return DownloadSettings.model_validate({**values, **changes})


def make_footage(folder: Path, number: int = 4) -> list[bytes]:
    """Return small videos, all different."""
    files = []
    for index in range(number):
        path = folder / f"footage{index}.mp4"
        with VideoWriter(path, fps=Fraction(25), crf=30, preset="ultrafast") as writer:
            for frame in range(40):
                x, y = np.meshgrid(np.arange(64), np.arange(48))
                image = np.stack(
                    [(x * 3 + frame * 5) % 256, (y * 5 + index * 40) % 256, (x * y + frame) % 256], -1
                )
                writer.write(image.astype(np.uint8))
        files.append(path.read_bytes())
    return files


def own(data: bytes, number: int) -> bytes:
    """Return a video with unique bytes: a box that players skip."""
    return data + struct.pack(">I4sQ", 16, b"free", number)


def large(data: bytes, size: int) -> bytes:
    """Return a video followed by bytes that players skip."""
    filling = np.random.default_rng(1).bytes(size)
    return data + struct.pack(">I4s", 8 + size, b"free") + filling


def scenario(site: Loopback, footage: list[bytes], share: float = 1.0) -> list[Expected]:
    """Fill a site; returns the expected results.

    Args:
        share: share of the 300 sources; at least one of every kind.
    """
    found: list[Expected] = []

    def direct(kind: str, number: int, path: str, state: str, cause: str | None) -> None:
        for index in range(math.ceil(number * share)):
            place = len(found)
            name = f"{kind}-{index}.mp4"
            site.files[name] = own(footage[place % len(footage)], place)
            wanted = parse_address(site.url(path.format(name=name), host=place))
            data = site.files[name] if state == "done" else None
            found.append(Expected(wanted, kind, state, cause, data))

    def tube(
        kind: str, number: int, info: Callable[[dict[str, Any]], Any], state: str, cause: str | None
    ) -> None:
        for index in range(math.ceil(number * share)):
            place = len(found)
            video = f"{kind[:6]:_<6}{index:05d}"
            name = f"{kind}-{index}.mp4"
            site.files[name] = own(footage[place % len(footage)], place)
            site.infos[video] = info(_described(site.url(f"ok/{name}", host=place), place))
            data = site.files[name] if state == "done" else None
            found.append(Expected(parse_address(video), kind, state, cause, data))

    direct("ok", 60, "ok/{name}", "done", None)
    direct("norange", 5, "norange/{name}", "done", None)
    direct("redirect", 8, "moved/{name}", "done", None)
    direct("drip", 4, "drip/{name}", "done", None)
    direct("429-twice", 4, "twice/429/{name}", "done", None)
    direct("429-after", 2, "after/1/{name}", "done", None)
    direct("503-twice", 6, "twice/503/{name}", "done", None)
    direct("stalled-once", 4, "hang/{name}", "done", None)
    direct("cut-once", 10, "cut/{name}", "done", None)
    direct("404", 12, "status/404/{name}", "dead", "deleted")
    direct("410", 6, "status/410/{name}", "dead", "deleted")
    direct("403", 6, "status/403/{name}", "dead", "forbidden")
    direct("401", 3, "status/401/{name}", "dead", "login")
    direct("451", 2, "status/451/{name}", "dead", "geo-blocked")
    direct("429-always", 1, "status/429/{name}", "dead", "rate limit")
    direct("500", 4, "status/500/{name}", "dead", "server")
    direct("stalled", 2, "stall/{name}", "dead", "network")
    direct("broken", 3, "broken/{name}", "dead", "network")
    direct("too-long", 3, "long/{name}", "dead", "network")
    direct("too-short", 3, "short/{name}", "dead", "network")
    direct("reset", 2, "reset/{name}", "dead", "network")
    direct("trickle", 2, "trickle/{name}", "dead", "network")
    direct("loop", 2, "loop/{name}", "dead", "network")
    direct("login-page", 8, "login/{name}", "dead", "no video")
    direct("disguised", 4, "disguised/{name}", "dead", "no video")

    def says(message: str, name: str = "error") -> Callable[[dict[str, Any]], Any]:
        return lambda info: {name: message}

    def at_first(first: dict[str, Any]) -> Callable[[dict[str, Any]], Any]:
        return lambda info: lambda number: first if number == 0 else info

    tube("tube", 74, lambda info: info, "done", None)
    tube("h264", 5, _also_av1, "done", None)
    # The message of the site has a typographic apostrophe.
    bot = (
        "Sign in to confirm you\N{RIGHT SINGLE QUOTATION MARK}re not a bot. "
        "Use --cookies-from-browser or --cookies for the authentication"
    )
    tube("botonce", 2, at_first({"error": bot}), "done", None)
    tube("botever", 1, says(bot), "dead", "bot check")
    tube("liveonce", 2, at_first({"error": "This live event will begin in 3 hours."}), "done", None)
    tube("livever", 3, lambda info: {**info, "is_live": True}, "dead", "live")
    tube(
        "private",
        9,
        says("Private video. Sign in if you've been granted access to this video"),
        "dead",
        "private",
    )
    gone = "Video unavailable. This video has been removed by the uploader"
    tube("gone", 9, says(gone, "no_formats"), "dead", "deleted")
    tube(
        "aged",
        6,
        says("Sign in to confirm your age. This video may be inappropriate for some users."),
        "dead",
        "age restricted",
    )
    geo = "The uploader has not made this video available in your country"
    tube("geo", 6, says(geo, "geo"), "dead", "geo-blocked")
    members = (
        "Join this channel to get access to members-only content like this video, and other exclusive perks."
    )
    tube("member", 5, says(members), "dead", "members only")
    tube("empty", 3, lambda info: {**info, "formats": []}, "dead", "no format")
    tube("drm", 2, says("This video is DRM protected", "no_formats"), "dead", "no format")
    tube("brief", 4, lambda info: {**info, "duration": 0.5}, "rejected", None)
    tube("lowres", 3, _of_height(24), "rejected", None)
    return found


def _described(url: str, place: int) -> dict[str, Any]:
    return {
        "formats": [_format(url, "avc1.42001e", "h264", 48)],
        "duration": 1.6,
        "license": LICENSE,
        "uploader_id": f"@uploader{place % 7}",
        "channel_id": f"channel{place % 7}",
        "upload_date": "20240501",
        "language": "en",
    }


def _format(url: str, codec: str, name: str, height: int) -> dict[str, Any]:
    return {
        "format_id": name,
        "url": url,
        "ext": "mp4",
        "vcodec": codec,
        "acodec": "none",
        "width": height * 4 // 3,
        "height": height,
        "fps": 25,
    }


def _also_av1(info: dict[str, Any]) -> dict[str, Any]:
    url = info["formats"][0]["url"]
    return {**info, "formats": [*info["formats"], _format(f"{url}?av1", "av01.0.05M.08", "av1", 1080)]}


def _of_height(height: int) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda info: {**info, "formats": [_format(info["formats"][0]["url"], "avc1", "h264", height)]}
