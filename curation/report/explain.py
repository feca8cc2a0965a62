"""Explanation of verdicts: the measurements, thresholds and versions behind a clip or a source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curation.dataset.export import dropped_duplicates, exported_copies
from curation.dataset.persons import groups_of, persons_of
from curation.dataset.splits import split_of
from curation.records import SHOWN_ONLY, STEPS, ClipRecord, Evidence, FilterResult, ShotVerdict, SourceRecord
from curation.settings import ExportSettings
from curation.store import Store
from talkingpose.io.errors import UserError
from talkingpose.io.text_table import text_table

# Input of each step, for people.
STEP_MEANING = {
    "index": "container and index, without decoding",
    "gate": "key frames",
    "scan": "samples of one full decode",
    "clip": "every frame",
}


class ExplainError(UserError):
    """The name fits no source or clip of the run, or several."""


@dataclass(frozen=True)
class Decision:
    """Verdict of one span.

    Attributes:
        source: of the span.
        span: None where the source could not be read.
        clip: of a kept span.
        split: of the clip, None before the first export.
        duplicate_of: clip of the dataset with the same footage, in whose favour this one was dropped.
    """

    source: SourceRecord
    span: ShotVerdict | None
    clip: ClipRecord | None = None
    split: str | None = None
    duplicate_of: str | None = None


def find_decisions(folder: Path, name: str) -> list[Decision]:
    """Find the decision about a clip, or those about all spans of a source.

    Args:
        folder: of a run of tp-curate.
        name: clip id or the beginning of one; or id, hash, name or last part of the name of a source,
            with or without its suffix.

    Raises:
        ExplainError: no run worked in the folder, or the name fits nothing or several sources.
    """
    store = Store(folder)
    if not store.state.is_dir():
        raise ExplainError(f"folder {folder}: not a folder of tp-curate: give the --out of a run")
    records = store.records()
    decisions = decisions_of(store, records)
    of_clip = [one for one in decisions if one.span and (one.span.clip_id or "").startswith(name)]
    if len(of_clip) == 1 and name:
        return of_clip
    exact = {r.source_id for r in records if name in (r.source_id, r.name, r.source_sha256)}
    near = exact or {r.source_id for r in records if Path(r.name).name == name}
    near = near or {r.source_id for r in records if Path(r.name).stem == name}
    if len(near) == 1:
        return [one for one in decisions if one.source.source_id in near]
    found = [str(one.span and one.span.clip_id) for one in of_clip] if name else []
    if len(found) > 1 or len(near) > 1:
        names = sorted(found or near)
        raise ExplainError(f"{name!r}: {len(names)} match: give a longer name: {', '.join(names[:5])}")
    raise ExplainError(f"{name!r}: no clip and no source of this name in {folder}: see its verdicts.jsonl")


def decisions_of(store: Store, records: Sequence[SourceRecord]) -> list[Decision]:
    """List the decisions about all spans of records, and about sources that could not be read."""
    splits, duplicates = _exported(store, records)
    return [one for record in records for one in _decisions(record, splits, duplicates)]


def document(decisions: Sequence[Decision]) -> list[dict[str, Any]]:
    """Return JSON values."""
    return [
        {
            "source": one.source.model_dump(mode="json", exclude={"shots", "clips"}),
            "span": one.span.model_dump(mode="json", exclude=SHOWN_ONLY) if one.span else None,
            "clip": one.clip.model_dump(mode="json", exclude={"face"}) if one.clip else None,
            "split": one.split,
            "duplicate_of": one.duplicate_of,
        }
        for one in decisions
    ]


def lines(decisions: Sequence[Decision]) -> Iterator[str]:
    """Yield lines of text: the source, each span with its steps, the versions."""
    source = decisions[0].source
    yield from _source_lines(source)
    for one in decisions:
        yield ""
        if one.span is None:
            yield f"UNDECIDED  {source.error}"
        else:
            yield from _span_lines(one, one.span)
    yield ""
    yield f"configuration {source.config_hash[:16]}; recipe {source.recipe}"
    yield "versions      " + ", ".join(f"{name} {number}" for name, number in source.tool_versions.items())


def _exported(store: Store, records: Sequence[SourceRecord]) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Return split by source, and kept clip by duplicate; both are empty before the first export."""
    settings = store.exported().get("settings")
    if not settings:
        return {}, {}
    layout = ExportSettings.model_validate(settings)
    copies = exported_copies(store, records)
    groups = groups_of(records, persons_of(store, records, layout.persons), copies)
    splits = {source: split_of(group, layout.splits) for source, group in groups.items()}
    return splits, dropped_duplicates(store, records)


