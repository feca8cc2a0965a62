"""Amounts of the report: every second of footage is counted once."""

from __future__ import annotations

from itertools import pairwise

from made_records import source, span

from curation.report.funnel import Amount, by_filter, by_reason, funnel

RECORDS = [
    source("a", span(0, clip_id="k1"), span(1, sharp=0.1), span(2, sharp=0.1, text=0.4)),
    source("b", span(0, seconds=2.0), span(3, clip_id="k2")),
    source("c", span(0, error="crashed"), span(1, text=0.4)),
    source("d", error="no video"),
]


def test_the_steps_of_the_funnel_add_up():
    stages = funnel(RECORDS, {"k1"})
    assert [stage.name for stage in stages] == ["footage", "index", "gate", "scan", "clip", "dataset"]
    assert stages[0].left == Amount(7, 26.0)
    for before, after in pairwise(stages):
        taken = after.rejected.seconds + after.undecided.seconds
        assert before.left.seconds == after.left.seconds + taken
    by_name = {stage.name: stage for stage in stages}
    assert by_name["index"].rejected == Amount(1, 2.0)
    assert by_name["scan"].rejected == Amount(3, 12.0)
    assert by_name["clip"].undecided == Amount(1, 4.0) and by_name["clip"].rejected.spans == 0
    assert by_name["dataset"].left == Amount(1, 4.0) and by_name["dataset"].rejected == Amount(1, 4.0)


def test_reasons_first_and_among_others():
    found = {reason: (first, among) for reason, first, among in by_reason(RECORDS)}
    assert found["bad sharp"] == (Amount(2, 8.0), Amount(2, 8.0))
    assert found["bad text"] == (Amount(1, 4.0), Amount(2, 8.0))
    assert "crashed" not in found


def test_a_filter_alone():
    found = {one.filter: one for one in by_filter(RECORDS)}
    assert found["length"].failed == found["length"].alone == Amount(1, 2.0)
    assert found["sharp"].asked == Amount(5, 20.0)  # not run where the length rejects the span
    assert found["sharp"].failed == Amount(2, 8.0) and found["sharp"].alone == Amount(1, 4.0)
    assert found["sharp"].yield_ == 1 - 8 / 20
    assert (0.8, 4.0, True) in found["sharp"].values and len(found["sharp"].values) == 5
