"""Runs over what has to be fetched first: fetching and curating at the same time, rebuilding, auditing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curation.config import Config
from curation.detect.detectors import Detectors
from curation.detect.pose_backends import detectors_of
from curation.download.downloader import LEDGER, Downloader, Left, folder_of, left_by, open_ledger
from curation.download.downloads import drop_files, fetched_files
from curation.download.failures import POLICIES
from curation.download.ledger import Ledger, LedgerEntry, State
from curation.download.settings import DownloadSettings
from curation.download.source_list import (
    SUFFIXES,
    RemoteSource,
    SourceListError,
    merge,
    parse_address,
    read_list,
    source_key,
)
from curation.download.status import lines as status_lines
from curation.download.status import status as status_of
from curation.download.together import Together, part_of, refuse_alone, taking_part
from curation.release.manifest import ManifestRow
from curation.release.rebuild import RebuildMaker, Rebuilt, publish, rebuild_sources, remembered
from curation.run import CurationPlan, CurationSummary, curate, tool_versions
from curation.sources import LocalSource, find_sources
from curation.store import Store

if TYPE_CHECKING:
    from curation.download.ytdlp_client import Access, YtDlpClient
    from curation.executors.base import Executor

_POLL_S = 0.3


@dataclass(frozen=True)
class Inputs:
    """What the sources on a command line mean.

    Attributes:
        local: video files.
        wanted: videos to be fetched, each once.
        refused: one line for each entry of a list that is neither an id nor an address.
    """

    local: tuple[LocalSource, ...]
    wanted: tuple[RemoteSource, ...]
    refused: tuple[str, ...]


@dataclass(frozen=True)
class Acquired:
    """How an acquisition stands; `status` is None where nothing is or was to be fetched.

    `left` are sources that wait for an attempt later than the run's patience, `given_up` those that are dead
    for a cause that may pass.
    """

    status: dict[str, Any] | None
    left: int = 0
    given_up: int = 0

    @property
    def is_partial(self) -> bool:
        """Whether the same command, now or later, may bring more."""
        return self.left + self.given_up > 0

    def document(self) -> dict[str, Any]:
        """As a part of a JSON document."""
        return {} if self.status is None else {"acquisition": self.status}

    def lines(self) -> list[str]:
        """For people."""
        return [] if self.status is None else status_lines(self.status)


def choose(names: Sequence[str], limit: int | None = None) -> Inputs:
    """Tell local files and folders, lists, ids and addresses apart.

    Args:
        limit: take only the first so many, local files first.

    Raises:
        SourceError, SourceListError: one of them is nothing of the kind.
    """
    local: list[Path] = []
    wanted: list[RemoteSource] = []
    refused: list[str] = []
    for name in names:
        path = Path(name)
        if path.suffix.lower() in SUFFIXES and not _is_address(name) and not path.is_dir():
            found = read_list(path)
            wanted += found.wanted
            refused += found.refused
        elif path.exists() or not _may_be_address(name):
            local.append(path)
        else:
            wanted.append(parse_address(name))
    files = find_sources(local)[:limit] if local else []
    videos = merge(wanted)
    rest = None if limit is None else limit - len(files)
    return Inputs(tuple(files), tuple(videos[:rest]), tuple(refused))


def fetch_and_curate(
    chosen: Inputs,
    out: Path,
    config: Config,
    settings: DownloadSettings,
    access: tuple[Path | None, str | None],
    *,
    workers: int,
    fresh: bool = False,
    delete_sources: bool = False,
    retry_dead: bool = False,
    executor: Executor | None = None,
    detectors: Detectors | None = None,
    on_plan: Callable[[CurationPlan], None] = lambda plan: None,
    on_source: Callable[[Any], None] = lambda record: None,
    on_end: Callable[[LedgerEntry], None] = lambda entry: None,
    on_note: Callable[[str], None] = lambda line: None,
    extractors: Sequence[type[Any]] = (),
) -> tuple[CurationSummary, Acquired]:
    """Fetch sources and curate each as soon as it is there; the dataset is written once, at the end.

    Args:
        access: a cookies file and a proxy's address.
        fresh: forget what earlier runs made of the sources; what was fetched and still lies there is used.
        delete_sources: delete a fetched file once its clips are safe.
        retry_dead: try anew what was given up.
        executor: runs the curation jobs; processes of this machine by default.
        on_end, on_note: see `Downloader`.

    Raises:
        AcquisitionError, SessionError, StoreError: as `Downloader.run`, `read_access` and `curate` do.
    """
    store = Store(out)
    store.check()
    if not chosen.wanted and not has_ledger(out):
        summary = curate(
            chosen.local,
            out,
            config,
            workers=workers,
            fresh=fresh,
            retry=retry_dead,
            executor=executor,
            detectors=detectors,
            on_plan=on_plan,
            on_source=on_source,
        )
        return summary, Acquired(None)
    from curation.download.ytdlp_client import read_access

    checked = read_access(*access)
    with open_ledger(out, settings) as ledger:
        wanted = part_of(chosen.wanted, ledger)
        if fresh:
            with store.locked():
                store.wipe()
            ledger.fetch_again([one.key for one in wanted])
        if retry_dead:
            ledger.revive(())
        acquirer = Downloader(
            out, ledger, settings, checked, on_end=on_end, on_note=on_note, extractors=extractors
        )
        batches = _Batches(out, ledger, {one.key for one in wanted})
        totals: list[CurationSummary] = []

        def work(found: Sequence[LocalSource], *, last: bool = False) -> None:
            summary = curate(
                _allowed(ledger, found),
                out,
                config,
                workers=workers,
                publish=last,
                retry=retry_dead,
                executor=executor,
                detectors=detectors,
                on_plan=on_plan,
                on_source=on_source,
            )
            totals.append(summary)
            if delete_sources:
                failed = {name for name, _ in summary.errors}
                safe = [one for one in found if one.origin is not None and one.name not in failed]
                drop_files(out, ledger, batches.entries(safe))

        def step() -> bool:
            found = batches.next()
            if found:
                work(found)
            return bool(found)

        if ledger.shard() is None:
            left = _meanwhile(acquirer, wanted, step, on_note)
        else:
            on_note("part of a run on several machines: only what is fetched is curated; `fetch` fetches")
            left = left_by(ledger)
        work([*chosen.local, *batches.next()], last=True)
        return _folded(totals), _acquired(ledger, left)


def fetch(
    wanted: Sequence[RemoteSource],
    out: Path,
    settings: DownloadSettings,
    access: Access,
    *,
    together: Together | None = None,
    retry_dead: bool = False,
    on_end: Callable[[LedgerEntry], None] = lambda entry: None,
    on_note: Callable[[str], None] = lambda line: None,
    extractors: Sequence[type[Any]] = (),
) -> Acquired:
    """Fetch sources and do nothing else; several processes may do so in one folder.

    Args:
        together: this machine's place in a run on several; only its part of the sources is fetched.
        retry_dead: try anew what was given up.

    Raises:
        AcquisitionError, MachineError, LedgerError, StoreError: one line of what is in the way.
    """
    Store(out).check()
    if together is not None:
        together.greet()
    with open_ledger(out, settings) as ledger:
        if together is None:
            refuse_alone(ledger, "fetch")
        if retry_dead:
            ledger.revive(())
        acquirer = Downloader(
            out, ledger, settings, access, on_end=on_end, on_note=on_note, extractors=extractors
        )
        with taking_part(ledger, together, settings.lease_s, on_note) if together else nullcontext():
            left = acquirer.run(part_of(wanted, ledger))
        return _acquired(ledger, left)


def acquisition_of(out: Path) -> Acquired:
    """How the acquisition of a folder stands."""
    if not has_ledger(out):
        return Acquired(None)
    with open_ledger(out, read_only=True) as ledger:
        return Acquired(status_of(ledger))


def watch_acquisition(out: Path, every_s: float = 2.0) -> None:
    """Show on the terminal how the acquisition stands, anew and anew, until Ctrl-C or until all has ended."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    with open_ledger(out, read_only=True) as ledger, Live(console=Console(stderr=True)) as shown:
        while True:
            now = status_of(ledger)
            shown.update(Text("\n".join(status_lines(now))), refresh=True)
            if not now["waiting"] + now["working"]:
                return
            time.sleep(every_s)


