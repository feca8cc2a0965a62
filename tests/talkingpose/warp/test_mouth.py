from __future__ import annotations

import numpy as np

from talkingpose.warp.mouth import Mouth, opening

CLOSED = np.array([[20, 30], [26, 29], [30, 29], [34, 29], [40, 30], [34, 31], [30, 31], [26, 31]], float)
OPEN = CLOSED + np.array([[0, 0], [0, -6], [0, -7], [0, -6], [0, 0], [0, 6], [0, 7], [0, 6]])


def test_an_opened_mouth_is_dark_inside_and_a_closed_one_is_not_touched() -> None:
    face = np.full((60, 60, 3), (200, 120, 110), np.uint8)
    mouth = Mouth(face, CLOSED)
    frame = face.copy()
    mouth.draw(frame, CLOSED)
    assert np.array_equal(frame, face)
    mouth.draw(frame, OPEN)
    assert frame[30, 30].max() < 120 and np.array_equal(frame[10], face[10])
    assert opening(OPEN) > opening(CLOSED)


def test_a_mouth_beyond_the_edge_changes_nothing_elsewhere() -> None:
    frame = np.full((60, 60, 3), 200, np.uint8)
    Mouth(frame, CLOSED).draw(frame, OPEN + 500)
    assert (frame == 200).all()
    Mouth(frame, CLOSED - 300).draw(frame, OPEN + np.array([25.0, 0.0]))
    assert (frame[:, :15] == 200).all()
