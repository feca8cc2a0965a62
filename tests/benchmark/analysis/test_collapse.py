"""Collapse: a change that stays is found, a hard gesture and a poor start are not."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from benchmark.analysis.collapse import collapse_of, collapse_second
from benchmark.protocols.protocol import load_protocol

MINUTES = load_protocol("tp-minutes@1")
RULE = MINUTES.collapse
THRESHOLD = MINUTES.drift.thresholds["lpips"]
Floats = npt.NDArray[np.float64]


def series(generator: np.random.Generator, seconds: int = 90) -> Floats:
    """Scores of a contestant that does not collapse: autocorrelated noise around a level of its own."""
    noise = generator.normal(0, 0.03, seconds)
    for second in range(1, seconds):
        noise[second] += 0.7 * noise[second - 1]
    return noise + generator.uniform(0, 0.6)


def test_simulated_collapses_are_found_and_gestures_are_not() -> None:
    assert RULE is not None
    generator = np.random.default_rng(0)
    found, late, alarms = 0, [], 0
    for _ in range(300):
        good = series(generator)
        for _ in range(4):
            begin, length = generator.integers(0, 88), generator.integers(2, 9)
            good[begin : begin + length] += generator.uniform(1, 3) * THRESHOLD
        alarms += collapse_second(good, THRESHOLD, RULE) is not None
        bad, second = series(generator), int(generator.integers(6, 78))
        bad[second:] += generator.uniform(1.5, 3) * THRESHOLD
        at = collapse_second(bad, THRESHOLD, RULE)
        found += at is not None
        late.append(abs(at - second) if at is not None else 0)
    # A gesture at the beginning may be the baseline, which hides and never invents a collapse.
    assert alarms <= 3
    assert found >= 297 and np.median(late) == 0


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (np.zeros(60), None),
        (np.r_[np.zeros(20), np.full(40, 0.4)], 20),
        # It comes back.
        (np.r_[np.zeros(20), np.full(20, 0.4), np.zeros(20)], None),
        # Too close to the end to be told from a gesture.
        (np.r_[np.zeros(51), np.full(9, 0.4)], None),
        # A slow decay collapses where it crosses.
        (np.linspace(0, 1.18, 60), 17),
        # Poor from the start is not a collapse.
        (np.full(60, 0.9), None),
        (np.full(60, np.nan), None),
    ],
)
def test_by_hand(change: Floats, expected: int | None) -> None:
    assert RULE is not None
    assert collapse_second(change, THRESHOLD, RULE) == expected
    assert collapse_second(-change, -THRESHOLD, RULE) == expected


def test_the_first_metric_that_collapses_names_the_event() -> None:
    assert RULE is not None
    fine, early, later = np.zeros(60), np.r_[np.zeros(10), np.ones(50)], np.r_[np.zeros(30), np.ones(30)]
    found = collapse_of(
        ["a", "b"], {"x": [fine, later], "y": [fine, early]}, {"x": THRESHOLD, "y": THRESHOLD}, RULE
    )
    assert found.n_clips == 2
    assert [(event.clip_id, event.second, event.metric) for event in found.events] == [("b", 10, "y")]
