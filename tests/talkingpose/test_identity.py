"""dlib's face descriptor: absent extra, bad input, equal results, and persons told apart on real footage."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from talkingpose.identity import SAME_PERSON, FaceDescriptor, IdentityError

IMAGE = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)


def test_without_the_extra_the_message_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(IdentityError, match=r"pip install 'talkingpose\[identity\]'"):
        FaceDescriptor()


def test_bad_arguments_and_degenerate_faces() -> None:
    pytest.importorskip("dlib")
    descriptor = FaceDescriptor()
    for wrong in ({}, {"box": (1, 2)}, {"landmarks": np.zeros((5, 2))}):
        with pytest.raises(ValueError):
            descriptor.describe(IMAGE, **wrong)
    assert descriptor.describe(IMAGE, box=(5, 5, 5, 5)) is None
    assert descriptor.describe(IMAGE, landmarks=np.full((68, 2), np.nan)) is None
    first, again = (descriptor.describe(IMAGE, box=(-20, 10, 90, 110)) for _ in range(2))
    assert first is not None and first.shape == (128,) and first.dtype == np.float32
    np.testing.assert_array_equal(first, again)


def test_pkg_resources_is_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("dlib")
    monkeypatch.setitem(sys.modules, "pkg_resources", None)
    FaceDescriptor()


def test_persons_are_told_apart_on_real_footage(footage: Path) -> None:
    pytest.importorskip("dlib")
    from benchmark.features.face_descriptor import DlibDescriptor
    from benchmark.metrics.window import PairWindow
    from talkingpose.media import VideoReader

    extractor, found = DlibDescriptor(), []
    for name in ("stage_talk_1", "stage_talk_2"):
        with VideoReader(footage / "upper_body_hands" / f"{name}.mp4") as reader:
            for t, frame in zip(range(41), reader, strict=False):
                if t % 40 == 0:
                    window = PairWindow(0)
                    window.push(None, frame.image)
                    found.append(extractor.extract(window, "generated", 0))
    first, later, other, other_later = found
    same = [float(np.linalg.norm(first - later)), float(np.linalg.norm(other - other_later))]
    assert max(same) < SAME_PERSON < np.linalg.norm(first - other)
