"""Causes of failed downloads: a retry policy for each, and the messages that identify them."""

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
    """Cause of a failed download."""

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
    """Retry policy of a cause.

    Attributes:
        attempts: number of attempts after which the source is dead.
        advice: action that the user can take.
        wait_s: seconds before the second attempt; each further wait is `factor` times longer, at most
            `longest_s`.
    """

    attempts: int
    advice: str
    wait_s: float = 0.0
    factor: float = 1.0
    longest_s: float = DAY

    def wait(self, attempts: int) -> float:
        """Return the seconds until the next attempt after `attempts` of them."""
        return min(self.wait_s * self.factor ** max(attempts - 1, 0), self.longest_s)


POLICIES: dict[Cause, Policy] = {
    Cause.PRIVATE: Policy(1, "visible only to guests of its owner"),
    Cause.DELETED: Policy(1, "deleted by its owner or the site"),
    Cause.AGE_RESTRICTED: Policy(1, "give --cookies of an account with access"),
    Cause.GEO_BLOCKED: Policy(1, "give --proxy in a country with access"),
    Cause.MEMBERS_ONLY: Policy(1, "visible only to paying members"),
    Cause.LOGIN: Policy(1, "give --cookies of an account with access"),
    Cause.FORBIDDEN: Policy(3, "refused by the host: give --cookies, or try later", 10 * MINUTE, 4),
    Cause.BOT_CHECK: Policy(5, "the host suspects a robot: lower --rate, give --cookies", HOUR, 2),
    Cause.RATE_LIMIT: Policy(6, "too many requests: lower --rate", 10 * MINUTE, 2),
    Cause.NO_FORMAT: Policy(2, "no format fits the settings", HOUR),
    Cause.NO_VIDEO: Policy(2, "not a video: check the address", HOUR),
    Cause.LIVE: Policy(8, "live, or not yet begun", 6 * HOUR, 2, 7 * DAY),
    Cause.NETWORK: Policy(6, "no connection, or it broke: check network and --proxy", MINUTE, 4, 6 * HOUR),
    Cause.SERVER: Policy(6, "failure of the host", MINUTE, 4, 6 * HOUR),
    Cause.DISK: Policy(10, "free disk space or raise --disk-budget", MINUTE, 2, HOUR),
    Cause.POST_PROCESSING: Policy(2, "downloaded, but a later step failed", MINUTE),
    Cause.UNKNOWN: Policy(3, "unknown error: report it", 10 * MINUTE, 4),
}

# Messages of yt-dlp and of the sites, from the specific to the general; the first match wins.
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
# Causes whose message decides even against the status.
_OVER_STATUS = (Cause.BOT_CHECK, Cause.GEO_BLOCKED, Cause.AGE_RESTRICTED)
_FULL_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# Connections that were never established: a sign of a network that is down rather than of a faulty host.
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
    """A failed attempt.

    Attributes:
        cause: cause of the failure.
        message: one line.
        retry_after_s: seconds that the host asks to wait.
        unreachable: no connection was established.
        session_limited: the site stated that it refuses further requests for a while.
    """

    cause: Cause
    message: str
    retry_after_s: float | None = None
    unreachable: bool = False
    session_limited: bool = False


def classify(error: BaseException, now: float = 0.0) -> DownloadFailure:
    """Return the cause of an exception of yt-dlp or of an exception that it wraps.

    Args:
        error: the exception.
        now: seconds since 1970, for a Retry-After that names a date.
    """
    chain = list(_chain(error))
    message = one_line(str(error))
    status, retry_after = _http(chain, now)
    for inner in chain:
        if isinstance(inner, OSError) and inner.errno in _FULL_DISK:
            return DownloadFailure(Cause.DISK, message)
    # A message is more specific than a status: sites answer "private" and "bot" with 403 as well.
    cause_of_message = _cause_of_message(message)
    if status is not None and cause_of_message not in _OVER_STATUS:
        cause = _STATUS.get(status) or (Cause.SERVER if status >= 500 else Cause.UNKNOWN)
        # A loop of redirects ends with the status of the last one.
        cause = Cause.NETWORK if 300 <= status < 400 else cause
        return DownloadFailure(cause, message, retry_after)
    if any(type(inner).__name__ == "GeoRestrictedError" for inner in chain):
        return DownloadFailure(Cause.GEO_BLOCKED, message)
    if any(type(inner).__name__ == "UserNotLive" for inner in chain):
        return DownloadFailure(Cause.LIVE, message)
    if cause_of_message is not None:
        unreachable = cause_of_message is Cause.NETWORK and _UNREACHABLE.search(message) is not None
        limited = cause_of_message is Cause.RATE_LIMIT
        return DownloadFailure(cause_of_message, message, retry_after, unreachable, limited)
    if any(_is_network(inner) for inner in chain):
        return DownloadFailure(Cause.NETWORK, message, unreachable=_UNREACHABLE.search(message) is not None)
    return DownloadFailure(Cause.UNKNOWN, message)


def one_line(message: str) -> str:
    """Strip colours, line ends and the request to report a bug from a message."""
    text = _BUG_REPORT.sub("", _TERMINAL.sub(" ", message)).strip()
    return " ".join(text.removeprefix("ERROR:").split())[:500]


def _cause_of_message(message: str) -> Cause | None:
    # An address may contain any word.
    message = _ADDRESS.sub("", message)
    return next((cause for cause, pattern in _PATTERNS if pattern.search(message)), None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and those it wraps: yt-dlp uses `exc_info` and `cause`, Python its own fields."""
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
    """Return the seconds of a Retry-After header, a number or a date; None if it is missing or invalid."""
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
