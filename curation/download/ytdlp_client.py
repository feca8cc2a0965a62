"""Client of one worker: yt-dlp as a library, with every request through the rate limiter."""

from __future__ import annotations

import copy
import errno
import hashlib
import io
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yt_dlp
from yt_dlp.extractor.common import InfoExtractor
from yt_dlp.networking import Request
from yt_dlp.networking.common import Response
from yt_dlp.networking.exceptions import HTTPError
from yt_dlp.utils import DownloadCancelled, YoutubeDLError

from curation.download import integrity, provenance
from curation.download.access import Access
from curation.download.database import is_disk_full
from curation.download.failures import Cause, DownloadFailure, retry_after_s
from curation.download.files import CACHE, INFO, PARTIAL, SOURCES, Partial, partial_bytes, sync
from curation.download.ledger import FetchedSource, LedgerEntry
from curation.download.prefilter import find_objection, is_live
from curation.download.rate_limiter import RateLimiter
from curation.download.settings import DownloadSettings

# The clients of a process claim room on the disk one after the other.
_CLAIMS = threading.Lock()
_CHECK_ROOM_S = 1.0
# Messages of yt-dlp if a server has nothing after the unfinished file, which then is complete or damaged.
_NOTHING_LEFT = ("Did not get any data blocks", "HTTP Error 416")


class Paused(DownloadCancelled):  # type: ignore[misc]
    """The breaker is open or the run ends; the source is released and its attempt does not count."""


class TooSlow(DownloadCancelled):  # type: ignore[misc]
    """A download stayed below the minimum speed."""


class Rejected(Exception):  # noqa: N818
    """The source exists and fails the prefilter."""

    def __init__(self, reason: str, license: str | None, info_sha256: str) -> None:
        super().__init__(reason)
        self.reason, self.license, self.info_sha256 = reason, license, info_sha256


