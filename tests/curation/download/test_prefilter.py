"""Conditions on the description of a source."""

from __future__ import annotations

import pytest

from curation.download.prefilter import find_objection, is_live, permits
from curation.download.settings import PrefilterSettings

ALL = PrefilterSettings(
    min_duration_s=3,
    max_duration_s=60,
    min_height=720,
    min_fps=23,
    max_fps=61,
    languages=("en",),
    require_license=("creativecommons",),
)
GOOD = {"duration": 10, "height": 1080, "fps": 25, "language": "en-GB", "license": "CC BY 4.0"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, None),
        ({"duration": 2.5}, "duration 2.5 s: at least 3"),
        ({"duration": 61}, "duration 61 s: at most 60"),
        ({"height": 480}, "height 480 px"),
        ({"fps": 10}, "fps 10"),
        ({"fps": 120}, "at most 61"),
        ({"language": "de"}, "language de"),
        ({"language": None, "fps": None, "duration": None}, None),
        ({"license": "Standard YouTube License"}, "license Standard YouTube License"),
        ({"license": None}, "license not given"),
    ],
)
def test_objections(change, message):
    found = find_objection(GOOD | change, ALL)
    assert found is None if message is None else message in found


@pytest.mark.parametrize(
    ("license", "permitted"),
    [
        ("Creative Commons Attribution license (reuse allowed)", True),
        ("https://creativecommons.org/licenses/by/3.0/", True),
        ("creativeCommon", False),
        ("CC-BY-SA 4.0", True),
        ("CC0", True),
        ("Standard licence, access granted", False),
        ("", False),
        (None, False),
    ],
)
def test_spellings_of_creative_commons(license, permitted):
    assert permits(license, ("creativecommons",)) is permitted


def test_live():
    assert is_live({"is_live": True}) and is_live({"live_status": "is_upcoming"})
    assert not is_live({"is_live": False, "live_status": "was_live"}) and not is_live({})
