"""Report of a run: one HTML page without network access and without JavaScript."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curation.dataset.export import exported_clip_ids
from curation.protocols import long_clips
from curation.records import ShotVerdict, SourceRecord
from curation.report.contact_sheet import FrameStrip, pick, strip
from curation.report.explain import ExplainError
from curation.report.figures import funnel_figure, histogram_figure
from curation.report.funnel import FilterYield, by_filter, by_reason, funnel
from curation.report.groups import by_group
from curation.store import REPORT_PAGE, Store
from talkingpose.io.atomic import write_text

if TYPE_CHECKING:
    import jinja2

# Control characters, and characters that reverse the order of the following text.
_UNSHOWABLE = [*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xFEFF]
_CLEAN = dict.fromkeys(_UNSHOWABLE, "\ufffd")


@dataclass(frozen=True)
class ReasonSheet:
    """Spans of one verdict or reason, some of them with pictures."""

    title: str
    total: int
    strips: Sequence[FrameStrip]


def write_report(folder: Path, to: Path | None = None, *, pictures: int = 12) -> Path:
    """Write the page; the same records and files give the same bytes.

    Args:
        folder: of a run of tp-curate.
        to: path of the page; FOLDER/report.html by default, which `forget` deletes.
        pictures: number of spans shown for kept spans and for each reason.

    Raises:
        ExplainError: no run worked in the folder.
    """
    store = Store(folder)
    if not store.state.is_dir():
        raise ExplainError(f"folder {folder}: not a folder of tp-curate: give the --out of a run")
    records = store.records()
    path = to or folder / REPORT_PAGE
    write_text(path, _page(store, records, pictures))
    return path


def _page(store: Store, records: Sequence[SourceRecord], pictures: int) -> str:
    stages = funnel(records, exported_clip_ids(store))
    filters = by_filter(records)
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            name=store.out.absolute().name,
            records=records,
            stages=stages,
            funnel=funnel_figure(stages),
            reasons=by_reason(records),
            filters=[(one, histogram_figure(one) if one.values else None) for one in filters],
            sheets=_sheets(store, records, pictures),
            errors=[(record.name, message) for record in records for message in record.errors],
            groups=by_group(records),
            long_clips=long_clips(clip for record in records for clip in record.clips),
            made_with=_made_with(records),
            why=_why,
            sign=_sign,
        )
    )


def _sheets(store: Store, records: Sequence[SourceRecord], pictures: int) -> list[ReasonSheet]:
    spans = [(record, span) for record in records for span in record.shots]
    groups: dict[str, list[tuple[SourceRecord, ShotVerdict]]] = {"kept": []}
    for reason, *_ in by_reason(records):
        groups[reason] = []
    for record, span in spans:
        title = {"keep": "kept", "error": "undecided"}.get(span.verdict, span.reason or "")
        groups.setdefault(title, []).append((record, span))
    files = _source_files(store, records)
    return [
        ReasonSheet(title, len(found), [strip(store, files, *one) for one in pick(found, pictures)])
        for title, found in groups.items()
        if found
    ]


def _source_files(store: Store, records: Sequence[SourceRecord]) -> dict[str, Path]:
    """Find the files of sources that still exist, by source id."""
    from curation.download.downloads import downloaded_files
    from curation.download.ledger import has_ledger, open_ledger

    known = store.known_files()
    found = {r.source_id: known[r.source_sha256] for r in records if r.source_sha256 in known}
    if has_ledger(store.out):
        with open_ledger(store.out) as ledger:
            for file in downloaded_files(store.out, ledger):
                if file.origin is not None and file.path.is_file():
                    found[file.origin.source_id] = file.path
    return found


def _made_with(records: Sequence[SourceRecord]) -> list[tuple[str, int, Mapping[str, str]]]:
    """List (configuration, number of sources, versions) of the records."""
    found: dict[str, list[SourceRecord]] = {}
    for record in records:
        found.setdefault(record.recipe, []).append(record)
    return [(made[0].config_hash[:16], len(made), made[0].tool_versions) for made in found.values()]


def _why(span: ShotVerdict) -> str:
    """Describe the measurement that rejected a span; empty for a kept one."""
    failed = next((one for one in span.findings if one.passed is False), None)
    if failed is None:
        return ""
    measured = "no measurement" if failed.measured is None else f"{failed.measured:.4g}"
    sign = ">=" if failed.at_least else "<="
    return f"{failed.filter}: {measured}, needs {sign} {failed.threshold:g} {failed.unit}"


def _sign(one: FilterYield) -> str:
    return f"{'≥' if one.at_least else '≤'} {one.threshold:g}"


def _show(value: Any) -> Any:
    """Return what the template may print; texts from outside lose their control characters."""
    return value.translate(_CLEAN) if isinstance(value, str) and not hasattr(value, "__html__") else value


@cache
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