def left_to_fetch(out: Path, wanted: Sequence[RemoteSource]) -> list[RemoteSource]:
    """Which of the videos a run would still ask for; writes nothing."""
    if not has_ledger(out):
        return list(wanted)
    with open_ledger(out, read_only=True) as ledger:
        open_states = (None, State.WAITING, State.WORKING)
        return [one for one in wanted if getattr(ledger.entry(one.key), "state", None) in open_states]


def has_ledger(out: Path) -> bool:
    """Whether something was ever fetched or forgotten in a folder."""
    return (folder_of(out) / LEDGER).is_file()


def rebuild(
    rows: Sequence[ManifestRow],
    out: Path,
    config: Config,
    settings: DownloadSettings,
    access: Access,
    *,
    workers: int,
    delete_sources: bool = False,
    detectors: Detectors | None = None,
    on_source: Callable[[list[Rebuilt]], None] = lambda answers: None,
    on_end: Callable[[LedgerEntry], None] = lambda entry: None,
    on_note: Callable[[str], None] = lambda line: None,
    extractors: Sequence[type[Any]] = (),
) -> dict[str, Any]:
    """Make the clips of a manifest anew under `out`; returns the report, see `rebuild.publish`.

    Clips are cut as soon as their source has come. The same call again does only what is left.

    Args:
        delete_sources: delete a fetched file once its clips are safe.
        on_source: called with what came of the rows of each source.
        on_end, on_note: see `Downloader`.
    """
    store = Store(out)
    store.check()
    detectors = detectors or detectors_of(config.pose)
    maker = RebuildMaker(config, detectors, tool_versions(detectors))
    wanted: dict[str, RemoteSource] = {}
    groups: dict[str, list[ManifestRow]] = {}
    answers: dict[str, Rebuilt] = {}
    for row in rows:
        try:
            one = parse_address(row.url or row.source_id)
        except SourceListError:
            answers[row.clip_id] = _missing(row, "it has no address")
        else:
            wanted[one.key] = one
            groups.setdefault(one.key, []).append(row)

    def note(made: list[Rebuilt]) -> None:
        answers.update({answer.clip_id: answer for answer in made})
        on_source(made)

    # The prefilter chose these sources once; it is not asked again.
    asked = settings.model_copy(
        update={"prefilter": type(settings.prefilter)(min_duration_s=None, max_duration_s=None)}
    )
    with open_ledger(out, asked) as ledger:
        refuse_alone(ledger, "rebuild")
        left = set(wanted)
        for entry in ledger.entries(State.DONE):
            if entry.key in left:
                made = remembered(store, maker, entry.source_id, entry.sha256, groups[entry.key])
                if made is not None:
                    left.discard(entry.key)
                    note(made)
                    if delete_sources:
                        drop_files(out, ledger, [entry])
        ledger.fetch_again(sorted(left))
        acquirer = Downloader(
            out, ledger, asked, access, on_end=on_end, on_note=on_note, extractors=extractors
        )
        batches = _Batches(out, ledger, left)

        def step() -> bool:
            found = batches.next()
            if found:
                jobs = [(one, tuple(groups[_key(one)])) for one in found]
                with store.locked():
                    for one, made, is_settled in rebuild_sources(store, maker, jobs, workers):
                        note(made)
                        if delete_sources and is_settled:
                            drop_files(out, ledger, batches.entries([one]))
            return bool(found)

        _meanwhile(acquirer, merge(wanted.values()), step, on_note)
        step()
        for key, group in groups.items():
            if gone := [row for row in group if row.clip_id not in answers]:
                why = _why(ledger.entry(key))
                note([_missing(row, why) for row in gone])
        with store.locked():
            return publish(out, config, [answers[row.clip_id] for row in rows])


