"""`tp-curate explain`: the whole decision path, by clip or by source."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_records import source, span

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


def test_a_rejected_span_says_every_reason_and_what_was_not_asked(folder):
    text = "\n".join(lines(find_decisions(folder, "talks/a.mp4")))
    assert text.count("KEPT") == 2 and text.count("REJECTED") == 2
    assert "decided by step scan: bad sharp; bad text" in text
    assert "sharp  FAILED  0.2" in text
    assert "sharp  not asked  step index had ended it" in text
    assert "the step was passed over" not in text
    assert "FAILED  nothing to measure" in "\n".join(lines(find_decisions(folder, "other/a.mp4")))


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
        ("ab", "2 have this name: .*abc123, abd456"),
        ("a.mp4", "2 have this name"),
        ("zzz", "no clip and no source"),
        ("", "no clip and no source"),
    ],
)
def test_a_name_that_fits_nothing_or_several_things_is_refused(folder, name, message):
    with pytest.raises(ExplainError, match=message):
        find_decisions(folder, name)


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(ExplainError, match="no run of tp-curate"):
        find_decisions(tmp_path, "abc")


def test_a_step_that_was_passed_over_ended_nothing(folder):
    (decision,) = find_decisions(folder, "abc")
    skipped = decision.span.findings[0].model_copy(update={"passed": None, "measured": None})
    kept = decision.span.model_copy(update={"findings": (skipped, *decision.span.findings[1:])})
    text = "\n".join(lines([replace(decision, span=kept)]))
    assert "length  not asked  the step was passed over" in text
