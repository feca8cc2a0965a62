"""The acquisition's programs and stand-ins are imported by name, also by processes of their own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))


@pytest.fixture(scope="session")
def footage_bytes(tmp_path_factory) -> list[bytes]:
    from scenario import make_footage

    return make_footage(tmp_path_factory.mktemp("footage"))