def _key(found: LocalSource) -> str:
    assert found.origin is not None
    return source_key(found.origin.source, found.origin.source_id)


def _why(entry: LedgerEntry | None) -> str:
    """Why a source's file is not there."""
    if entry is None:
        return "it was forgotten here"
    return entry.cause.value if entry.cause else entry.message or entry.state.value


def audit(
    wanted: Sequence[RemoteSource],
    out: Path,
    settings: DownloadSettings,
    access: Access,
    *,
    fresh: bool = False,
    on_end: Callable[[LedgerEntry], None] = lambda entry: None,
    on_note: Callable[[str], None] = lambda line: None,
    extractors: Sequence[type[Any]] = (),
) -> dict[str, Any]:
    """Ask whether sources still exist; returns `curation.download.audit.attrition` of these.

    Args:
        fresh: forget earlier answers; else only those are asked for that have not answered yet.
        on_end, on_note: see `Downloader`.
    """
    from curation.download.audit import attrition

    Store(out).check()
    with open_ledger(out, settings, table="audits") as ledger:
        refuse_alone(ledger, "audit")
        if fresh:
            ledger.begin_anew()
        Downloader(
            out,
            ledger,
            settings,
            access,
            on_end=on_end,
            on_note=on_note,
            task=lambda session, entry: _look(session, entry),
            extractors=extractors,
        ).run(wanted)
        keys = {one.key for one in wanted}
        return attrition([entry for entry in ledger.entries() if entry.key in keys])


