"""One worker's way to footage: yt-dlp as a library, every request through the gate."""

from __future__ import annotations

import contextlib
import copy
import errno
import hashlib
import io
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yt_dlp
from yt_dlp.cookies import YoutubeDLCookieJar
from yt_dlp.extractor.common import InfoExtractor
from yt_dlp.networking import Request
from yt_dlp.networking.common import Response
from yt_dlp.networking.exceptions import HTTPError
from yt_dlp.utils import DownloadCancelled

from curation.download import integrity, provenance
from curation.download.database import is_full
from curation.download.failures import Cause, DownloadFailure, retry_after_s
from curation.download.files import CACHE, INFO, PARTIAL, SOURCES, Partial, sync
from curation.download.ledger import FetchedSource, LedgerEntry
from curation.download.prefilter import is_live, objection
from curation.download.rate_limiter import RateLimiter, RateLimiterLost
from curation.download.settings import DownloadSettings
from talkingpose.io.errors import UserError

# The sessions of a process claim room on the disk one after the other.
_CLAIMS = threading.Lock()
_CHECK_ROOM_S = 1.0


class YtDlpClientError(UserError):
    """An option of the downloads that cannot be used, such as a cookies file."""


class Paused(DownloadCancelled):  # type: ignore[misc]
    """Breaker open, gate lost or the run ends; the source goes back, its attempt does not count."""


class TooSlow(DownloadCancelled):  # type: ignore[misc]
    """A download stayed below the least speed."""


class Refused(Exception):  # noqa: N818
    """The source exists and is not wanted."""

    def __init__(self, reason: str, license: str | None, info_sha256: str) -> None:
        super().__init__(reason)
        self.reason, self.license, self.info_sha256 = reason, license, info_sha256


