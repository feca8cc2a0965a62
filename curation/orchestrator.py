"""Runs over local and remote sources: curate, fetch, audit, rebuild."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curation.config import Config
from curation.detect.pose_backends import detectors_of
from curation.download.audit import attrition
from curation.download.downloader import Downloader, DownloadError
from curation.download.downloads import delete_downloads, downloaded_files
from curation.download.ledger import Ledger, LedgerEntry, State, has_ledger, open_ledger
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
from curation.download.status import DownloadReport, download_report, download_status, status_lines
from curation.release.manifest import ManifestRow
from curation.release.rebuild import RebuildMaker, Rebuilt, publish, rebuild_sources, remembered
from curation.run import DEFAULT_OPTIONS, CurationSummary, Curator, RunOptions, tool_versions
from curation.sources import LocalSource, SourceError, find_sources
from curation.store import Store
from talkingpose.io.progress import SILENT, Progress
from talkingpose.io.shard import Shard, ShardError

_POLL_S = 0.3


@dataclass(frozen=True)
class Inputs:
    """Sources of a command line.

    Attributes:
        local: video files.
        remote: videos to download, each once.
        refused: one line for each entry of a list that is neither an id nor an address.
        skipped: one line for each folder in which files were skipped.
    """

    local: tuple[LocalSource, ...] = ()
    remote: tuple[RemoteSource, ...] = ()
    refused: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()

    def part(self, shard: Shard | None) -> Inputs:
        """Return the inputs of one shard.

        Local files are divided by their size: files of equal content belong to the same shard, and no file
        has to be read.
        """
        if shard is None:
            return self
        return Inputs(
            tuple(one for one in self.local if shard.holds(_size_digest(one.path))),
            tuple(one for one in self.remote if shard.holds(one.key)),
            self.refused,
            self.skipped,
        )


def read_inputs(names: Sequence[str], limit: int | None = None) -> Inputs:
    """Tell local files, folders, lists, ids and addresses apart.

    Args:
        names: arguments of a command line.
        limit: number of sources to take, local files first.

    Raises:
        SourceError, SourceListError, DocumentError: a name is none of these, or cannot be read.
    """
    local: list[Path] = []
    remote: list[RemoteSource] = []
    refused: list[str] = []
    for name in names:
        if not name.strip():
            raise SourceError("source '': an empty name: name a file, a folder, a list, an id or a URL")
        path = Path(name)
        if path.suffix.lower() in SUFFIXES and not _is_address(name) and not os.path.isdir(name):  # noqa: PTH112
            found = read_list(path)
            remote += found.wanted
            refused += found.refused
        elif os.path.exists(name) or not _may_be_address(name):  # noqa: PTH110  False for every invalid path
            local.append(path)
        else:
            remote.append(parse_address(name))
    skipped: list[str] = []
    files = find_sources(local, skipped)[:limit]
    rest = None if limit is None else limit - len(files)
    return Inputs(tuple(files), tuple(merge(remote)[:rest]), tuple(refused), tuple(skipped))


def fetch_and_curate(
    inputs: Inputs,
    out: Path,
    config: Config,
    options: RunOptions = DEFAULT_OPTIONS,
    progress: Progress = SILENT,
) -> CurationSummary:
    """Curate local files, and remote ones as soon as they are downloaded; the dataset is written at the end.

    A network that is down does not stop the curation of what is on the disk: the sources that could not be
    downloaded are in the report of the summary.

    Raises:
        StoreError: another run works in the folder, or it holds files of other programs.
        DownloadError: no host could be reached, and nothing else is there to curate.
        RayExecutorError: as `RayExecutor.run_jobs`.
    """
    if options.shard is not None and options.fresh:
        raise ShardError("--fresh: other shards may work in the folder: give another --out")
    store = Store(out)
    inputs = inputs.part(options.shard)
    with store.locked(options.shard):
        if options.fresh:
            store.wipe()
        progress.start("sources", len(inputs.local) + len(inputs.remote))
        if not inputs.remote and not has_ledger(out):
            curator = Curator(store, config, options, progress)
            curator.work(inputs.local)
            return curator.finish()
        with open_ledger(out, config.download, shard=options.shard) as ledger:
            return _Run(store, ledger, inputs, config, options, progress).summary()


class _Run:
    """Curation of inputs while downloads continue in a thread."""

    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        inputs: Inputs,
        config: Config,
        options: RunOptions,
        progress: Progress,
    ) -> None:
        self._out = store.out
        self._ledger = ledger
        self._inputs = inputs
        self._config = config
        self._options = options
        self._progress = progress
        self._batches = _Batches(store.out, ledger, {one.key for one in inputs.remote})
        self._curator = Curator(store, config, options, progress, ledger.barred_contents())

    def summary(self) -> CurationSummary:
        """Do the work and return the summary of the run."""
        keys = [one.key for one in self._inputs.remote]
        if self._options.fresh:
            self._ledger.fetch_again(keys)
        if self._options.retry_dead:
            self._ledger.revive()
        network_error = None
        if keys:
            network_error = self._download()
        else:
            self._work(self._inputs.local)
        summary = self._curator.finish()
        if keys:
            summary.downloads = download_report(self._ledger, keys, network_error)
        return summary

    def _download(self) -> str | None:
        """Download and curate at the same time; returns why no host could be reached."""
        downloader = Downloader(
            self._out,
            self._ledger,
            self._config.download,
            self._options.access,
            progress=self._progress,
            extractors=self._options.extractors,
        )
        local = list(self._inputs.local)

        def step() -> bool:
            found, local[:] = [*local, *self._batches.next()], []
            self._work(found)
            return bool(found)

        try:
            _run_beside(downloader, self._inputs.remote, step, self._progress)
        except DownloadError as error:
            if not self._inputs.local and not self._batches.any():
                raise
            self._progress.message(str(error))
            return str(error)
        return None

    def _work(self, found: Sequence[LocalSource]) -> None:
        if found:
            failures = self._curator.work(found)
            if self._options.delete_sources:
                safe = [one for one in found if one.origin is not None and one.name not in failures]
                delete_downloads(self._out, self._ledger, self._batches.entries(safe))


def fetch(
    wanted: Sequence[RemoteSource],
    out: Path,
    settings: DownloadSettings,
    options: RunOptions = DEFAULT_OPTIONS,
    progress: Progress = SILENT,
) -> DownloadReport:
    """Download sources only; several processes may do so in one folder.

    Raises:
        StoreError: the folder holds files of other programs.
        DownloadError: no host could be reached.
        LedgerError: the ledger cannot be opened.
    """
    Store(out).check()
    wanted = Inputs(remote=tuple(wanted)).part(options.shard).remote
    with open_ledger(out, settings, shard=options.shard) as ledger:
        if options.retry_dead:
            ledger.revive()
        downloader = Downloader(
            out, ledger, settings, options.access, progress=progress, extractors=options.extractors
        )
        downloader.run(wanted)
        return download_report(ledger, (one.key for one in wanted))


def audit(
    wanted: Sequence[RemoteSource],
    out: Path,
    settings: DownloadSettings,
    options: RunOptions = DEFAULT_OPTIONS,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Check whether sources still exist; returns `curation.download.audit.attrition` of them.

    Answers of earlier audits are reused unless `options.fresh` is set.
    """
    Store(out).check()
    with open_ledger(out, settings, table="audits") as ledger:
        if options.fresh:
            ledger.clear()
        Downloader(
            out,
            ledger,
            settings,
            options.access,
            progress=progress,
            task="audit",
            extractors=options.extractors,
        ).run(wanted)
        keys = {one.key for one in wanted}
        return attrition([entry for entry in ledger.entries() if entry.key in keys])


