"""`tp-curate explain`: verdicts by clip or by source."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_records import source, span

from curation.config import load_config
from curation.dataset.export import export
from curation.records import Evidence, FilterResult
from curation.report.explain import ExplainError, document, find_decisions, lines
from curation.store import Store


@pytest.fixture
def folder(tmp_path):
    store = Store(tmp_path / "data")
    with store.locked():
        pass
    records = [
        source(
            "talks/a.mp4",
            span(0, clip_id="abc123"),
            span(1, sharp=0.2, text=0.3),
            span(2, seconds=1.0),
            span(3, clip_id="abd456"),
        ),
        source("other/a.mp4", span(0, sharp=None)),
        source("broken.mp4", error="broken.mp4: no video: give another"),
    ]
    for record in records:
        clips = store.clip_folder(record.source_id, record.recipe)
        clips.mkdir(parents=True)
        for clip in record.clips:
            (clips / f"{clip.clip_id}.mp4").write_bytes(bytes(clip.num_bytes))
            np.savez(clips / f"{clip.clip_id}.npz", keypoints=np.zeros((1, 133, 3)))
        store.write(record)
    return tmp_path / "data"


def test_a_clip_by_the_beginning_of_its_id(folder):
    (decision,) = find_decisions(folder, "abc")
    assert decision.span.clip_id == decision.clip.clip_id == "abc123"
    text = "\n".join(lines([decision]))
    for part in (
        "talks/a.mp4", "KEPT  frames 0 to 99 (0.000 to 4.000 s), part of the shot 0 to 999", "step clip",
        "length  passed  4  >= 3 s", "sharp  passed  0.8  >= 0.5 sharpness", "<= 0.02 share of the picture",
        "configuration cccccccccccccccc", "tool 1.2", "brightness 90", "not exported yet",
    ):  # fmt: skip
        assert part in text, part


def test_a_rejected_span_has_every_reason_and_lists_filters_that_did_not_run(folder):
    text = "\n".join(lines(find_decisions(folder, "talks/a.mp4")))
    assert text.count("KEPT") == 2 and text.count("REJECTED") == 2
    assert "decided by step scan: bad sharp; bad text" in text
    assert "sharp  FAILED  0.2" in text
    assert "sharp  not run  rejected by step index" in text
    assert "step skipped" not in text
    assert "FAILED  no measurement" in "\n".join(lines(find_decisions(folder, "other/a.mp4")))


def test_an_error_is_no_rejection(folder):
    text = "\n".join(lines(find_decisions(folder, "broken.mp4")))
    assert "UNDECIDED  broken.mp4: no video" in text and "REJECTED" not in text


def test_the_document_holds_the_same(folder):
    (one,) = document(find_decisions(folder, "abd456"))
    assert one["span"]["findings"][1]["measured"] == 0.8 and one["clip"]["clip_id"] == "abd456"
    assert one["source"]["tool_versions"] == {"tool": "1.2"} and "shots" not in one["source"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ab", "2 match: .*abc123, abd456"),
        ("a.mp4", "2 match"),
        ("zzz", "no clip and no source"),
        ("", "no clip and no source"),
    ],
)
def test_a_name_that_fits_nothing_or_several_things_is_refused(folder, name, message):
    with pytest.raises(ExplainError, match=message):
        find_decisions(folder, name)


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(ExplainError, match="not a folder of tp-curate"):
        find_decisions(tmp_path, "abc")


def test_a_skipped_step_rejects_nothing(folder):
    (decision,) = find_decisions(folder, "abc")
    skipped = decision.span.findings[0].model_copy(update={"passed": None, "measured": None})
    kept = decision.span.model_copy(update={"findings": (skipped, *decision.span.findings[1:])})
    text = "\n".join(lines([replace(decision, span=kept)]))
    assert "length  not run  step skipped" in text


def test_a_duplicate_is_not_reported_as_part_of_the_dataset(tmp_path):
    """Two sources with the same hashes: the export keeps one clip, and `explain` says which."""
    store = Store(tmp_path / "data")
    hashes = tuple(f"{number:064x}" for number in range(40))
    records = []
    for name in ("a", "b"):
        record = source(f"{name}.mp4", span(0, clip_id=f"clip-{name}"))
        clips = tuple(clip.model_copy(update={"looks": hashes}) for clip in record.clips)
        records.append(record.model_copy(update={"clips": clips}))
    with store.locked():
        for record in records:
            folder = store.clip_folder(record.source_id, record.recipe)
            folder.mkdir(parents=True)
            for clip in record.clips:
                (folder / f"{clip.clip_id}.mp4").write_bytes(bytes(clip.num_bytes))
                arrays = {
                    "keypoints": np.zeros((100, 133, 3), np.float16),
                    "boxes": np.zeros((100, 4), np.float32),
                }
                np.savez(folder / f"{clip.clip_id}.npz", **arrays)
            store.write(record)
        export(store, records, load_config().export)
    kept, dropped = (find_decisions(tmp_path / "data", f"clip-{name}")[0] for name in ("a", "b"))
    assert kept.duplicate_of is None and dropped.duplicate_of == "clip-a"
    assert document([dropped])[0]["duplicate_of"] == "clip-a"
    text = "\n".join(lines([dropped]))
    assert "DUPLICATE" in text and "KEPT" not in text and "clip clip-a of another source" in text


def test_a_source_is_found_without_its_suffix(folder):
    assert find_decisions(folder, "broken")[0].source.name == "broken.mp4"
    with pytest.raises(ExplainError, match="2 match"):
        find_decisions(folder, "a")


def test_times_and_places_of_what_a_filter_rejects_are_shown(folder):
    decision = find_decisions(folder, "talks/a.mp4")[1]
    seen = (
        Evidence(time_s=1.25, what="joints", box=(0.7, 0.1, 0.9, 1.0)),
        Evidence(time_s=2.0, what="hands"),
    )
    failed = decision.span.findings[1].model_copy(update={"evidence": seen})
    shown = decision.span.model_copy(update={"findings": (decision.span.findings[0], failed)})
    text = "\n".join(lines([replace(decision, span=shown)]))
    assert "at 1.250 s: joints in box 0.700, 0.100, 0.900, 1.000" in text and "from 2.000 s: hands" in text
    # Records from before evidence was stored are written as they were.
    assert "evidence" not in decision.span.findings[1].model_dump()
    assert FilterResult.model_validate_json(failed.model_dump_json()) == failed
