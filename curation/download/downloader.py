"""A run of the acquisition: workers take turns from the ledger until nothing is left to fetch."""

from __future__ import annotations

import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from curation.download.database import is_full
from curation.download.failures import Cause, DownloadFailure, classify
from curation.download.files import claimed_bytes, delete_files, delete_strays, partial_bytes, placed_bytes
from curation.download.ledger import FetchedSource, Ledger, LedgerEntry, State, process_owner
from curation.download.rate_limiter import RateLimiterLost
from curation.download.settings import DownloadSettings
from curation.download.source_list import RemoteSource
from talkingpose.io.errors import UserError

if TYPE_CHECKING:
    from curation.download.ytdlp_client import Access, YtDlpClient

LEDGER = "ledger.sqlite"
_POLL_S = 0.5
_LOST_POLL_S = 1.0
_Result = TypeVar("_Result")


class DownloadError(UserError):
    """Nothing can be fetched at all, for one reason that holds for every source."""


@dataclass(frozen=True)
class Left:
    """What a run left behind.

    Attributes:
        waiting: sources whose next attempt is later than the run's patience.
        next_at: when the first of them is due, seconds since 1970.
    """

    waiting: int
    next_at: float | None


def folder_of(out: Path) -> Path:
    """Where the acquisition of an output folder keeps its ledger and its files."""
    return out / ".curation" / "acquisition"


def open_ledger(
    out: Path,
    settings: DownloadSettings | None = None,
    *,
    read_only: bool = False,
    table: Literal["sources", "audits"] = "sources",
) -> Ledger:
    """The ledger of an output folder, see `Ledger`; raises LedgerError."""
    chosen = settings or DownloadSettings()
    return Ledger(
        folder_of(out) / LEDGER,
        chosen.politeness,
        chosen.breaker,
        wait_scale=chosen.wait_scale,
        read_only=read_only,
        table=table,
    )


def left_by(ledger: Ledger) -> Left:
    """What waits in a ledger."""
    waiting = ledger.entries(State.WAITING)
    return Left(len(waiting), min((entry.next_retry_at for entry in waiting), default=None))