def report_downloads(out: Path) -> DownloadReport | None:
    """Return the status of the downloads of a folder; None if there were none."""
    if not has_ledger(out):
        return None
    with open_ledger(out, read_only=True) as ledger:
        return DownloadReport(download_status(ledger))


def watch_downloads(out: Path, every_s: float = 2.0) -> None:
    """Show the status of downloads on the terminal until all have ended or Ctrl-C."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    with open_ledger(out, read_only=True) as ledger, Live(console=Console(stderr=True)) as shown:
        while True:
            now = download_status(ledger)
            shown.update(Text("\n".join(status_lines(now))), refresh=True)
            if not now["waiting"] + now["working"]:
                return
            time.sleep(every_s)


def pending_downloads(out: Path, wanted: Iterable[RemoteSource]) -> list[RemoteSource]:
    """Return the sources that a run would still try to download; writes nothing."""
    if not has_ledger(out):
        return list(wanted)
    with open_ledger(out, read_only=True) as ledger:
        pending = (None, State.WAITING, State.WORKING)
        return [one for one in wanted if getattr(ledger.entry(one.key), "state", None) in pending]


def rebuild(
    rows: Sequence[ManifestRow],
    out: Path,
    config: Config,
    options: RunOptions = DEFAULT_OPTIONS,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Make the clips of a manifest again; returns the report, see `curation.release.rebuild.publish`.

    Clips are cut as soon as their source is downloaded. The same call resumes.

    Raises:
        StoreError: another run works in the folder, or it holds files of other programs.
        DownloadError: no host could be reached.
    """
    store = Store(out)
    # The prefilter accepted these sources when the release was made.
    prefilter = type(config.download.prefilter)(min_duration_s=None, max_duration_s=None)
    settings = config.download.model_copy(update={"prefilter": prefilter})
    progress.start("clips", len(rows))
    with store.locked(), open_ledger(out, settings) as ledger:
        return _Rebuild(store, ledger, rows, config, settings, options, progress).report()


