"""Totals from a sample: the estimator against its closed form and its nominal coverage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_records import source, span
from shot_videos import write_shots

from curation.orchestrator import read_inputs
from curation.report.estimate import EstimateError, estimate_totals, sample_sources
from curation.report.ratio_estimator import ratio_total


def test_a_ratio_that_is_the_same_everywhere_has_no_spread():
    found = ratio_total([1, 2, 3], [10, 20, 30], 600, 100)
    assert (found.value, found.low, found.high) == pytest.approx((60, 60, 60))


def test_closed_form_of_cochran():
    measured, sizes = [2.0, 4.0, 9.0], [1.0, 2.0, 3.0]
    ratio = 15 / 6
    spread = sum((y - ratio * x) ** 2 for y, x in zip(measured, sizes, strict=True)) / 2
    deviation = np.sqrt((1 - 3 / 30) * spread / 3) / 2 * 50
    found = ratio_total(measured, sizes, 50, 30)
    assert found.value == pytest.approx(125)
    assert found.high - found.value == pytest.approx(4.302653 * deviation, rel=1e-6)  # t, 2 degrees, 97.5 %
    assert found.low == pytest.approx(max(2 * found.value - found.high, 0))


def test_everything_sampled_leaves_nothing_open_and_one_source_says_nothing_of_its_spread():
    assert ratio_total([1, 5], [1, 1], 2, 2).low == ratio_total([1, 5], [1, 1], 2, 2).high == 6
    assert ratio_total([1], [1], 9, 9).low is None
    with pytest.raises(ValueError, match="sample"):
        ratio_total([], [], 1, 1)


def test_intervals_cover_what_they_promise():
    rng = np.random.default_rng(0)
    sizes = rng.uniform(50, 150, 400)
    amounts = sizes * rng.beta(2, 3, 400)
    inside = 0
    for _ in range(1000):
        chosen = rng.choice(400, 20, replace=False)
        found = ratio_total(amounts[chosen], sizes[chosen], sizes.sum(), 400)
        inside += found.low <= amounts.sum() <= found.high
    # Linearised variances of small samples are a little too small, as the docstring says.
    assert 0.925 < inside / 1000 < 0.965


@pytest.fixture(scope="module")
def footage(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("footage")
    for number in range(4):
        write_shots(
            folder / f"{number}.mp4", [((60, 180, 60), 80), ((180, 60, 60), 20 * number + 5)], seed=number
        )
    (folder / "broken.mp4").write_text("no video")
    return folder


def test_a_draw_is_by_seed_and_leaves_out_what_cannot_be_opened(footage):
    chosen = read_inputs([str(footage)])
    drawn = sample_sources(chosen, 2, seed=3)
    assert drawn.count == 4 and len(drawn.chosen.local) == 2
    assert drawn.unreadable == (f"{footage.name}/broken.mp4",)
    assert drawn.seconds[None] == pytest.approx(sum(80 + 20 * i + 5 for i in range(4)) / 25)
    assert sample_sources(chosen, 2, seed=3).chosen == drawn.chosen
    assert len({sample_sources(chosen, 2, seed=i).chosen for i in range(20)}) > 1
    assert len(sample_sources(chosen, 99, seed=0).chosen.local) == 4


def test_totals_by_length(footage):
    drawn = sample_sources(read_inputs([str(footage)]), 2, seed=0)
    names = [found.name for found in drawn.chosen.local]
    records = [
        source(names[0], span(0, clip_id="k"), seconds=36.0),
        source(names[1], span(0, sharp=0.1), seconds=18.0),
    ]
    found = estimate_totals(drawn, records)
    share = 4.0 / sum(drawn.seconds[name] for name in names)
    assert found.hours_kept.value == pytest.approx(share * drawn.seconds[None] / 3600)
    assert found.cpu_hours.value == pytest.approx(54 / 4 * share * drawn.seconds[None] / 3600)
    assert found.hours_kept.low <= found.hours_kept.value <= found.hours_kept.high
    assert found.gigabytes.value == pytest.approx(0.001 * share / 4 * drawn.seconds[None])
    text = "\n".join(found.lines())
    assert "4 sources" in text and "2 of them judged (totals by length)" in text and "95% interval" in text


def test_what_is_fetched_counts_by_number(tmp_path):
    drawn = sample_sources(read_inputs(["dQw4w9WgXcQ", "9bZkp7q19f0", "kJQP7kiw5Fk"]), 2, seed=0)
    assert drawn.seconds == {} and len(drawn.chosen.remote) == 2
    records = [source("x", span(0, clip_id="k")), source("y", error="gone")]
    found = estimate_totals(drawn, records)
    assert found.hours_in is None and found.clips.value == 1.5 and found.errors == 1


def test_nothing_to_predict_from(footage, tmp_path):
    (tmp_path / "a.mp4").write_text("no video")
    with pytest.raises(EstimateError, match="none of them can be opened"):
        sample_sources(read_inputs([str(tmp_path / "a.mp4")]), 3, seed=0)
    drawn = sample_sources(read_inputs([str(footage)]), 2, seed=0)
    with pytest.raises(EstimateError, match=r"none of its 2 sources could be judged \(a: crashed\)"):
        estimate_totals(drawn, [source("a", error="crashed"), source("b", error="crashed")])
    with pytest.raises(EstimateError, match="none of its sources"):
        estimate_totals(sample_sources(read_inputs([str(footage)]), 2, seed=0), [])
