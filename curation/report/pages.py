"""The report: one page, readable without network and without JavaScript, of what a run did and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curation.records import ShotVerdict, SourceRecord
from curation.report.contact_sheet import Strip, pick, strip
from curation.report.explain import ExplainError
from curation.report.figures import funnel_figure, histogram_figure
from curation.report.funnel import FilterTally, by_filter, by_reason, funnel
from curation.store import REPORT_PAGE, Store
from talkingpose.io.atomic import write_text

if TYPE_CHECKING:
    import jinja2

# Control characters, and the marks that reverse the order of the text after them.
_UNSHOWABLE = [*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xFEFF]
_CLEAN = dict.fromkeys(_UNSHOWABLE, "\ufffd")


@dataclass(frozen=True)
class Sheet:
    """Spans of one fate, some of them with pictures."""

    title: str
    total: int
    strips: Sequence[Strip]


def write_report(folder: Path, to: Path | None = None, *, pictures: int = 12) -> Path:
    """Write the page; the same records and files give the same bytes.

    Args:
        folder: that a run of tp-curate wrote.
        to: where to write it; FOLDER/report.html by default, which `forget` removes with whom it shows.
        pictures: spans shown of those that were kept, and of each reason.

    Raises:
        ExplainError: no run worked in the folder.
    """
    store = Store(folder)
    if not store.state.is_dir():
        raise ExplainError(f"folder {folder}: no run of tp-curate worked here: give the --out of one")
    records = store.records()
    path = to or folder / REPORT_PAGE
    write_text(path, _page(store, records, pictures))
    return path


def _page(store: Store, records: Sequence[SourceRecord], pictures: int) -> str:
    exported = _exported(store)
    stages = funnel(records, exported)
    tallies = by_filter(records)
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            name=store.out.absolute().name,
            records=records,
            clips=sum(len(record.clips) for record in records),
            stages=stages,
            funnel=funnel_figure(stages),
            reasons=by_reason(records),
            filters=[(tally, histogram_figure(tally) if tally.values else None) for tally in tallies],
            sheets=_sheets(store, records, pictures),
            errors=[(record.name, message) for record in records for message in record.errors],
            made_with=_made_with(records),
            why=_why,
            sign=_sign,
        )
    )


def _exported(store: Store) -> set[str]:
    """Ids of the clips that are in the dataset."""
    import pyarrow.parquet as pq

    files = [name for name in store.exported().get("files", []) if name.startswith("manifest/")]
    paths = [store.out / name for name in files if (store.out / name).is_file()]
    return {
        clip for path in paths for clip in pq.read_table(path, columns=["clip_id"])["clip_id"].to_pylist()
    }


def _sheets(store: Store, records: Sequence[SourceRecord], pictures: int) -> list[Sheet]:
    spans = [(record, span) for record in records for span in record.shots]
    groups: dict[str, list[tuple[SourceRecord, ShotVerdict]]] = {"kept": []}
    for reason, *_ in by_reason(records):
        groups[reason] = []
    for record, span in spans:
        title = {"keep": "kept", "error": "undecided"}.get(span.verdict, span.reason or "")
        groups.setdefault(title, []).append((record, span))
    files = _source_files(store, records)
    return [
        Sheet(title, len(found), [strip(store, files, *one) for one in pick(found, pictures)])
        for title, found in groups.items()
        if found
    ]


def _source_files(store: Store, records: Sequence[SourceRecord]) -> dict[str, Path]:
    """Files of sources that are still here, by source id."""
    from curation.download.downloader import open_ledger
    from curation.download.downloads import fetched_files
    from curation.orchestrator import has_ledger

    known = store.known_files()
    found = {r.source_id: known[r.source_sha256] for r in records if r.source_sha256 in known}
    if has_ledger(store.out):
        with open_ledger(store.out) as ledger:
            for file in fetched_files(store.out, ledger):
                if file.origin is not None and file.path.is_file():
                    found[file.origin.source_id] = file.path
    return found


def _made_with(records: Sequence[SourceRecord]) -> list[tuple[str, int, Mapping[str, str]]]:
    """(configuration, sources, versions) for everything that the records were made with."""
    found: dict[str, list[SourceRecord]] = {}
    for record in records:
        found.setdefault(record.recipe, []).append(record)
    return [(made[0].config_hash[:16], len(made), made[0].tool_versions) for made in found.values()]


def _why(span: ShotVerdict) -> str:
    """The measurement that ended a span, in a few words; empty for a kept one."""
    failed = next((one for one in span.findings if one.passed is False), None)
    if failed is None:
        return ""
    measured = "nothing to measure" if failed.measured is None else f"{failed.measured:.4g}"
    wanted = ">=" if failed.at_least else "<="
    return f"{failed.filter}: {measured}, wanted {wanted} {failed.threshold:g} {failed.unit}"


def _sign(tally: FilterTally) -> str:
    return f"{'≥' if tally.at_least else '≤'} {tally.threshold:g}"


def _show(value: Any) -> Any:
    """What the template may print; texts of other hands lose their control characters."""
    return value.translate(_CLEAN) if isinstance(value, str) and not hasattr(value, "__html__") else value


def _environment() -> jinja2.Environment:
    import jinja2

    return jinja2.Environment(
        loader=jinja2.PackageLoader("curation"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_show,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
