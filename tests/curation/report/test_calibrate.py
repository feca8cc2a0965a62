"""Precision, recall and yield against closed forms, and proposed thresholds."""

from __future__ import annotations

import numpy as np
import pytest
from made_records import SHARPNESS, source, span

from curation.records import FilterResult
from curation.report.calibrate import MIN_SOURCES, _Cascade, _Case, calibrate, lines
from curation.report.labels import (
    Label,
    LabelError,
    Labels,
    labelled_parts,
    labels_by_source,
    read_labels,
)


def labels(*pairs: tuple[str, bool], unclear: tuple[str, ...] = ()) -> Labels:
    return Labels(tuple(Label(name, wanted) for name, wanted in pairs), unclear)


def test_numbers_of_a_case_that_can_be_counted_by_hand():
    records = [
        source("good1", span(0, clip_id="k1")),  # kept, wanted
        source("good2", span(0, sharp=0.3)),  # rejected, wanted
        source("bad1", span(0, clip_id="k2"), span(1, sharp=0.1)),  # kept in part, not wanted
        source("bad2", span(0, seconds=2.0)),  # rejected, not wanted
    ]
    found = calibrate(records, labels(("good1", True), ("good2", True), ("bad1", False), ("bad2", False)))
    whole = found.by_source
    assert (whole.precision, whole.recall, whole.yield_) == (1 / 2, 1 / 2, 2 / 4)
    by_seconds = found.by_seconds  # 4 of 8 kept seconds are wanted, 4 of 8 wanted ones kept, 8 of 18 kept
    assert (by_seconds.precision, by_seconds.recall, by_seconds.yield_) == (1 / 2, 1 / 2, 8 / 18)
    assert found.false_keeps == ("bad1",) and found.false_rejects == ("good2",)
    sharp = next(one for one in found.filters if one.filter == "sharp")
    assert (sharp.measured, sharp.not_measured) == (4, 1)
    # Alone: asked about 16 s, 8 of them pass, half of these wanted.
    assert (sharp.alone.precision, sharp.alone.recall, sharp.alone.yield_) == (1 / 2, 1 / 2, 1 / 2)
    assert sharp.together == by_seconds


def footage(count: int, threshold_between: tuple[float, float], at: str = "sharp"):
    """Wanted sources just above, unwanted ones just below a place."""
    low, high = threshold_between
    records, table = [], []
    for i in range(count):
        for wanted, value in ((True, high + i * 0.01), (False, low - i * 0.01)):
            name = f"{'good' if wanted else 'bad'}{i}"
            records.append(source(name, span(0, **{at: value})))
            table.append((name, wanted))
    return records, labels(*table)


def test_a_better_threshold_is_found_in_the_gap():
    records, table = footage(8, (0.25, 0.35))  # the threshold of 0.5 rejects them all
    found = calibrate(records, table)
    sharp = next(one for one in found.filters if one.filter == "sharp")
    assert sharp.proposed == 0.3
    assert (sharp.would_be.precision, sharp.would_be.recall, sharp.would_be.yield_) == (1, 1, 0.5)
    assert sharp.together.recall == 0 and sharp.together.f1 == 0
    text = "\n".join(lines(found))
    assert "8 wanted and 8 unwanted sources" in text and ">= 0.3  (1.000 / 1.000 / 0.500)" in text


def test_an_upper_bound_is_moved_the_right_way():
    # Wanted footage has less text than unwanted footage here, but more than the threshold of 0.02 allows.
    records, table = footage(6, (0.2, 0.4), at="text")
    table = Labels(tuple(Label(one.file, not one.wanted) for one in table.labels), ())
    text = next(one for one in calibrate(records, table).filters if one.filter == "text")
    assert text.at_least is False and text.proposed == 0.3 and text.would_be.f1 == 1


def test_a_good_threshold_stays_and_few_labels_propose_nothing():
    records, table = footage(8, (0.4, 0.6))
    sharp = next(one for one in calibrate(records, table).filters if one.filter == "sharp")
    assert sharp.proposed is None and "no threshold is better" in sharp.note
    records, table = footage(MIN_SOURCES - 1, (0.25, 0.35))
    sharp = next(one for one in calibrate(records, table).filters if one.filter == "sharp")
    assert sharp.proposed is None and "fewer than 5" in sharp.note


def test_other_filters_are_not_undone_by_a_proposal():
    """Spans that another filter rejects do not raise the threshold of this one."""
    records, table = footage(8, (0.4, 0.6))
    records += [source(f"worse{i}", span(0, sharp=0.9, text=0.5)) for i in range(8)]
    table = Labels(table.labels + tuple(Label(f"worse{i}", False) for i in range(8)), ())
    sharp = next(one for one in calibrate(records, table).filters if one.filter == "sharp")
    assert sharp.together.precision == 1 and sharp.proposed is None
    assert sharp.alone.precision == 0.5


def test_errors_and_unjudged_files_are_neither_kept_nor_rejected():
    records = [source("a", error="broken"), source("b", span(0, error="crashed")), source("c", span(0))]
    found = calibrate(records, labels(("a", True), ("b", True), ("c", True), ("d", False), unclear=("e",)))
    assert found.undecided == ("a", "b") and found.not_judged == ("d",) and found.unclear == ("e",)
    assert found.wanted_sources == 1 and found.by_source.recall == 1


