"""Public API: names, types and the examples of the docstrings."""

from __future__ import annotations

import doctest
import importlib
import json
import subprocess
import sys
from importlib.resources import files

import numpy as np
import pytest

import talkingpose
from talkingpose.media import VideoReader
from talkingpose.pose import PoseError

PACKAGES = ("talkingpose", "curation", "benchmark", "baselines", "leaderboard")
WITH_EXAMPLE = (
    "Case",
    "Clip",
    "Contestant",
    "ContestantInfo",
    "draw_pose",
    "load_clips",
    "overlay_pose",
)


@pytest.mark.parametrize("name", WITH_EXAMPLE)
def test_example_in_the_docstring_runs(name: str) -> None:
    public = getattr(talkingpose, name)
    (test,) = doctest.DocTestFinder(recurse=False).find(public, name, globs={})
    assert len(test.examples) >= 2
    assert doctest.DocTestRunner().run(test).failed == 0


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_are_typed(package: str) -> None:
    assert files(package).joinpath("py.typed").is_file()


def test_no_module_hides_an_exported_name() -> None:
    """A module that is loaded becomes an attribute of its package and would hide a function of its name."""
    import pkgutil

    found = []
    for root in ("talkingpose", "curation", "benchmark", "baselines", "leaderboard"):
        package = importlib.import_module(root)
        for entry in pkgutil.walk_packages(package.__path__, f"{root}."):
            lazy = getattr(importlib.import_module(entry.name), "_MODULES", {}) if entry.ispkg else {}
            found += [f"{entry.name}.{name}" for name, module in lazy.items() if module.split(".")[0] == name]
    assert not found


def test_import_loads_no_heavy_library() -> None:
    code = "import json, sys, talkingpose; dir(talkingpose); print(json.dumps(sorted(sys.modules)))"
    modules = json.loads(subprocess.check_output([sys.executable, "-c", code]))
    assert not {"torch", "cv2", "numpy", "av", "datasets", "pydantic"} & set(modules)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = talkingpose.no_such_name


def test_clip_gives_frames_keypoints_portrait_and_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchcodec", None)
    clip = min(talkingpose.load_clips("tp-mini"), key=lambda clip: clip.num_frames)
    frames = list(clip.frames())
    assert len(frames) == len(clip.keypoints) == clip.num_frames
    assert all(frame.shape == (clip.height, clip.width, 3) and frame.dtype == np.uint8 for frame in frames)
    assert np.array_equal(clip.portrait, frames[0])
    assert clip.metadata["clip_id"] == clip.clip_id and "video" not in clip.metadata
    assert clip.dataset is not None
    reader = VideoReader(clip.dataset.video(clip))
    assert reader.info.fps == clip.fps and (reader.info.width, reader.info.height) == clip.size


def test_clips_of_all_splits_come_sorted() -> None:
    clips = talkingpose.load_clips("tp-mini")
    splits = [clip.split for clip in clips]
    assert list(dict.fromkeys(splits)) == ["train", "validation", "test"]
    test = [clip.clip_id for clip in clips if clip.split == "test"]
    assert test == sorted(test) == [clip.clip_id for clip in talkingpose.load_clips("tp-mini", "test")]


@pytest.mark.parametrize(("height", "width"), [(128, 96), (600, 700)])
def test_overlay_changes_only_what_the_pose_covers(height: int, width: int) -> None:
    keypoints = talkingpose.load_clips("tp-mini", "test")[0].keypoints[0]
    frame = np.full((height, width, 3), 200, np.uint8)
    overlaid = talkingpose.overlay_pose(frame, keypoints)
    covered = (overlaid != frame).any(axis=2)
    assert 0.005 < covered.mean() < 0.5 and (frame == 200).all()
    nothing = talkingpose.overlay_pose(frame, np.zeros((133, 3), np.float32))
    assert np.array_equal(nothing, frame)
    if height >= 512:
        drawn = talkingpose.draw_pose(keypoints, height, width)
        assert np.array_equal(overlaid[covered], drawn[covered])


@pytest.mark.parametrize("frame", [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3)), None])
def test_overlay_refuses_what_is_no_frame(frame: object) -> None:
    with pytest.raises(PoseError):
        talkingpose.overlay_pose(frame, np.zeros((133, 3), np.float32))  # type: ignore[arg-type]
