from __future__ import annotations

import pytest

from curation.synthetic import SeedError, draw_identity
from curation.synthetic.hair import STYLES
from curation.synthetic.identity import BACKDROPS, GARMENTS


def test_same_seed_same_identity() -> None:
    assert draw_identity(11) == draw_identity(11)
    assert draw_identity(11) != draw_identity(12)


def test_every_option_is_drawn() -> None:
    people = [draw_identity(seed) for seed in range(400)]
    assert {person.hair_style for person in people} == set(STYLES)
    assert {person.clothing.garment for person in people} == set(GARMENTS)
    assert {person.backdrop.kind for person in people} == set(BACKDROPS)
    assert {person.glasses for person in people} == {"none", "round", "square"}
    assert len({person.skin for person in people}) > 100


@pytest.mark.parametrize("seed", [-1, 2**63, 1.5, True, "7"])
def test_bad_seed_is_one_line(seed: object) -> None:
    with pytest.raises(SeedError, match=r"^seed: .*give an integer") as error:
        draw_identity(seed)
    assert "\n" not in str(error.value)
