from __future__ import annotations

from pathlib import Path

import pytest

from tests.talkingpose.media.numbered_video import encode, numbered


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    """60 numbered frames, H.264 with B-frames and several key frames, 25 frames per second."""
    return encode(tmp_path / "talk.mp4", map(numbered, range(60)), options={"g": "12", "bf": "3"})
