"""Report of a run: an HTML page and a folder of videos, readable from a disk without network access."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from curation.dataset.export import exported_clip_ids, exported_copies
from curation.protocols import long_clips
from curation.records import ShotVerdict, SourceRecord
from curation.report.contact_sheet import FrameStrip, pick, strip
from curation.report.explain import Decision, ExplainError, decisions_of
from curation.report.figures import funnel_figure, histogram_figure
from curation.report.funnel import FilterYield, by_filter, by_reason, funnel
from curation.report.groups import by_group
from curation.report.previews import Preview, PreviewError, make_preview
from curation.report.span_data import ShownSpan, as_json, clean, page_data, write_details
from curation.sources import encodable, name_problem
from curation.store import REPORT_PAGE, Store
from talkingpose.io.atomic import write_text
from talkingpose.io.progress import SILENT, Progress

if TYPE_CHECKING:
    import jinja2

_TEMPLATES = Path(__file__).parents[1] / "templates"
# More spans make the page slow to open; a larger run shows a sample.
_MOST_SPANS = 5000
_OWN_FILE = re.compile(r"[vks]-[0-9a-f]{16}\.(mp4|jpg|js)")


@dataclass(frozen=True)
class ReasonSheet:
    """Spans of one verdict or reason, some of them with pictures."""

    title: str
    total: int
    strips: Sequence[FrameStrip]


@dataclass(frozen=True)
class PairSide:
    """One of two clips with the same footage; `number` is that of its span in the table."""

    number: int
    name: str
    role: str
    start_s: float
    end_s: float
    preview: Preview | None
    no_preview: str


@dataclass(frozen=True)
class ClipPair:
    """Two clips with the same footage."""

    sides: tuple[PairSide, PairSide]


def write_report(
    folder: Path,
    to: Path | None = None,
    *,
    pictures: int = 12,
    videos: int = 400,
    progress: Progress = SILENT,
) -> Path:
    """Write the page and the folder of its videos; videos of an earlier report are used again.

    Args:
        folder: Output folder of a run.
        to: Path of the page; FOLDER/report.html by default, which `forget` deletes. The folder beside it has
            its name, with `_files` instead of the suffix.
        pictures: Number of spans shown with three frames, for kept spans and for each reason.
        videos: Maximum number of spans that can be played.
        progress: Receives the number of spans with a video.

    Raises:
        ExplainError: no run worked in the folder, or the page cannot be written.
    """
    store = Store(folder)
    if not store.state.is_dir():
        raise ExplainError(f"folder {folder}: not a folder of tp-curate: give the --out of a run")
    records = store.records()
    path = to or folder / REPORT_PAGE
    if problem := name_problem(path):
        raise ExplainError(f"report {encodable(str(path))}: {problem}")
    if path.is_dir():
        raise ExplainError(f"report {path}: a folder: give the name of a file, such as {path / REPORT_PAGE}")
    files = path.with_name(f"{path.stem}_files")
    try:
        files.mkdir(exist_ok=True)
        sources = _source_files(store, records)
        shown = _shown_spans(store, records, sources, files, videos, progress)
        used = write_details(files, store, shown)
        used |= {name for one in shown if one.preview for name in (one.preview.video, one.preview.portrait)}
        for stale in files.iterdir():
            if _OWN_FILE.fullmatch(stale.name) and stale.name not in used:
                stale.unlink()
        write_text(path, _page(store, records, shown, sources, quote(files.name), pictures))
    except OSError as error:
        raise ExplainError(f"report {path}: {error.strerror}: give a file in an existing folder") from error
    return path


def _shown_spans(
    store: Store,
    records: Sequence[SourceRecord],
    files: Mapping[str, Path],
    folder: Path,
    videos: int,
    progress: Progress,
) -> list[ShownSpan]:
    """List the spans of the table, some of them with a preview."""
    found = [one for one in decisions_of(store, records) if one.span is not None]
    copies = exported_copies(store, records)
    paired = copies.keys() | set(copies.values())
    chosen = {id(one) for one in _sample(found, _MOST_SPANS)}
    found = [one for one in found if id(one) in chosen or _clip_id(one) in paired]
    playable = {id(one) for one in _sample(found, videos)}
    if videos:
        playable |= {id(one) for one in found if _clip_id(one) in paired}
    numbers = {_clip_id(one): number for number, one in enumerate(found) if one.clip is not None}
    progress.start("videos", len(playable))
    shown = []
    for one in found:
        preview, reason = None, f"Not among the {videos} spans with a video: see --videos."
        if id(one) in playable and one.span is not None:
            try:
                preview = make_preview(store, files, one.source, one.span, folder)
            except PreviewError as error:
                reason = str(error)
            progress.advance()
        kept = None if one.duplicate_of is None else numbers.get(one.duplicate_of)
        shown.append(ShownSpan(one, preview, "" if preview else reason, kept))
    return shown


def _clip_id(one: Decision) -> str | None:
    return None if one.clip is None else one.clip.clip_id


def _sample(found: Sequence[Decision], most: int) -> list[Decision]:
    """Choose at most `most` decisions by hash, as far as possible half of them about kept spans."""

    def rank(one: Decision) -> bytes:
        start = one.span.start_frame if one.span else 0
        return hashlib.sha256(f"{one.source.source_id} {start}".encode(errors="surrogatepass")).digest()

    kept = sorted((one for one in found if one.clip is not None), key=rank)
    others = sorted((one for one in found if one.clip is None), key=rank)
    number = min(len(kept), max(most // 2, most - len(others)))
    return [*kept[:number], *others[: most - number]]


def _page(
    store: Store,
    records: Sequence[SourceRecord],
    shown: Sequence[ShownSpan],
    sources: Mapping[str, Path],
    files: str,
    pictures: int,
) -> str:
    stages = funnel(records, exported_clip_ids(store))
    filters = by_filter(records)
    name = store.out.absolute().name
    script = (_TEMPLATES / "report.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    copies = exported_copies(store, records)
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            name=name,
            records=records,
            stages=stages,
            funnel=funnel_figure(stages),
            reasons=by_reason(records),
            filters=[(one, histogram_figure(one) if one.values else None) for one in filters],
            sheets=_sheets(store, records, sources, pictures),
            errors=[(record.name, message) for record in records for message in record.errors],
            groups=by_group(records),
            long_clips=long_clips(clip for record in records for clip in record.clips),
            made_with=_made_with(records),
            pairs=_pairs(shown, copies),
            dropped=any(one.decision.duplicate_of for one in shown),
            shown=len(shown),
            files=files,
            css=(_TEMPLATES / "report.css").read_text(encoding="utf-8"),
            script=script,
            script_hash=f"sha256-{digest}",
            data=as_json(page_data(store, f"Curation of {name}", files, shown)),
            why=_why,
            sign=_sign,
        )
    )


def _pairs(shown: Sequence[ShownSpan], copies: Mapping[str, str]) -> list[ClipPair]:
    """List pairs of clips with the same footage: the copy, and the clip that represents it."""
    numbers = {_clip_id(one.decision): number for number, one in enumerate(shown)}
    found = []
    for copy, kept in copies.items():
        if copy in numbers and kept in numbers:
            is_left_out = shown[numbers[copy]].decision.duplicate_of is not None
            role = "left out of the dataset" if is_left_out else "in the dataset, in the same split"
            sides = (_side(shown, numbers[kept], "in the dataset"), _side(shown, numbers[copy], role))
            found.append(ClipPair(sides))
    return found


def _side(shown: Sequence[ShownSpan], number: int, role: str) -> PairSide:
    one = shown[number]
    name, span = one.decision.source.name, one.span
    return PairSide(number, name, role, span.start_s, span.end_s, one.preview, one.no_preview)


def _sheets(
    store: Store, records: Sequence[SourceRecord], files: Mapping[str, Path], pictures: int
) -> list[ReasonSheet]:
    spans = [(record, span) for record in records for span in record.shots]
    groups: dict[str, list[tuple[SourceRecord, ShotVerdict]]] = {"kept": []}
    for reason, *_ in by_reason(records):
        groups[reason] = []
    for record, span in spans:
        title = {"keep": "kept", "error": "undecided"}.get(span.verdict, span.reason or "")
        groups.setdefault(title, []).append((record, span))
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
    return clean(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


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
