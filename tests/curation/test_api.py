"""Python interface of curation: examples of the docstrings, lazy names."""

from __future__ import annotations

import doctest
import subprocess
import sys
from fractions import Fraction

import pytest

import curation
from curation import api
from curation.synthetic import frames
from talkingpose.media import VideoWriter


def test_the_example_of_curate_runs_with_a_drawn_speaker(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "footage").mkdir()
    with VideoWriter(tmp_path / "footage" / "talk.mp4", fps=Fraction(10), preset="ultrafast") as writer:
        for image, _ in frames(306, 306, 32, 192):
            writer.write(image)
    (example,) = [
        test for test in doctest.DocTestFinder().find(api.curate, "curate", module=api) if test.examples
    ]
    assert len(example.examples) == 5
    failed, _ = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example)
    assert failed == 0


def test_names_are_imported_on_first_use():
    code = (
        "import sys, curation; assert set(curation.__all__) <= set(dir(curation))\n"
        "print(sorted({'av', 'cv2', 'numpy', 'pydantic', 'yt_dlp'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    for name in curation.__all__:
        assert getattr(curation, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        _ = curation.nothing
