"""Contestant contract: seeds and running cases."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from talkingpose.data.contestant import Case, ContestantError, ContestantInfo, case_seed, running
from talkingpose.data.contestant_loading import info_document, info_from


def case(num_frames: int) -> Case:
    return Case("c", np.zeros((8, 8, 3), np.uint8), [], Fraction(25), 8, 8, num_frames)


@settings(max_examples=30)
@given(st.integers(0, 2**31), st.text(max_size=20))
def test_seed_depends_on_run_and_clip(seed: int, clip_id: str) -> None:
    assert 0 <= case_seed(seed, clip_id) < 2**63
    assert case_seed(seed, clip_id) == case_seed(seed, clip_id)
    assert case_seed(seed, clip_id) != case_seed(seed + 1, clip_id)


def test_seed_of_a_known_case_never_changes() -> None:
    # SHA-256 of "42:clip", first 63 bits; old runs must stay repeatable.
    assert case_seed(42, "clip") == int(sha256(b"42:clip").hexdigest()[:16], 16) >> 1


@given(st.lists(st.integers(1, 9), max_size=6), st.integers(0, 10))
def test_running_cases_keep_their_order(lengths: list[int], step: int) -> None:
    indices = running([case(n) for n in lengths], step)
    assert indices == [i for i, n in enumerate(lengths) if n > step]


def test_info_travels_whole_and_unusable_values_are_named() -> None:
    info = ContestantInfo("a", "1", 0, "MIT", window=None, carry=5, streams=False, memory="grows")
    assert info_from(info_document(info)) == info
    # Documents of older versions do not have the fields.
    old = {k: v for k, v in info_document(info).items() if k not in ("carry", "streams", "memory")}
    assert info_from(old) == dataclasses.replace(info, carry=None, streams=None, memory=None)
    for change in ({"carry": -1}, {"carry": True}, {"streams": 1}, {"memory": "much"}):
        with pytest.raises(ContestantError, match=next(iter(change))):
            info_document(dataclasses.replace(info, **change))