def _acquired(ledger: Ledger, left: Left) -> Acquired:
    given_up = sum(POLICIES[e.cause].attempts > 1 for e in ledger.entries(State.DEAD) if e.cause)
    return Acquired(status_of(ledger), left.waiting, given_up)


def _look(session: YtDlpClient, entry: LedgerEntry) -> Any:
    return session.audit(entry)


def _meanwhile(
    acquirer: Downloader,
    wanted: Sequence[RemoteSource],
    step: Callable[[], bool],
    on_note: Callable[[str], None],
) -> Left:
    """Fetch in a thread, and do `step` over and over until that has ended; it tells whether it did anything.

    Where the budget of the disk is used up and `step` has nothing to do either, fetching ends.
    """
    result: list[Left] = []
    faults: list[BaseException] = []

    def fetch() -> None:
        try:
            result.append(acquirer.run(wanted))
        except BaseException as fault:
            faults.append(fault)

    thread = threading.Thread(target=fetch, name="acquire", daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            is_over_budget = acquirer.is_over_budget
            if step():
                acquirer.look_for_room()
            elif is_over_budget:
                # Nobody but this run deletes what fills it.
                on_note("disk: the budget is used up: give --delete-sources, or a larger --disk-budget")
                break
            thread.join(_POLL_S)
    finally:
        acquirer.stop()
        thread.join()
    if faults:
        raise faults[0]
    return result[0]


class _Batches:
    """Fetched files that nobody has curated yet in this run."""

    def __init__(self, out: Path, ledger: Ledger, keys: set[str]) -> None:
        self._out, self._ledger, self._keys = out, ledger, keys
        self._taken: set[str] = set()

    def next(self) -> list[LocalSource]:
        """What has come since the last call."""
        done = self._ledger.kept() & self._keys - self._taken
        self._taken |= done
        return fetched_files(self._out, self._ledger, done) if done else []

    def entries(self, found: Sequence[LocalSource]) -> list[LedgerEntry]:
        """Their entries in the ledger."""
        ids = {(one.origin.source, one.origin.source_id) for one in found if one.origin}
        return [e for e in self._ledger.entries(State.DONE) if (e.source, e.source_id) in ids]


def _allowed(ledger: Ledger, found: Sequence[LocalSource]) -> list[LocalSource]:
    """Without what was forgotten, known by its content."""
    if not ledger.num_tombstones():
        return list(found)
    from curation.sources import identify

    return [one for one in found if not ledger.is_forgotten(f"sha256:{identify(one).sha256}")]


def _missing(row: ManifestRow, why: str) -> Rebuilt:
    return Rebuilt(row.clip_id, row.source_id, f"missing: {why}")


def _folded(summaries: Sequence[CurationSummary]) -> CurationSummary:
    """One summary of several calls: what is there is in the last one, what was done in all."""
    last = summaries[-1]
    for earlier in summaries[:-1]:
        last.worked_on += earlier.worked_on
        last.done_before += earlier.done_before
        last.errors = sorted([*last.errors, *earlier.errors])
        last.seconds.update(earlier.seconds)
        last.wall_s += earlier.wall_s
    return last


def _is_address(name: str) -> bool:
    return name.lower().startswith(("http://", "https://"))


def _may_be_address(name: str) -> bool:
    try:
        parse_address(name)
    except SourceListError:
        if _is_address(name):
            raise
        return False
    return True
