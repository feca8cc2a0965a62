"""Samples of a shot repeat no measurement from before the cut."""

from __future__ import annotations

from curation.detect.measurements import WHOLE, Box, FrameSample, Shot

BARS = Box(0.2, 0.0, 0.8, 1.0)
LINE = (Box(0.1, 0.1, 0.9, 0.2),)


def samples() -> list[FrameSample]:
    """Five samples per second of 25 frames; slow properties measured at 0, 25, 50, 75; a cut before 40."""
    found = []
    for index in range(0, 100, 5):
        measured = index // 25 * 25
        new = measured >= 40
        found.append(
            FrameSample(
                index,
                (),
                None,
                index / 25,
                others=0.0 if new else 0.5,
                picture=BARS if new else WHOLE,
                text=LINE if measured == 50 else (),
                change=None if measured == 0 else 9.0 if measured == 50 else 0.3,
                measured_at=measured,
                compared_with=measured - 25 if measured else None,
            )
        )
    return found


def test_before_its_first_measurement_a_shot_uses_that_measurement():
    before = Shot.between(0, 40, 1.6, (640, 360), samples())
    after = Shot.between(40, 100, 2.4, (640, 360), samples())
    assert [sample.index for sample in (*before.samples, *after.samples)] == list(range(0, 100, 5))
    assert before.picture == WHOLE and {sample.others for sample in before.samples} == {0.5}
    assert after.picture == BARS and {sample.others for sample in after.samples} == {0.0}


def test_a_comparison_across_a_cut_is_ignored():
    after = Shot.between(40, 100, 2.4, (640, 360), samples())
    # Frame 50 was compared with frame 25, before the cut; frame 75 is the first valid comparison.
    assert {sample.change for sample in after.samples} == {0.3}
    assert not any(sample.text for sample in after.samples)
    first = Shot.between(0, 40, 1.6, (640, 360), samples())
    assert {sample.change for sample in first.samples} == {0.3}


def test_a_shot_without_a_measurement_has_default_values():
    short = Shot.between(30, 50, 0.8, (640, 360), samples())
    assert short.picture == WHOLE and {sample.others for sample in short.samples} == {0.0}
    assert {sample.change for sample in short.samples} == {None}


def test_samples_with_own_measurements_stay_unchanged():
    own = [FrameSample(5 * i, (), None, others=0.1 * i, change=0.5) for i in range(4)]
    assert Shot.between(0, 20, 0.8, (640, 360), own).samples == tuple(own)