class _Rebuild:
    """Rebuilding of the rows of a manifest, source by source."""

    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        rows: Sequence[ManifestRow],
        config: Config,
        settings: DownloadSettings,
        options: RunOptions,
        progress: Progress,
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._rows = rows
        self._config = config
        self._settings = settings
        self._options = options
        self._progress = progress
        detectors = options.detectors or detectors_of(config.pose)
        self._maker = RebuildMaker(config, detectors, tool_versions(detectors))
        self._results: dict[str, Rebuilt] = {}
        self._sources: dict[str, RemoteSource] = {}
        self._rows_by_key: dict[str, list[ManifestRow]] = {}

    def report(self) -> dict[str, Any]:
        """Do the work and return the report."""
        self._group()
        pending = set(self._sources) - self._reuse()
        self._ledger.fetch_again(sorted(pending))
        downloader = Downloader(
            self._store.out,
            self._ledger,
            self._settings,
            self._options.access,
            progress=self._progress,
            extractors=self._options.extractors,
        )
        batches = _Batches(self._store.out, self._ledger, pending)
        try:
            _run_beside(
                downloader, merge(self._sources.values()), lambda: self._step(batches), self._progress
            )
        except DownloadError as error:
            if not self._results and not batches.any():
                raise
            self._progress.message(str(error))
        for key, rows in self._rows_by_key.items():
            cause = _why_missing(self._ledger.entry(key))
            self._enter([_missing(row, cause) for row in rows if row.clip_id not in self._results])
        return publish(self._store.out, self._config, [self._results[row.clip_id] for row in self._rows])

    def _group(self) -> None:
        """Group the rows by source."""
        for row in self._rows:
            try:
                source = parse_address(row.url or row.source_id)
            except SourceListError:
                self._enter([_missing(row, "it has no address")])
            else:
                self._sources[source.key] = source
                self._rows_by_key.setdefault(source.key, []).append(row)

    def _reuse(self) -> set[str]:
        """Enter the results of earlier runs; returns the keys of their sources."""
        reused = set()
        for entry in self._ledger.entries(State.DONE):
            rows = self._rows_by_key.get(entry.key)
            made = rows and remembered(self._store, self._maker, entry.source_id, entry.sha256, rows)
            if made:
                reused.add(entry.key)
                self._enter(made)
                if self._options.delete_sources:
                    delete_downloads(self._store.out, self._ledger, [entry])
        return reused

    def _step(self, batches: _Batches) -> bool:
        found = batches.next()
        jobs = [(one, tuple(self._rows_by_key[_key(one)])) for one in found]
        options = self._options
        results = rebuild_sources(self._store, self._maker, jobs, options.num_workers, options.executor)
        for one, made, is_final in results:
            self._enter(made)
            if self._options.delete_sources and is_final:
                delete_downloads(self._store.out, self._ledger, batches.entries([one]))
        return bool(found)

    def _enter(self, made: Sequence[Rebuilt]) -> None:
        self._results.update({one.clip_id: one for one in made})
        self._progress.advance(len(made))


class _Batches:
    """Downloaded files that this run has not processed yet."""

    def __init__(self, out: Path, ledger: Ledger, keys: set[str]) -> None:
        self._out, self._ledger, self._keys = out, ledger, keys
        self._taken: set[str] = set()

    def next(self) -> list[LocalSource]:
        """Return the files that were downloaded since the last call."""
        done = self._ledger.kept() & self._keys - self._taken if self._keys else set()
        self._taken |= done
        return downloaded_files(self._out, self._ledger, done) if done else []

    def any(self) -> bool:
        """Return whether any source of this run was ever downloaded."""
        return any(entry.key in self._keys for entry in self._ledger.entries(State.DONE))

    def entries(self, found: Sequence[LocalSource]) -> list[LedgerEntry]:
        """Return the ledger's entries of files."""
        keys = {_key(one) for one in found}
        return [entry for entry in self._ledger.entries(State.DONE) if entry.key in keys]


def _run_beside(
    downloader: Downloader, wanted: Sequence[RemoteSource], step: Callable[[], bool], progress: Progress
) -> None:
    """Download in a thread and call `step` until the downloads end; `step` returns whether it did anything.

    If the disk budget is used up and `step` has nothing to do, downloads end.
    """
    errors: list[BaseException] = []

    def download() -> None:
        try:
            downloader.run(wanted)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=download, name="download", daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            is_over_budget = downloader.is_over_budget
            if step():
                downloader.recheck_budget()
            elif is_over_budget:
                # Only this run deletes downloaded files.
                progress.message("disk: budget used up: give --delete-sources or a larger --disk-budget")
                break
            thread.join(_POLL_S)
        step()
    finally:
        downloader.stop()
        thread.join()
    if errors:
        raise errors[0]


def _key(found: LocalSource) -> str:
    assert found.origin is not None
    return source_key(found.origin.source, found.origin.source_id)


def _why_missing(entry: LedgerEntry | None) -> str:
    """Return the reason for a verdict; it is stored in rebuild.json."""
    if entry is None:
        return "it was forgotten here"
    return entry.cause.value if entry.cause else entry.message or entry.state.value


def _missing(row: ManifestRow, why: str) -> Rebuilt:
    return Rebuilt(row.clip_id, row.source_id, f"missing: {why}")


def _size_digest(path: Path) -> str:
    import hashlib

    try:
        size = path.stat().st_size
    except OSError:
        size = 0
    return hashlib.sha256(str(size).encode()).hexdigest()


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