def test_a_table_with_parts_of_sources(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("file,keep,start_s,end_s\nfolder/a.mp4,no,,\nfolder/a.mp4,yes,4,8\nb.mp4,maybe,,\n")
    table = read_labels(path)
    assert table.unclear == ("b.mp4",)
    found = calibrate([source("a.mp4", span(0), span(1, clip_id="k"))], table)
    assert found.by_seconds.recall == 1 and found.by_seconds.precision == 0.5
    assert Label("x/a.mp4", True).is_of("footage/x/a.mp4") and not Label("x/a.mp4", True).is_of("y/a.mp4")
    assert not Label("a.mp4", True).is_of("aa.mp4")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,label\na,yes\n", "no column keep: it has file, label"),
        ("clip,keep\na,yes\n", "no column file"),
        ("file,keep\na,perhaps\n", "has neither yes nor no"),
        ("file,keep,start_s\na,yes,soon\n", "line 2: start_s 'soon': give seconds"),
        ("", "no column file: it has none"),
        ("file,keep,start_s,end_s\na,yes,4,2\n", "line 2: end_s 2 is not after start_s 4"),
        ("file,keep\n,yes\n", "line 2: no file"),
        ("file,keep,end_s\na,yes,nan\n", "end_s 'nan': give seconds"),
        ("file,keep\n" + "a" * 200_000 + ",yes\n", "not a CSV table"),
        ('file,keep\n"a', "neither yes nor no"),
    ],
)
def test_an_unusable_table_is_refused(tmp_path, text, message):
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(LabelError, match=message):
        read_labels(tmp_path / "labels.csv")


def test_tables_of_spreadsheets_are_read(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_bytes(b'\xef\xbb\xbffile;keep;end_s\r\n"a ""b"";c.mp4";yes;3\r\n')
    assert read_labels(path).labels == (Label('a "b";c.mp4', True, 0.0, 3.0),)
    path.write_bytes(b"file,keep\n\xff\xfe,yes\n")
    with pytest.raises(LabelError, match="not UTF-8"):
        read_labels(path)


def test_no_such_table(tmp_path):
    with pytest.raises(LabelError, match="No such file"):
        read_labels(tmp_path / "none.csv")


@pytest.mark.parametrize("passed", [True, False])
def test_a_result_without_a_value_does_not_depend_on_the_threshold(passed):
    result = FilterResult(
        **SHARPNESS, passed=passed, measured=None, at_least=True, reason=None if passed else "too soft"
    )
    one = span(0).model_copy(update={"findings": (result,)})
    case = _Case("a", one, True, 4.0)
    assert set(_Cascade("sharp", [case]).kept(np.array([0.0, 0.5, 9.0])).ravel().tolist()) == {passed}


def test_a_threshold_that_rests_on_few_sources_is_not_proposed():
    records, table = footage(MIN_SOURCES, (0.4, 0.6))
    records += [source(f"odd{i}", span(0, seconds=40.0, sharp=0.45 + i * 0.01)) for i in range(2)]
    table = Labels(table.labels + tuple(Label(f"odd{i}", True) for i in range(2)), ())
    sharp = next(one for one in calibrate(records, table).filters if one.filter == "sharp")
    assert sharp.proposed is None and "rests on 2 sources, fewer than 3" in sharp.note


def test_a_threshold_that_fits_noise_is_not_proposed():
    """Labels that have nothing to do with the values: a threshold fits them, but not those left out."""
    random = np.random.default_rng(16)
    records = [source(f"s{i}", span(0, sharp=float(0.4 + 0.2 * random.random()))) for i in range(30)]
    table = labels(*((one.name, bool(random.random() < 0.5)) for one in records))
    sharp = next(one for one in calibrate(records, table).filters if one.filter == "sharp")
    assert sharp.left_out is not None and sharp.deciding_sources >= 3
    assert sharp.proposed is None and "on sources left out: nothing is proposed" in sharp.note


def test_a_proposal_is_confirmed_on_sources_left_out():
    records, table = footage(8, (0.25, 0.35))
    sharp = next(one for one in calibrate(records, table).filters if one.filter == "sharp")
    assert sharp.deciding_sources == 8 and sharp.left_out is not None and sharp.left_out.f1 == 1


def test_parts_of_a_span_count_by_their_seconds():
    table = Labels((Label("a", True), Label("a", False, 1.0, 2.0), Label("a", True, 3.0, 9.0)), ())
    assert labelled_parts(table.labels, 0.0, 4.0) == [(0.0, 1.0, True), (1.0, 2.0, False), (2.0, 4.0, True)]
    found = calibrate([source("a", span(0, clip_id="k"))], table)
    assert (found.by_seconds.precision, found.by_seconds.recall) == (3 / 4, 1)


def test_an_id_names_one_of_two_sources_with_the_same_name():
    records = [source("x/a.mp4", span(0, clip_id="k1")), source("y/a.mp4", span(0, sharp=0.1))]
    table = Labels(
        (Label("a.mp4", True, source_id="id-x-a.mp4"), Label("a.mp4", False, source_id="gone")), ()
    )
    assigned, unknown = labels_by_source(table.labels, {one.source_id: one.name for one in records})
    assert [len(assigned[one.source_id]) for one in records] == [2, 1] and unknown == []
