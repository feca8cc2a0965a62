"""Why a source cannot be had, and what is done about it: one table of causes, one of messages."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


class Cause(StrEnum):
    """What stands between a source and its file."""

    PRIVATE = "private"
    DELETED = "deleted"
    AGE_RESTRICTED = "age restricted"
    GEO_BLOCKED = "geo-blocked"
    MEMBERS_ONLY = "members only"
    LOGIN = "login"
    FORBIDDEN = "forbidden"
    BOT_CHECK = "bot check"
    RATE_LIMIT = "rate limit"
    NO_FORMAT = "no format"
    NO_VIDEO = "no video"
    LIVE = "live"
    NETWORK = "network"
    SERVER = "server"
    DISK = "disk"
    POST_PROCESSING = "post-processing"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Policy:
    """What is done about a cause.

    Attributes:
        attempts: after so many the source is dead.
        wait_s: before the second attempt; each further one waits `factor` times longer, up to `longest_s`.
        advice: what a person can do about it.
    """

    attempts: int
    advice: str
    wait_s: float = 0.0
    factor: float = 1.0
    longest_s: float = DAY

    def wait(self, attempts: int) -> float:
        """Seconds until the next attempt after `attempts` of them."""
        return min(self.wait_s * self.factor ** max(attempts - 1, 0), self.longest_s)


POLICIES: dict[Cause, Policy] = {
    Cause.PRIVATE: Policy(1, "nobody but its owner's guests can see it"),
    Cause.DELETED: Policy(1, "it is gone"),
    Cause.AGE_RESTRICTED: Policy(1, "give --cookies of an account that may see it"),
    Cause.GEO_BLOCKED: Policy(1, "give --proxy in a country that may see it"),
    Cause.MEMBERS_ONLY: Policy(1, "only paying members can see it"),
    Cause.LOGIN: Policy(1, "give --cookies of an account that may see it"),
    Cause.FORBIDDEN: Policy(3, "the host refuses: try cookies, or later", 10 * MINUTE, 4),
    Cause.BOT_CHECK: Policy(5, "the host takes us for a robot: lower the rate, give --cookies", HOUR, 2),
    Cause.RATE_LIMIT: Policy(6, "too many requests: lower the rate", 10 * MINUTE, 2),
    Cause.NO_FORMAT: Policy(2, "no format that suits the settings", HOUR),
    Cause.NO_VIDEO: Policy(2, "what came is no video: look at the address", HOUR),
    Cause.LIVE: Policy(8, "it is live or has not begun", 6 * HOUR, 2, 7 * DAY),
    Cause.NETWORK: Policy(6, "no connection, or it broke: check network and proxy", MINUTE, 4, 6 * HOUR),
    Cause.SERVER: Policy(6, "the host has a fault of its own", MINUTE, 4, 6 * HOUR),
    Cause.DISK: Policy(10, "make room on the disk or raise the budget", MINUTE, 2, HOUR),
    Cause.POST_PROCESSING: Policy(2, "the file came, but a step after it failed", MINUTE),
    Cause.UNKNOWN: Policy(3, "an error that nobody has seen: report it", 10 * MINUTE, 4),
}

# Messages of yt-dlp and of the sites it passes on, from the particular to the general; first match wins.
_MESSAGES: tuple[tuple[Cause, str], ...] = (
    (Cause.BOT_CHECK, r"confirm (that )?you.{1,6}not a (ro)?bot|captcha|anti-bot challenge|bot check"),
    (Cause.BOT_CHECK, r"unusual traffic|verify (that )?you are (a )?human"),
    (Cause.RATE_LIMIT, r"has been rate-limited|too many requests|rate.?limit(ed)? (exceeded|reached)"),
    (Cause.RATE_LIMIT, r"content isn.t available, try again later"),
    (Cause.MEMBERS_ONLY, r"members?[- ]only|available to this channel.s members|join this channel"),
    (
        Cause.MEMBERS_ONLY,
        r"requires payment|only available (to|for) (premium|paying|subscrib)|premium members",
    ),
    (Cause.AGE_RESTRICTED, r"confirm your age|age[- ]restrict|inappropriate for some users|age[- ]gate"),
    (Cause.GEO_BLOCKED, r"not (made this video )?available (in|from) your (country|location|region)"),
    (Cause.GEO_BLOCKED, r"geo.?(restrict|block)|blocked (it )?in your country"),
    (Cause.PRIVATE, r"private video|video is private|this (video|content) is set to private"),
    (Cause.LIVE, r"premieres? in|premiere will begin|live event will begin|is not currently live"),
    (Cause.LIVE, r"(live ?stream|live event) (is|has)|offline\b|is upcoming|scheduled for|is live now"),
    (
        Cause.DELETED,
        r"has been (removed|deleted|terminated|taken down)|been closed|no longer (available|exists)",
    ),
    (Cause.DELETED, r"account (associated with this video )?(has been )?terminated|uploader has closed"),
    (Cause.DELETED, r"video unavailable|this video (is unavailable|isn.t available|is not available)"),
    (Cause.DELETED, r"video (does not exist|was deleted|not found)|copyright (claim|grounds)"),
    (Cause.NO_FORMAT, r"requested format is not available|no video formats|drm protected|only images are"),
    (Cause.POST_PROCESSING, r"post-?processing|ffmpeg|ffprobe|conversion failed"),
    (Cause.DISK, r"no space left|disk quota exceeded|disk is full"),
    (Cause.LOGIN, r"log ?in|sign ?in|registered users|authentication|--cookies|account credentials"),
    (Cause.NO_VIDEO, r"unsupported url|no video (could be )?found|no media found|extension.+unusual"),
    (Cause.NO_VIDEO, r"did not get any data|file is empty|is not a valid url"),
    (Cause.NETWORK, r"timed? ?out|connection|unreachable|name resolution|getaddrinfo|bytes read|ssl|proxy"),
    (Cause.NETWORK, r"content too short|name or service not known|incomplete ?read|remote end closed"),
    (Cause.NETWORK, r"redirect loop|infinite loop|too many redirects"),
)
_PATTERNS = tuple((cause, re.compile(pattern, re.IGNORECASE)) for cause, pattern in _MESSAGES)

_STATUS: dict[int, Cause] = {
    401: Cause.LOGIN,
    402: Cause.MEMBERS_ONLY,
    403: Cause.FORBIDDEN,
    404: Cause.DELETED,
    408: Cause.NETWORK,
    410: Cause.DELETED,
    425: Cause.RATE_LIMIT,
    429: Cause.RATE_LIMIT,
    451: Cause.GEO_BLOCKED,
}
_FULL_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# Connections that never came about: the sign of a network that is down, rather than of one host's fault.
_UNREACHABLE = re.compile(
    r"connection refused|unreachable|no route|name resolution|getaddrinfo|name or service not known|"
    r"nodename nor servname|unable to connect to proxy|tunnel connection failed|failed to resolve",
    re.IGNORECASE,
)
_BUG_REPORT = re.compile(r"; please report this issue on\s.*", re.IGNORECASE | re.DOTALL)
_ADDRESS = re.compile(r"\w+://\S+")
_TERMINAL = re.compile(r"\x1b\[[0-9;]*m|[\x00-\x1f\x7f]+")


@dataclass(frozen=True)
class DownloadFailure:
    """One attempt that gave nothing.

    Attributes:
        message: one line.
        retry_after_s: what the host asked for.
        unreachable: no connection came about.
        session_limited: the site said in words that it serves us no more for a while.
    """

    cause: Cause
    message: str
    retry_after_s: float | None = None
    unreachable: bool = False
    session_limited: bool = False


def classify(error: BaseException, now: float = 0.0) -> DownloadFailure:
    """The cause of an exception of yt-dlp, or of what it carries inside.

    Args:
        error: what was raised.
        now: seconds since 1970, for a Retry-After that names a date.
    """
    chain = list(_chain(error))
    message = one_line(str(error))
    status, retry_after = _http(chain, now)
    for inner in chain:
        if isinstance(inner, OSError) and inner.errno in _FULL_DISK:
            return DownloadFailure(Cause.DISK, message)
    # A full sentence tells more than a status: sites say "private" and "bot" with 403 as well.
    spoken = _spoken(message)
    if status is not None and spoken not in (Cause.BOT_CHECK, Cause.GEO_BLOCKED, Cause.AGE_RESTRICTED):
        cause = _STATUS.get(status) or (Cause.SERVER if status >= 500 else Cause.UNKNOWN)
        # A loop of redirects ends with the status of the last one.
        cause = Cause.NETWORK if 300 <= status < 400 else cause
        return DownloadFailure(cause, message, retry_after)
    if any(type(inner).__name__ == "GeoRestrictedError" for inner in chain):
        return DownloadFailure(Cause.GEO_BLOCKED, message)
    if any(type(inner).__name__ == "UserNotLive" for inner in chain):
        return DownloadFailure(Cause.LIVE, message)
    if spoken is not None:
        unreachable = spoken is Cause.NETWORK and _UNREACHABLE.search(message) is not None
        return DownloadFailure(spoken, message, retry_after, unreachable, spoken is Cause.RATE_LIMIT)
    if any(_is_network(inner) for inner in chain):
        return DownloadFailure(Cause.NETWORK, message, unreachable=_UNREACHABLE.search(message) is not None)
    return DownloadFailure(Cause.UNKNOWN, message)


def one_line(message: str) -> str:
    """A message without colours, line ends and the request to report a fault."""
    text = _BUG_REPORT.sub("", _TERMINAL.sub(" ", message)).strip()
    return " ".join(text.removeprefix("ERROR:").split())[:500]


def _spoken(message: str) -> Cause | None:
    # An address may hold any word.
    message = _ADDRESS.sub("", message)
    return next((cause for cause, pattern in _PATTERNS if pattern.search(message)), None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception and all it carries: yt-dlp wraps in `exc_info` and `cause`, Python in its own fields."""
    seen: set[int] = set()
    todo: list[Any] = [error]
    while todo:
        one = todo.pop(0)
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        info = getattr(one, "exc_info", None)
        todo += [info[1] if isinstance(info, tuple) and len(info) > 1 else None]
        todo += [getattr(one, "cause", None), one.__cause__, one.__context__]


def _http(chain: list[BaseException], now: float) -> tuple[int | None, float | None]:
    for error in chain:
        status = getattr(error, "status", None)
        if isinstance(status, int):
            headers = getattr(getattr(error, "response", None), "headers", None) or {}
            return status, retry_after_s(headers.get("Retry-After"), now)
    return None, None


def retry_after_s(value: str | None, now: float) -> float | None:
    """Seconds that a Retry-After header asks for, as a number or as a date; None where it says nothing."""
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - now
        except ValueError:
            return None
    return min(max(seconds, 0.0), 7 * DAY) if seconds == seconds else None


def _is_network(error: BaseException) -> bool:
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool(names & {"TransportError", "RequestError", "ContentTooShortError"}) or isinstance(
        error, ConnectionError | TimeoutError
    )