def _decisions(
    record: SourceRecord, splits: Mapping[str, str], duplicates: Mapping[str, str]
) -> Iterator[Decision]:
    clips = {clip.clip_id: clip for clip in record.clips}
    if record.error is not None:
        yield Decision(record, None)
    for span in record.shots:
        clip = clips.get(span.clip_id or "")
        if clip is None:
            yield Decision(record, span)
        else:
            yield Decision(record, span, clip, splits.get(record.source_id), duplicates.get(clip.clip_id))


def _source_lines(source: SourceRecord) -> Iterator[str]:
    yield f"source        {source.name} ({source.source}, id {source.source_id})"
    if source.url or source.license:
        yield f"              {source.url or 'no address'}, licence {source.license or 'unknown'}"
    if source.num_frames is None:
        return
    form = f"{source.width}x{source.height}, {source.fps:.6g} frames per second, {source.num_frames} frames"
    if source.codec:
        form += f", {source.codec} in {source.container}"
    if source.variable_frame_rate:
        form += ", variable rate"
    if source.lost_frames:
        form += f", {source.lost_frames} frames lost"
    yield f"              {form}"
    if source.cuts:
        yield f"              cuts at frames {', '.join(map(str, source.cuts))}"


def _span_lines(decision: Decision, span: ShotVerdict) -> Iterator[str]:
    word = {"keep": "KEPT", "reject": "REJECTED", "error": "UNDECIDED"}[span.verdict]
    if decision.duplicate_of is not None:
        word = "DUPLICATE"
    place = f"frames {span.start_frame} to {span.end_frame - 1} ({span.start_s:.3f} to {span.end_s:.3f} s)"
    whole = (span.start_frame, span.end_frame) == (span.shot_start, span.shot_end)
    if not whole:
        place += f", part of the shot {span.shot_start} to {span.shot_end - 1}"
    because = f": {'; '.join(span.reasons or (span.reason,))}" if span.reason else ""
    yield f"{word}  {place}, decided by step {span.step}{because}"
    if decision.clip:
        yield from _clip_lines(decision, decision.clip)
    for step in STEPS:
        results = [result for result in span.findings if result.step == step]
        if results:
            yield f"  {step}: {STEP_MEANING[step]}"
            table = text_table([_cells(one, span.step) for one in results])
            for one, line in zip(results, table, strict=True):
                yield f"    {line}"
                yield from (f"      {_place(seen)}" for seen in one.evidence)


def _clip_lines(decision: Decision, clip: ClipRecord) -> Iterator[str]:
    corners = ", ".join(f"{edge:.4f}" for edge in clip.crop_xyxy)
    yield f"  clip {clip.clip_id}: {clip.width}x{clip.height}, {clip.num_frames} frames, crop {corners}"
    if decision.duplicate_of is not None:
        yield f"  not in the dataset: clip {decision.duplicate_of} of another source has the same footage"
    yield f"  split {decision.split or 'not exported yet'}, sha256 {clip.sha256}, phash {clip.phash[:48]}"
    if clip.scores:
        yield "  scores " + ", ".join(f"{name} {value:.6g}" for name, value in sorted(clip.scores.items()))


def _place(seen: Evidence) -> str:
    if seen.box is None:
        return f"from {seen.time_s:.3f} s: {seen.what}"
    return f"at {seen.time_s:.3f} s: {seen.what} in box {', '.join(f'{edge:.3f}' for edge in seen.box)}"


def _cells(result: FilterResult, last_step: str) -> tuple[str, ...]:
    word = {True: "passed", False: "FAILED", None: "not run"}[result.passed]
    sign = ">=" if result.at_least else "<="
    wanted = f"{sign} {result.threshold:g} {result.unit}"
    if result.passed is None:
        ended = STEPS.index(result.step) >= STEPS.index(last_step)
        why = f"rejected by step {last_step}" if ended else "step skipped"
        return result.filter, word, why, wanted, ""
    measured = "no measurement" if result.measured is None else f"{result.measured:.6g}"
    share = ""
    if result.share is not None and result.min_share is not None:
        share = f"in {result.share:.0%} of samples, at least {result.min_share:.0%} needed"
    return result.filter, word, measured, wanted, share
