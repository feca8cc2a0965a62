"""What is known of a shot is its own: nothing is carried over a cut."""

from __future__ import annotations

from curation.detect.measurements import WHOLE, Box, FrameSample, Shot

BARS = Box(0.2, 0.0, 0.8, 1.0)
LINE = (Box(0.1, 0.1, 0.9, 0.2),)


def samples() -> list[FrameSample]:
    """Five samples a second of 25 frames; looked at closely at 0, 25, 50, 75; a cut before frame 40."""
    found = []
    for index in range(0, 100, 5):
        look = index // 25 * 25
        new = look >= 40
        found.append(
            FrameSample(
                index,
                (),
                None,
                index / 25,
                others=0.0 if new else 0.5,
                picture=BARS if new else WHOLE,
                text=LINE if look == 50 else (),
                change=None if look == 0 else 9.0 if look == 50 else 0.3,
                measured_at=look,
                compared_with=look - 25 if look else None,
            )
        )
    return found


def test_until_its_own_first_look_a_shot_knows_what_that_one_saw():
    before = Shot.between(0, 40, 1.6, (640, 360), samples())
    after = Shot.between(40, 100, 2.4, (640, 360), samples())
    assert [sample.index for sample in (*before.samples, *after.samples)] == list(range(0, 100, 5))
    assert before.picture == WHOLE and {sample.others for sample in before.samples} == {0.5}
    assert after.picture == BARS and {sample.others for sample in after.samples} == {0.0}


def test_what_was_compared_over_a_cut_says_nothing():
    after = Shot.between(40, 100, 2.4, (640, 360), samples())
    # The look at 50 was compared with that at 25, before the cut; that at 75 is the first of the shot's own.
    assert {sample.change for sample in after.samples} == {0.3}
    assert not any(sample.text for sample in after.samples)
    first = Shot.between(0, 40, 1.6, (640, 360), samples())
    assert {sample.change for sample in first.samples} == {0.3}


def test_a_shot_without_a_look_of_its_own_knows_nothing():
    short = Shot.between(30, 50, 0.8, (640, 360), samples())
    assert short.picture == WHOLE and {sample.others for sample in short.samples} == {0.0}
    assert {sample.change for sample in short.samples} == {None}


def test_samples_that_were_looked_at_closely_each_stay_as_they_are():
    own = [FrameSample(5 * i, (), None, others=0.1 * i, change=0.5) for i in range(4)]
    assert Shot.between(0, 20, 0.8, (640, 360), own).samples == tuple(own)
