"""The whole way of one clip or source to its verdict: what was measured, against what, by which versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curation.dataset.persons import groups_of, persons_of
from curation.dataset.splits import split_of
from curation.records import STEPS, ClipRecord, FilterResult, ShotVerdict, SourceRecord
from curation.settings import ExportSettings
from curation.store import Store
from talkingpose.io.errors import UserError
from talkingpose.io.text_table import text_table

# What a step looks at, for people.
STEP_MEANING = {
    "index": "the container and its index, nothing decoded",
    "gate": "key frames",
    "scan": "samples of the one full decode",
    "clip": "every frame",
}


class ExplainError(UserError):
    """Nothing of that name was judged, or several things were."""


@dataclass(frozen=True)
class Decision:
    """One span of a source and what became of it; `span` is None where the source could not be read."""

    source: SourceRecord
    span: ShotVerdict | None
    clip: ClipRecord | None
    split: str | None


def find_decisions(folder: Path, name: str) -> list[Decision]:
    """The decisions about a clip (one) or a source (one for each of its spans).

    Args:
        folder: that a run of tp-curate wrote.
        name: a clip id or the beginning of one; or a source: its id, hash, name or the last part of its name.

    Raises:
        ExplainError: no run worked in the folder, or the name fits nothing or several sources.
    """
    store = Store(folder)
    if not store.state.is_dir():
        raise ExplainError(f"folder {folder}: no run of tp-curate worked here: give the --out of one")
    records = store.records()
    splits = _splits(store, records)
    paths = [path for record in records for path in _paths(record, splits)]
    of_clip = [path for path in paths if path.span and (path.span.clip_id or "").startswith(name)]
    if len(of_clip) == 1 and name:
        return of_clip
    exact = {r.source_id for r in records if name in (r.source_id, r.name, r.source_sha256)}
    near = exact or {r.source_id for r in records if Path(r.name).name == name}
    if len(near) == 1:
        return [path for path in paths if path.source.source_id in near]
    found = [str(path.span and path.span.clip_id) for path in of_clip] if name else []
    if len(found) > 1 or len(near) > 1:
        names = sorted(found or near)
        raise ExplainError(f"{name!r}: {len(names)} have this name: give more of it: {', '.join(names[:5])}")
    raise ExplainError(
        f"{name!r}: no clip and no source of this name was judged in {folder}: see its verdicts.jsonl"
    )


def document(paths: Sequence[Decision]) -> list[dict[str, Any]]:
    """The same as JSON values."""
    return [
        {
            "source": path.source.model_dump(mode="json", exclude={"shots", "clips"}),
            "span": path.span.model_dump(mode="json") if path.span else None,
            "clip": path.clip.model_dump(mode="json", exclude={"face"}) if path.clip else None,
            "split": path.split,
        }
        for path in paths
    ]


def lines(paths: Sequence[Decision]) -> Iterator[str]:
    """The same for people: the source once, then each span with its steps, then what made it."""
    source = paths[0].source
    yield from _source_lines(source)
    for path in paths:
        yield ""
        if path.span is None:
            yield f"UNDECIDED  {source.error}"
        else:
            yield from _span_lines(path, path.span)
    yield ""
    yield f"configuration {source.config_hash[:16]}; recipe {source.recipe}"
    yield "versions      " + ", ".join(f"{name} {number}" for name, number in source.tool_versions.items())


def _splits(store: Store, records: Sequence[SourceRecord]) -> Mapping[str, str]:
    """Split by source; empty before the first export."""
    settings = store.exported().get("settings")
    if not settings:
        return {}
    layout = ExportSettings.model_validate(settings)
    groups = groups_of(records, persons_of(store, records, layout.persons))
    return {source: split_of(group, layout.splits) for source, group in groups.items()}


def _paths(record: SourceRecord, splits: Mapping[str, str]) -> Iterator[Decision]:
    clips = {clip.clip_id: clip for clip in record.clips}
    if record.error is not None:
        yield Decision(record, None, None, None)
    for span in record.shots:
        clip = clips.get(span.clip_id or "")
        yield Decision(record, span, clip, splits.get(record.source_id) if clip else None)


def _source_lines(source: SourceRecord) -> Iterator[str]:
    yield f"source        {source.name} ({source.source}, id {source.source_id})"
    if source.url or source.license:
        yield f"              {source.url or 'no address'}, licence {source.license or 'not known'}"
    if source.num_frames is None:
        return
    form = f"{source.width}x{source.height}, {source.fps:.6g} frames a second, {source.num_frames} frames"
    if source.codec:
        form += f", {source.codec} in {source.container}"
    if source.variable_frame_rate:
        form += ", variable rate"
    if source.lost_frames:
        form += f", {source.lost_frames} frames lost"
    yield f"              {form}"
    if source.cuts:
        yield f"              cuts at frames {', '.join(map(str, source.cuts))}"


def _span_lines(path: Decision, span: ShotVerdict) -> Iterator[str]:
    word = {"keep": "KEPT", "reject": "REJECTED", "error": "UNDECIDED"}[span.verdict]
    place = f"frames {span.start_frame} to {span.end_frame - 1} ({span.start_s:.3f} to {span.end_s:.3f} s)"
    whole = (span.start_frame, span.end_frame) == (span.shot_start, span.shot_end)
    if not whole:
        place += f", part of the shot {span.shot_start} to {span.shot_end - 1}"
    because = f": {'; '.join(span.reasons or (span.reason,))}" if span.reason else ""
    yield f"{word}  {place}, decided by step {span.step}{because}"
    if path.clip:
        yield from _clip_lines(path, path.clip)
    for step in STEPS:
        findings = [finding for finding in span.findings if finding.step == step]
        if findings:
            yield f"  {step}: {STEP_MEANING[step]}"
            yield from (f"    {line}" for line in text_table([_cells(f, span.step) for f in findings]))


def _clip_lines(path: Decision, clip: ClipRecord) -> Iterator[str]:
    corners = ", ".join(f"{edge:.4f}" for edge in clip.crop_xyxy)
    yield f"  clip {clip.clip_id}: {clip.width}x{clip.height}, {clip.num_frames} frames, crop {corners}"
    yield f"  split {path.split or 'not exported yet'}, sha256 {clip.sha256}, look {clip.phash[:48]}"
    if clip.scores:
        yield "  scores " + ", ".join(f"{name} {value:.6g}" for name, value in sorted(clip.scores.items()))


def _cells(finding: FilterResult, ended_by: str) -> tuple[str, ...]:
    answer = {True: "passed", False: "FAILED", None: "not asked"}[finding.passed]
    sign = ">=" if finding.at_least else "<="
    wanted = f"{sign} {finding.threshold:g} {finding.unit}"
    if finding.passed is None:
        ended = STEPS.index(finding.step) >= STEPS.index(ended_by)
        why = f"step {ended_by} had ended it" if ended else "the step was passed over"
        return finding.filter, answer, why, wanted, ""
    measured = "nothing to measure" if finding.measured is None else f"{finding.measured:.6g}"
    share = ""
    if finding.share is not None and finding.min_share is not None:
        share = f"in {finding.share:.0%} of samples, wanted {finding.min_share:.0%}"
    return finding.filter, answer, measured, wanted, share