class DownloadFailed(Exception):  # noqa: N818
    """The attempt failed for a reason that is not an exception of yt-dlp."""

    def __init__(self, failure: DownloadFailure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class NoRoom(Exception):  # noqa: N818
    """The file does not fit the disk budget now."""


class YtDlpClient:
    """Client that downloads one source at a time; belongs to one thread.

    Args:
        folder: folder of downloads, with `sources/KEY/` for finished and `partial/` for unfinished files.
        rate_limiter: asked before every request.
        settings: settings of downloads.
        access: cookies and proxy.
        room: returns the bytes that the file of a source, given by its key, may have; None for no limit.
        stop: ends every wait.
        extractors: classes that yt-dlp tries before its own.
    """

    def __init__(
        self,
        folder: Path,
        rate_limiter: RateLimiter,
        settings: DownloadSettings,
        access: Access,
        *,
        room: Callable[[str], int | None] = lambda key: None,
        stop: threading.Event | None = None,
        extractors: Sequence[type[InfoExtractor]] = (),
    ) -> None:
        self._folder = folder
        self._rate_limiter = rate_limiter
        self._settings = settings
        self._room = room
        self._stop = stop or threading.Event()
        self._key = ""
        # True while a file is downloaded that has room on the disk; the caller resets it.
        self.has_claim = False
        self._ydl = _limited(self._before, self._after, self._options(access), extractors)
        self._slow_since: float | None = None
        self._checked_at = 0.0
        # Number of requests for the file in progress; None during the look-up of a description.
        self._pieces: int | None = None

    def close(self) -> None:
        """Close connections."""
        self._ydl.close()

    def look_up(self, entry: LedgerEntry) -> dict[str, Any]:
        """Return the info JSON of a source; nothing is downloaded.

        Raises:
            DownloadFailed: it is not a single video.
            yt_dlp.utils.YoutubeDLError: any other failure.
        """
        self._key = entry.key
        info = self._ydl.extract_info(entry.url, download=False)
        if not isinstance(info, dict):
            raise DownloadFailed(DownloadFailure(Cause.NO_VIDEO, f"{entry.url}: no description"))
        if info.get("_type", "video") != "video" or "entries" in info:
            raise DownloadFailed(
                DownloadFailure(Cause.NO_VIDEO, f"{entry.url}: a list of videos: give their addresses")
            )
        return info

    def audit(self, entry: LedgerEntry) -> FetchedSource:
        """Check that a source exists; raises as `look_up`, and DownloadFailed if it is live."""
        info = self.look_up(entry)
        if is_live(info):
            raise DownloadFailed(DownloadFailure(Cause.LIVE, "live, or not yet begun"))
        digest = provenance.info_sha256(provenance.info_document(info))
        return FetchedSource(
            "", 0, "", info.get("license"), provenance.uploader_id(info), time.time(), digest
        )

    def fetch(self, entry: LedgerEntry) -> FetchedSource:
        """Download a source; files of an earlier attempt are continued.

        Raises:
            Rejected, DownloadFailed, NoRoom, Paused, TooSlow: see their descriptions.
            yt_dlp.utils.YoutubeDLError, OSError: any other failure, for `classify`.
        """
        finished = self._adopt(entry)
        if finished is not None:
            return finished
        partial = Partial(self._folder / PARTIAL, entry.key)
        whole = partial.whole()
        if whole is None:
            whole = self._download(entry, partial)
        problem = integrity.find_flaw(whole)
        if problem is not None:
            partial.clear()
            raise DownloadFailed(problem)
        return self._keep(entry, partial, whole)

    def _download(self, entry: LedgerEntry, partial: Partial) -> Path:
        info = self.look_up(entry)
        document = provenance.info_document(info)
        license = info.get("license")
        if is_live(info):
            raise DownloadFailed(DownloadFailure(Cause.LIVE, "live, or not yet begun"))
        reason = find_objection(info, self._settings.prefilter)
        if reason is not None:
            raise Rejected(reason, license, provenance.info_sha256(document))
        # Before `begin`, whose files count as well.
        resumed = partial_bytes(self._folder, entry.key) > 0
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
        except YoutubeDLError as error:
            if not (resumed and any(message in str(error) for message in _NOTHING_LEFT)):
                raise
            # Another attempt to resume would fail the same way.
            partial.clear()
            return self._download(entry, partial)
        finally:
            self._pieces = None
        whole = partial.whole()
        if whole is None:
            raise DownloadFailed(
                DownloadFailure(Cause.UNKNOWN, "yt-dlp returned neither an error nor a file")
            )
        return whole

    def _check_room(self, info: Mapping[str, Any]) -> None:
        room, size = self._room(self._key), info.get("filesize") or info.get("filesize_approx") or 0
        budget = self._settings.disk.budget_gb
        if budget is not None and size > budget * 1e9:
            raise DownloadFailed(
                DownloadFailure(Cause.DISK, f"{size / 1e9:.1f} GB exceed the whole budget of {budget:g} GB")
            )
        if room is not None and (size > room or room <= 0):
            raise NoRoom

    def _adopt(self, entry: LedgerEntry) -> FetchedSource | None:
        """Return the finished file of an attempt that was killed before it entered it in the ledger."""
        folder = self._folder / SOURCES / entry.key
        videos = list(folder.glob("video.*")) if folder.is_dir() else []
        if len(videos) != 1 or not (folder / INFO).is_file():
            return None
        return self._described(folder / INFO, videos[0])

    def _keep(self, entry: LedgerEntry, partial: Partial, whole: Path) -> FetchedSource:
        """Sync and move the files: the description first, so that no video is without one."""
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
            "logger": _SilentLogger(),
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
            # The ledger decides about further attempts, and the next one continues an unfinished file.
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

    def _before(self, url: str) -> None:
        """Wait for the slot of a request."""
        try:
            wait_s = self._rate_limiter.reserve(urlsplit(url).hostname or "", self._key, bool(self._pieces))
            if wait_s is None or self._stop.wait(wait_s):
                raise Paused("stopped")
            # The breaker may have opened during the wait.
            if wait_s > 0 and self._rate_limiter.state().breaker.state == "open":
                raise Paused("stopped")
            if self._pieces is not None:
                self._pieces += 1
        except sqlite3.OperationalError as error:
            if not is_disk_full(error):
                raise
            raise OSError(errno.ENOSPC, "no room for the ledger") from error

    def _after(self, url: str, final_url: str | None, error: HTTPError | None) -> None:
        """Charge redirects, and count 429 answers even if an extractor hides them."""
        if error is not None and error.status == 429:
            value = error.response.headers.get("Retry-After")
            self._rate_limiter.rate_limited(retry_after_s(value, time.time()))
        if final_url is not None and final_url != url:
            self._rate_limiter.charge(1)

    def _watch(self, progress: Mapping[str, Any]) -> None:
        """Check a download in progress: end of the run, room on the disk, minimum speed."""
        if self._stop.is_set():
            raise Paused("stopped")
        if time.monotonic() - self._checked_at > _CHECK_ROOM_S:
            # The size of many files is unknown in advance.
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
    """Return yt-dlp's format selector: one file, H.264 preferred, at most the height, audio on request."""
    limit = settings.formats.max_height
    fits = f"[height<=?{limit}]" if limit else ""
    kinds = ("best",) if settings.formats.audio else ("bestvideo", "best")
    wanted = [f"{kind}[vcodec~='^(avc|h264)']{fits}" for kind in kinds] + [f"{kind}{fits}" for kind in kinds]
    # The smallest if all are larger than the limit.
    return "/".join([*wanted, "worstvideo", "worst"] if not settings.formats.audio else [*wanted, "worst"])


def _limited(
    before: Callable[[str], None],
    after: Callable[[str, str | None, HTTPError | None], None],
    options: dict[str, Any],
    extractors: Sequence[type[InfoExtractor]],
) -> yt_dlp.YoutubeDL:
    """Return a YoutubeDL that calls `before` and `after` around every request."""

    class Limited(yt_dlp.YoutubeDL):  # type: ignore[misc]
        def urlopen(self, req: str | Request) -> Response:
            url = req if isinstance(req, str) else req.url
            before(url)
            try:
                response = super().urlopen(req)
            except HTTPError as error:
                after(url, None, error)
                raise
            after(url, response.url, None)
            return response

    ydl = Limited(options, auto_init=False)
    for extractor in extractors:
        ydl.add_info_extractor(extractor())
    ydl.add_default_info_extractors()
    return ydl


class _SilentLogger:
    """Logger for yt-dlp that ignores everything: failures arrive as exceptions."""

    def debug(self, message: str) -> None:
        """Ignore a message."""

    warning = error = info = debug