class DownloadFailed(Exception):  # noqa: N818
    """The attempt gave nothing, for a reason that is no exception of yt-dlp."""

    def __init__(self, failure: DownloadFailure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class NoRoom(Exception):  # noqa: N818
    """The file would not fit into the disk's budget now."""


@dataclass(frozen=True)
class Access:
    """How hosts are reached: cookies as the text of a Netscape file, and a proxy's address."""

    cookies: str | None = None
    proxy: str | None = None


def read_access(cookies: Path | None, proxy: str | None) -> Access:
    """Check what the user gave before anything is fetched; the cookies file itself is never written.

    Raises:
        SessionError: no such file, not in Netscape's format, or no address of a proxy.
    """
    if proxy is not None:
        parts = urlsplit(proxy)
        if (
            parts.scheme not in ("http", "https", "socks4", "socks4a", "socks5", "socks5h")
            or not parts.hostname
        ):
            raise YtDlpClientError(
                "proxy: no address of one: give it as http://HOST:PORT or socks5://HOST:PORT"
            )
    if cookies is None:
        return Access(None, proxy)
    try:
        text = cookies.read_text(encoding="utf-8")
        jar = YoutubeDLCookieJar(io.StringIO(text))
        # It warns of every line that it does not know.
        with contextlib.redirect_stderr(io.StringIO()):
            jar.load()
    except OSError as error:
        # The cookie jar's own LoadError is an OSError without a number.
        reason = error.strerror or "it is not in Netscape's format"
        raise YtDlpClientError(f"cookies {cookies}: {reason}: export them as cookies.txt") from error
    except ValueError as error:
        raise YtDlpClientError(f"cookies {cookies}: it is no text: export them as cookies.txt") from error
    if not len(jar):
        raise YtDlpClientError(f"cookies {cookies}: it holds no cookie: export them as cookies.txt")
    clean = io.StringIO()
    jar.save(clean)
    return Access(clean.getvalue(), proxy)


class YtDlpClient:
    """Fetches one source after the other; belongs to one thread.

    Args:
        folder: of the acquisition; files come under `sources/KEY/`, unfinished ones under `partial/`.
        room: bytes that the file of a source, named by its key, may have; None without a limit.
        stop: ends waiting for a gate.
        extractors: classes that yt-dlp tries before its own.
    """

    def __init__(
        self,
        folder: Path,
        gate: RateLimiter,
        settings: DownloadSettings,
        access: Access,
        *,
        room: Callable[[str], int | None] = lambda key: None,
        stop: threading.Event | None = None,
        extractors: Sequence[type[InfoExtractor]] = (),
    ) -> None:
        self._folder = folder
        self._gate = gate
        self._settings = settings
        self._room = room
        self._stop = stop or threading.Event()
        self._key = ""
        # Whether a file is coming, for which there is room; whoever asked for it takes this back.
        self.has_claim = False
        self._ydl = _gated(self._pass, self._saw, self._options(access), extractors)
        self._slow_since: float | None = None
        self._checked_at = 0.0
        # Requests for the file that is coming; None while a description is asked for.
        self._pieces: int | None = None

    def close(self) -> None:
        """Close connections."""
        self._ydl.close()

    def look(self, entry: LedgerEntry) -> dict[str, Any]:
        """The info JSON of a source, nothing downloaded.

        Raises:
            Failed: it is no single video.
            yt_dlp.utils.YoutubeDLError: whatever stands in the way.
        """
        self._key = entry.key
        info = self._ydl.extract_info(entry.url, download=False)
        if not isinstance(info, dict):
            raise DownloadFailed(DownloadFailure(Cause.NO_VIDEO, f"{entry.url}: nothing is known of it"))
        if info.get("_type", "video") != "video" or "entries" in info:
            raise DownloadFailed(
                DownloadFailure(Cause.NO_VIDEO, f"{entry.url}: a list of videos: give their addresses")
            )
        return info

    def audit(self, entry: LedgerEntry) -> FetchedSource:
        """Whether a source still exists, nothing downloaded; raises as `look` does, and Failed if live."""
        info = self.look(entry)
        if is_live(info):
            raise DownloadFailed(DownloadFailure(Cause.LIVE, "it is live or has not begun"))
        digest = provenance.info_sha256(provenance.info_document(info))
        return FetchedSource(
            "", 0, "", info.get("license"), provenance.uploader_id(info), time.time(), digest
        )

    def fetch(self, entry: LedgerEntry) -> FetchedSource:
        """Bring a source to the disk; what an earlier attempt left is used.

        Raises:
            Refused, Failed, NoRoom, Paused, TooSlow: as their descriptions say.
            yt_dlp.utils.YoutubeDLError, OSError: whatever stands in the way, for `classify`.
        """
        finished = self._adopt(entry)
        if finished is not None:
            return finished
        partial = Partial(self._folder / PARTIAL, entry.key)
        whole = partial.whole()
        if whole is None:
            whole = self._download(entry, partial)
        problem = integrity.flaw(whole)
        if problem is not None:
            partial.clear()
            raise DownloadFailed(problem)
        return self._keep(entry, partial, whole)

    def _download(self, entry: LedgerEntry, partial: Partial) -> Path:
        info = self.look(entry)
        document = provenance.info_document(info)
        license = info.get("license")
        if is_live(info):
            raise DownloadFailed(DownloadFailure(Cause.LIVE, "it is live or has not begun"))
        reason = objection(info, self._settings.prefilter)
        if reason is not None:
            raise Refused(reason, license, provenance.info_sha256(document))
        with _CLAIMS:
            self._check_room(info)
            self.has_claim = True
            partial.begin(document, info)
        self._slow_since, self._checked_at = None, time.monotonic()
        self._ydl.params["outtmpl"]["default"] = str(partial.template()).replace("%", "%%") + ".%(ext)s"
        chosen = copy.deepcopy(self._ydl.sanitize_info(info, remove_private_keys=True))
        self._pieces = 0
        try:
            self._ydl.process_ie_result(chosen, download=True)
        finally:
            self._pieces = None
        whole = partial.whole()
        if whole is None:
            raise DownloadFailed(
                DownloadFailure(Cause.UNKNOWN, "yt-dlp ended without an error and without a file")
            )
        return whole

    def _check_room(self, info: Mapping[str, Any]) -> None:
        room, size = self._room(self._key), info.get("filesize") or info.get("filesize_approx") or 0
        budget = self._settings.disk.budget_gb
        if budget is not None and size > budget * 1e9:
            raise DownloadFailed(
                DownloadFailure(
                    Cause.DISK, f"{size / 1e9:.1f} GB are more than the whole budget of {budget:g} GB"
                )
            )
        if room is not None and (size > room or room <= 0):
            raise NoRoom

    def _adopt(self, entry: LedgerEntry) -> FetchedSource | None:
        """What an earlier attempt brought to its place without living to enter it in the ledger."""
        folder = self._folder / SOURCES / entry.key
        videos = list(folder.glob("video.*")) if folder.is_dir() else []
        if len(videos) != 1 or not (folder / INFO).is_file():
            return None
        return self._described(folder / INFO, videos[0])

    def _keep(self, entry: LedgerEntry, partial: Partial, whole: Path) -> FetchedSource:
        """Synced, then in its place: the description first, so that a video is never without one."""
        folder = self._folder / SOURCES / entry.key
        folder.mkdir(parents=True, exist_ok=True)
        sync(whole)
        sync(partial.info)
        partial.info.replace(folder / INFO)
        video = folder / f"video{whole.suffix}"
        whole.replace(video)
        sync(folder)
        partial.clear()
        return self._described(folder / INFO, video)

    def _described(self, info: Path, video: Path) -> FetchedSource:
        document = info.read_bytes()
        fields = json.loads(document)
        with video.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return FetchedSource(
            file=video.relative_to(self._folder).as_posix(),
            num_bytes=video.stat().st_size,
            sha256=digest,
            license=fields.get("license"),
            uploader_id=provenance.uploader_id(fields),
            fetched_at=info.stat().st_mtime,
            info_sha256=provenance.info_sha256(document),
        )

    # yt-dlp

    def _options(self, access: Access) -> dict[str, Any]:
        settings = self._settings
        rate = settings.politeness.bytes_per_s
        return {
            "quiet": True,
            "noprogress": True,
            "no_warnings": True,
            "logger": _Silence(),
            "format": _selector(settings),
            "format_sort": ["vcodec:h264", "res", "fps", "ext:mp4:m4a"],
            "outtmpl": {"default": ""},
            "noplaylist": True,
            "extract_flat": "in_playlist",
            "playlist_items": "1:2",
            "cachedir": str(self._folder / CACHE),
            "cookiefile": io.StringIO(access.cookies) if access.cookies is not None else None,
            "proxy": access.proxy,
            "socket_timeout": settings.timeout_s,
            "ratelimit": rate / settings.workers if rate else None,
            "progress_hooks": [self._watch],
            # The ledger decides about further attempts, and an unfinished file is continued by the next.
            "retries": 0,
            "extractor_retries": 0,
            "file_access_retries": 1,
            "fragment_retries": 2,
            "skip_unavailable_fragments": False,
            "continuedl": True,
            "updatetime": False,
            "fixup": "never",
            "geo_bypass": False,
        }

    def _pass(self, url: str) -> None:
        """Before every request: wait for its slot."""
        try:
            wait_s = self._gate.reserve(urlsplit(url).hostname or "", self._key, bool(self._pieces))
            if wait_s is None or self._stop.wait(wait_s):
                raise Paused("stopped")
            # It may have opened while this thread slept.
            if wait_s > 0 and self._gate.look().breaker.state == "open":
                raise Paused("stopped")
            if self._pieces is not None:
                self._pieces += 1
        except RateLimiterLost as lost:
            raise Paused("the gate is lost") from lost
        except sqlite3.OperationalError as error:
            if not is_full(error):
                raise
            raise OSError(errno.ENOSPC, "no room for the ledger") from error

    def _saw(self, url: str, answered: str | None, error: HTTPError | None) -> None:
        """After every request: pay for redirects, count refusals even where an extractor hides them."""
        try:
            if error is not None and error.status == 429:
                value = error.response.headers.get("Retry-After")
                self._gate.rate_limited(retry_after_s(value, time.time()))
            if answered is not None and answered != url:
                self._gate.charge(1)
        except RateLimiterLost as lost:
            raise Paused("the gate is lost") from lost

    def _watch(self, progress: Mapping[str, Any]) -> None:
        """While bytes come: the run may end, and a drip is no download."""
        if self._stop.is_set():
            raise Paused("stopped")
        if time.monotonic() - self._checked_at > _CHECK_ROOM_S:
            # Of many files nobody says how large they are.
            self._checked_at = time.monotonic()
            room = self._room(self._key)
            if room is not None and room < (progress.get("downloaded_bytes") or 0):
                raise NoRoom
        speed = progress.get("speed")
        if progress.get("status") != "downloading" or not speed or speed >= self._settings.min_bytes_per_s:
            self._slow_since = None
            return
        now = time.monotonic()
        self._slow_since = self._slow_since if self._slow_since is not None else now
        if now - self._slow_since > self._settings.slow_for_s:
            raise TooSlow(f"{speed:.0f} bytes a second for {self._settings.slow_for_s:g} s: too slow")


def _selector(settings: DownloadSettings) -> str:
    """yt-dlp's words for: one file, H.264 first, no larger than asked, without sound unless asked for."""
    limit = settings.formats.max_height
    fits = f"[height<=?{limit}]" if limit else ""
    kinds = ("best",) if settings.formats.audio else ("bestvideo", "best")
    wanted = [f"{kind}[vcodec~='^(avc|h264)']{fits}" for kind in kinds] + [f"{kind}{fits}" for kind in kinds]
    # Where everything is larger than asked, the smallest.
    return "/".join([*wanted, "worstvideo", "worst"] if not settings.formats.audio else [*wanted, "worst"])


def _gated(
    gate: Callable[[str], None],
    saw: Callable[[str, str | None, HTTPError | None], None],
    options: dict[str, Any],
    extractors: Sequence[type[InfoExtractor]],
) -> yt_dlp.YoutubeDL:
    """A YoutubeDL whose every request passes the gate."""

    class Gated(yt_dlp.YoutubeDL):  # type: ignore[misc]
        def urlopen(self, req: str | Request) -> Response:
            url = req if isinstance(req, str) else req.url
            gate(url)
            try:
                response = super().urlopen(req)
            except HTTPError as error:
                saw(url, None, error)
                raise
            saw(url, response.url, None)
            return response

    ydl = Gated(options, auto_init=False)
    for extractor in extractors:
        ydl.add_info_extractor(extractor())
    ydl.add_default_info_extractors()
    return ydl


class _Silence:
    """yt-dlp's log: everything worth knowing comes as an exception."""

    def debug(self, message: str) -> None:
        """Nothing."""

    warning = error = info = debug