class Downloader:
    """Workers of this process over one ledger.

    Args:
        out: the output folder; files come under its `.curation/acquisition`.
        on_end: called with every source that has come to an end or was put off, from worker threads.
        on_note: called with a line when the run pauses and when it goes on.
        task: what a worker does with a source.
        extractors: classes that yt-dlp tries before its own.
    """

    def __init__(
        self,
        out: Path,
        ledger: Ledger,
        settings: DownloadSettings,
        access: Access,
        *,
        on_end: Callable[[LedgerEntry], None] = lambda entry: None,
        on_note: Callable[[str], None] = lambda line: None,
        task: Callable[[YtDlpClient, LedgerEntry], FetchedSource] = lambda session, entry: session.fetch(
            entry
        ),
        extractors: Sequence[type[Any]] = (),
    ) -> None:
        self._folder = folder_of(out)
        self._ledger = ledger
        self._settings = settings
        self._access = access
        self._on_end = on_end
        self._on_note = on_note
        self._task = task
        self._extractors = extractors
        self._owner = process_owner()
        self._stop = threading.Event()
        self._fault: BaseException | None = None
        self._first_failures = 0
        self._answered = False
        self._noted: str | None = None
        self._note_lock = threading.Lock()
        self._sessions: list[YtDlpClient] = []
        self._full = False
        # When the budget was found used up; None since a file came or was deleted.
        self._used_up_at: float | None = None

    def run(self, wanted: Iterable[RemoteSource] = ()) -> Left:
        """Fetch everything whose time comes within the run's patience; Ctrl-C stops between requests.

        Raises:
            AcquisitionError: no connection comes about from the first request on.
        """
        self._ledger.add(wanted)
        self._insist(self._ledger.reclaim)
        self._insist(self._ledger.try_network)
        self._folder.mkdir(parents=True, exist_ok=True)
        # Of a process that was killed while its source was being forgotten.
        delete_strays(self._folder, self._ledger.keys)
        threads = [
            threading.Thread(target=self._work, args=(number,), name=f"acquire-{number}", daemon=True)
            for number in range(self._settings.workers)
        ]
        for thread in threads:
            thread.start()
        try:
            self._keep_house(threads)
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()
        if self._fault is not None:
            raise self._fault
        return left_by(self._ledger)

    def stop(self) -> None:
        """End soon; what is under way goes back to the ledger."""
        self._stop.set()

    @property
    def is_over_budget(self) -> bool:
        """Whether no file is coming, and none fits the budget until somebody deletes files."""
        since = self._used_up_at
        if since is None or any(session.has_claim for session in self._sessions):
            return False
        return time.monotonic() - since > 2 * self._settings.disk.poll_s

    def look_for_room(self) -> None:
        """Files may have been deleted: do not call the budget used up until it has been looked at again."""
        self._used_up_at = None

    def _keep_house(self, threads: Sequence[threading.Thread]) -> None:
        """Sign on for this process's sources, and take back those of workers that died."""
        signed_on = time.monotonic()
        while any(thread.is_alive() for thread in threads):
            threads[0].join(_POLL_S / 5) if threads[0].is_alive() else time.sleep(_POLL_S / 5)
            if time.monotonic() - signed_on > self._settings.lease_s / 4:
                # A full disk or a lost gate; the workers report it.
                with suppress(sqlite3.OperationalError, RateLimiterLost):
                    self._ledger.renew(self._owner, self._settings.lease_s)
                    self._ledger.reclaim()
                signed_on = time.monotonic()

    def _work(self, number: int) -> None:
        from curation.download.ytdlp_client import YtDlpClient

        try:
            session = YtDlpClient(
                self._folder,
                self._ledger.gate,
                self._settings,
                self._access,
                room=self._room,
                stop=self._stop,
                extractors=self._extractors,
            )
            self._sessions.append(session)
            try:
                while not self._stop.is_set() and self._turn(session, f"{self._owner}/{number}"):
                    pass
            finally:
                session.close()
        except BaseException as fault:
            self._fault = self._fault or fault
            self._stop.set()

    def _turn(self, session: YtDlpClient, owner: str) -> bool:
        """One source, or one wait; False where nothing is left to do."""
        if self._is_full():
            self._note("disk", "disk: no room within the budget: it goes on when there is")
            self._stop.wait(self._settings.disk.poll_s)
            return True
        turn = self._insist(lambda: self._ledger.turn(owner, self._settings.lease_s))
        if turn.entry is not None:
            self._note(None, "")
            try:
                self._attempt(session, turn.entry)
            finally:
                session.has_claim = False
            return True
        if turn.wait_s is None:
            return False
        breaker = self._insist(self._ledger.breaker)
        if breaker.state == "open" and breaker.cause is Cause.NETWORK and not self._answered:
            pass  # either the next one tells that the network is down, or all is well
        elif breaker.state == "open":
            self._note(
                f"breaker {breaker.trips}",
                f"stopped asking: {breaker.cause}: one source is tried in {turn.wait_s:.0f} s",
            )
        elif turn.wait_s > self._settings.patience_s:
            return False
        self._stop.wait(min(turn.wait_s, _POLL_S))
        return True

    def _attempt(self, session: YtDlpClient, entry: LedgerEntry) -> None:
        from curation.download.ytdlp_client import DownloadFailed, NoRoom, Paused, Refused, TooSlow

        ledger = self._ledger
        try:
            fetched = self._task(session, entry)
        except Paused:
            self._insist(lambda: ledger.release(entry.key))
            return
        except NoRoom:
            self._full = True
            self._budget_is_used_up()
            # Others may be smaller.
            self._insist(lambda: ledger.release(entry.key, self._settings.disk.poll_s))
            return
        except Refused as refused:
            reason, license, digest = refused.reason, refused.license, refused.info_sha256
            self._insist(lambda: ledger.reject(entry.key, reason, license, digest))
            self._answered = True
        except TooSlow as slow:
            self._failed(entry, DownloadFailure(Cause.NETWORK, str(slow)))
        except DownloadFailed as failed:
            self._failed(entry, failed.failure)
        except _expected_errors() as error:
            self._failed(entry, classify(error, time.time()))
        else:
            self._insist(lambda: ledger.finish(entry.key, fetched))
            self._answered = True
            self.look_for_room()
        ended = ledger.entry(entry.key)
        if ended is None:  # forgotten while it was on its way
            delete_files(self._folder, entry.key)
        elif self._answered or ended.cause is not Cause.NETWORK:
            # Of a network that is down from the start one line tells all.
            self._on_end(ended)

    def _failed(self, entry: LedgerEntry, failure: DownloadFailure) -> None:
        if failure.cause is Cause.DISK and "whole budget" not in failure.message:
            # Not this source's fault: it keeps its attempts and what it has of its file.
            self._full = True
            self._insist(lambda: self._ledger.release(entry.key, 0.0, failure))
            return
        ended = self._insist(lambda: self._ledger.fail(entry.key, failure))
        if ended is None:
            return
        if not failure.unreachable:
            self._answered = True
        elif not self._answered:
            self._first_failures += 1
            others = sum(count for state, _, count, _ in self._ledger.counts() if state is State.WAITING)
            if self._first_failures >= min(
                self._settings.breaker.unreachable, others + (ended.state is State.DEAD)
            ):
                raise DownloadError(
                    f"network: no host could be reached ({failure.message}): check the connection and "
                    "--proxy; the same command goes on from here"
                )

    def _insist(self, write: Callable[[], _Result]) -> _Result:
        """Ask the gate or write to the ledger; a full disk and a lost gate are waited out."""
        while True:
            try:
                return write()
            except sqlite3.OperationalError as error:
                if not is_full(error):
                    raise
                self._note("disk", "disk: full: it goes on when there is room")
                if self._stop.wait(self._settings.disk.poll_s):
                    raise
            except RateLimiterLost as lost:
                self._note("gate", f"stopped asking: {lost}: it goes on when that is back")
                if self._stop.wait(_LOST_POLL_S):
                    raise

    # Disk

    def _room(self, key: str = "") -> int:
        """Bytes that a source's file may have, within the budget and above the reserve."""
        free = shutil.disk_usage(self._folder).free - int(self._settings.disk.min_free_gb * 1e9)
        free += partial_bytes(self._folder, key) if key else 0
        left = self._budget_left(key)
        return free if left is None else min(free, left)

    def _budget_left(self, key: str = "") -> int | None:
        budget = self._settings.disk.budget_gb
        if budget is None:
            return None
        # Asked in the order in which a file goes from one to the other, so that none is missed on its way.
        # The ledger knows of a file later than the disk, and forgets it before it is deleted.
        coming = claimed_bytes(self._folder, but=key)
        return int(budget * 1e9) - coming - placed_bytes(self._folder)

    def _is_full(self) -> bool:
        full = self._room() <= 0
        if full:
            self._budget_is_used_up()
        elif self._full:
            # A file did not fit; try again once what is there has changed.
            self._full = False
            self._stop.wait(self._settings.disk.poll_s)
        return full

    def _budget_is_used_up(self) -> None:
        """Note when it was found so; a disk that others fill is another matter."""
        left = self._budget_left()
        if left is not None and left <= self._room() and self._used_up_at is None:
            self._used_up_at = time.monotonic()

    def _note(self, kind: str | None, line: str) -> None:
        """Say once that the run pauses, and once that it goes on."""
        with self._note_lock:
            if kind == self._noted:
                return
            before, self._noted = self._noted, kind
        with suppress(sqlite3.OperationalError):
            self._ledger.note("paused", line or None)
        self._on_note(line if kind is not None else f"goes on ({(before or '').split()[0]})")


def _expected_errors() -> tuple[type[Exception], ...]:
    """What yt-dlp and the disk raise; anything else is a fault of this project."""
    from yt_dlp.utils import YoutubeDLError

    return (YoutubeDLError, OSError)
