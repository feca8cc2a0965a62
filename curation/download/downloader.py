"""Download of sources by worker threads that take their work from the ledger."""

from __future__ import annotations

import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from curation.download.access import Access
from curation.download.database import is_disk_full
from curation.download.failures import Cause, DownloadFailure, classify
from curation.download.files import claimed_bytes, delete_files, delete_strays, partial_bytes, placed_bytes
from curation.download.ledger import Ledger, LedgerEntry, State, download_folder, process_owner
from curation.download.settings import DownloadSettings
from curation.download.source_list import RemoteSource
from curation.download.status import describe
from talkingpose.io.errors import UserError
from talkingpose.io.progress import SILENT, Progress

if TYPE_CHECKING:
    from curation.download.ytdlp_client import YtDlpClient

_POLL_S = 0.5
_Result = TypeVar("_Result")


class DownloadError(UserError):
    """No source can be downloaded, for one reason that holds for all of them."""


class Downloader:
    """Worker threads of this process over one ledger.

    Args:
        out: output folder.
        ledger: its ledger.
        settings: settings of downloads.
        access: cookies and proxy.
        progress: receives a line for every source that failed, and when the run pauses and resumes.
        task: `fetch` downloads a source, `audit` only looks it up.
        extractors: classes that yt-dlp tries before its own.
    """

    def __init__(
        self,
        out: Path,
        ledger: Ledger,
        settings: DownloadSettings,
        access: Access,
        *,
        progress: Progress = SILENT,
        task: Literal["fetch", "audit"] = "fetch",
        extractors: Sequence[type[Any]] = (),
    ) -> None:
        self._folder = download_folder(out)
        self._ledger = ledger
        self._settings = settings
        self._access = access
        self._progress = progress
        self._task = task
        self._extractors = extractors
        self._owner = process_owner()
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._first_failures = 0
        self._has_answer = False
        self._pause: str | None = None
        self._pause_lock = threading.Lock()
        self._clients: list[YtDlpClient] = []
        self._is_full = False
        # Time when the budget was found to be used up; None after a file was added or deleted.
        self._used_up_at: float | None = None

    def run(self, wanted: Iterable[RemoteSource] | None = None) -> None:
        """Process sources until none is due within the patience of the settings.

        Args:
            wanted: sources to process; None for everything in the ledger.

        Raises:
            DownloadError: no host could be reached from the first request on.
        """
        if wanted is not None:
            sources = list(wanted)
            self._ledger.add(sources)
            self._ledger.select(one.key for one in sources)
        self._insist(self._ledger.reclaim)
        self._insist(self._ledger.retry_network)
        self._folder.mkdir(parents=True, exist_ok=True)
        # Files of a process that was killed while its source was being forgotten.
        delete_strays(self._folder, self._ledger.keys)
        threads = [
            threading.Thread(target=self._work, args=(number,), name=f"download-{number}", daemon=True)
            for number in range(self._settings.workers)
        ]
        for thread in threads:
            thread.start()
        try:
            self._renew_leases(threads)
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """Stop soon; sources in progress are released."""
        self._stop.set()

    @property
    def is_over_budget(self) -> bool:
        """Return whether no file fits the disk budget until files are deleted."""
        since = self._used_up_at
        if since is None or any(client.has_claim for client in self._clients):
            return False
        return time.monotonic() - since > 2 * self._settings.disk.poll_s

    def recheck_budget(self) -> None:
        """Measure the budget again before it counts as used up: files may have been deleted."""
        self._used_up_at = None

    def _renew_leases(self, threads: Sequence[threading.Thread]) -> None:
        """Renew the leases of this process and reclaim those of dead workers while the threads run."""
        renewed = time.monotonic()
        while any(thread.is_alive() for thread in threads):
            threads[0].join(_POLL_S / 5) if threads[0].is_alive() else time.sleep(_POLL_S / 5)
            if time.monotonic() - renewed > self._settings.lease_s / 4:
                # The workers report a full disk.
                with suppress(sqlite3.OperationalError):
                    self._ledger.renew(self._owner, self._settings.lease_s)
                    self._ledger.reclaim()
                renewed = time.monotonic()

    def _work(self, number: int) -> None:
        from curation.download.ytdlp_client import YtDlpClient

        try:
            client = YtDlpClient(
                self._folder,
                self._ledger.rate_limiter,
                self._settings,
                self._access,
                room=self._room,
                stop=self._stop,
                extractors=self._extractors,
            )
            self._clients.append(client)
            try:
                while not self._stop.is_set() and self._step(client, f"{self._owner}/{number}"):
                    pass
            finally:
                client.close()
        except BaseException as error:
            self._error = self._error or error
            self._stop.set()

    def _step(self, client: YtDlpClient, owner: str) -> bool:
        """Process one source or wait once; False if nothing remains."""
        if self._disk_is_full():
            self._note("disk", "disk: no room within the budget: the run continues when there is room")
            self._stop.wait(self._settings.disk.poll_s)
            return True
        lease = self._insist(lambda: self._ledger.take(owner, self._settings.lease_s))
        if lease.entry is not None:
            self._note(None, "")
            try:
                self._attempt(client, lease.entry)
            finally:
                client.has_claim = False
            return True
        if lease.wait_s is None:
            return False
        breaker = self._insist(self._ledger.breaker)
        if breaker.state == "open" and breaker.cause is Cause.NETWORK and not self._has_answer:
            pass  # the next attempt shows whether the network is down
        elif breaker.state == "open":
            self._note(
                f"breaker {breaker.trips}",
                f"requests stopped: {breaker.cause}: next attempt in {lease.wait_s:.0f} s",
            )
        elif lease.wait_s > self._settings.patience_s:
            return False
        self._stop.wait(min(lease.wait_s, _POLL_S))
        return True

    def _attempt(self, client: YtDlpClient, entry: LedgerEntry) -> None:
        from curation.download.ytdlp_client import DownloadFailed, NoRoom, Paused, Rejected, TooSlow

        ledger = self._ledger
        try:
            fetched = client.audit(entry) if self._task == "audit" else client.fetch(entry)
        except Paused:
            self._insist(lambda: ledger.release(entry.key))
            return
        except NoRoom:
            self._is_full = True
            self._check_budget()
            # Other files may be smaller.
            self._insist(lambda: ledger.release(entry.key, self._settings.disk.poll_s))
            return
        except Rejected as rejected:
            reason, license, digest = rejected.reason, rejected.license, rejected.info_sha256
            self._insist(lambda: ledger.reject(entry.key, reason, license, digest))
            self._has_answer = True
        except TooSlow as slow:
            self._fail(entry, DownloadFailure(Cause.NETWORK, str(slow)))
        except DownloadFailed as failed:
            self._fail(entry, failed.failure)
        except _expected_errors() as error:
            self._fail(entry, classify(error, time.time()))
        else:
            self._insist(lambda: ledger.finish(entry.key, fetched))
            self._has_answer = True
            self.recheck_budget()
        ended = ledger.entry(entry.key)
        if ended is None:  # forgotten in the meantime
            delete_files(self._folder, entry.key)
        elif ended.cause and ended.message and (self._has_answer or ended.cause is not Cause.NETWORK):
            # If the network is down from the start, one error reports it for all sources.
            self._progress.message(describe(ended))

    def _fail(self, entry: LedgerEntry, failure: DownloadFailure) -> None:
        if failure.cause is Cause.DISK and "whole budget" not in failure.message:
            # Not the fault of the source: it keeps its attempts and its partial file.
            self._is_full = True
            self._insist(lambda: self._ledger.release(entry.key, 0.0, failure))
            return
        ended = self._insist(lambda: self._ledger.fail(entry.key, failure))
        if ended is None:
            return
        if not failure.unreachable:
            self._has_answer = True
        elif not self._has_answer:
            self._first_failures += 1
            remaining = self._ledger.num_waiting() + (ended.state is State.DEAD)
            if self._first_failures >= min(self._settings.breaker.unreachable, remaining):
                raise DownloadError(
                    f"network: no host could be reached ({failure.message}): check the connection and "
                    "--proxy, then run the same command again"
                )

    def _insist(self, write: Callable[[], _Result]) -> _Result:
        """Call the ledger; wait while the disk is full."""
        while True:
            try:
                return write()
            except sqlite3.OperationalError as error:
                if not is_disk_full(error):
                    raise
                self._note("disk", "disk: full: the run continues when there is room")
                if self._stop.wait(self._settings.disk.poll_s):
                    raise

    # Disk

    def _room(self, key: str = "") -> int:
        """Return the bytes that the file of a source may have, within the budget and above the reserve."""
        free = shutil.disk_usage(self._folder).free - int(self._settings.disk.min_free_gb * 1e9)
        free += partial_bytes(self._folder, key) if key else 0
        budget = self._budget_left(key)
        return free if budget is None else min(free, budget)

    def _budget_left(self, key: str = "") -> int | None:
        budget = self._settings.disk.budget_gb
        if budget is None:
            return None
        # Measured in the order in which a file moves from one place to the other, so that none is missed.
        # The ledger knows of a file later than the disk, and forgets it before it is deleted.
        coming = claimed_bytes(self._folder, but=key)
        return int(budget * 1e9) - coming - placed_bytes(self._folder)

    def _disk_is_full(self) -> bool:
        full = self._room() <= 0
        if full:
            self._check_budget()
        elif self._is_full:
            # A file did not fit; it is tried again after a while.
            self._is_full = False
            self._stop.wait(self._settings.disk.poll_s)
        return full

    def _check_budget(self) -> None:
        """Note the time if the budget, and not the disk itself, is used up."""
        budget = self._budget_left()
        if budget is not None and budget <= self._room() and self._used_up_at is None:
            self._used_up_at = time.monotonic()

    def _note(self, pause: str | None, line: str) -> None:
        """Report once that the run pauses, and once that it resumes (`pause` None)."""
        with self._pause_lock:
            if pause == self._pause:
                return
            before, self._pause = self._pause, pause
        with suppress(sqlite3.OperationalError):
            self._ledger.note("paused", line or None)
        self._progress.message(line if pause is not None else f"resumed ({(before or '').split()[0]})")


def _expected_errors() -> tuple[type[Exception], ...]:
    """Return the errors of yt-dlp and the disk; any other is a bug of this project."""
    from yt_dlp.utils import YoutubeDLError

    return (YoutubeDLError, OSError)
