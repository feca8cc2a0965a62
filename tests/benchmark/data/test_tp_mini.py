"""The bundled dataset, and the run that needs nothing but what is bundled."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from benchmark.cli import app
from benchmark.data.bundled import TP_MINI_FOLDER, open_dataset, protocol_of
from benchmark.protocols.protocol import load_protocol
from benchmark.runner.plan import plan_run
from curation.synthetic import frames
from curation.synthetic.seeds import HELD_OUT_SEEDS
from talkingpose import TalkingPosePipeline
from talkingpose.data.clips import ClipDataset
from talkingpose.data.schema import CONFIGS
from talkingpose.media import VideoReader
from talkingpose.model import checkpoint_folder
from talkingpose.model.inference_settings import InferenceSettings

FOLDER = TP_MINI_FOLDER
PARITY = Path(__file__).parents[2] / "data" / "parity"


@pytest.fixture(scope="module")
def tp_mini() -> ClipDataset:
    return open_dataset("tp-mini")


def seed_of(person: str) -> int:
    return int(person.removeprefix("drawn-"))


def test_it_is_small_held_out_and_long_enough(tp_mini: ClipDataset) -> None:
    assert sum(path.stat().st_size for path in FOLDER.rglob("*")) < 5_000_000
    test = tp_mini.clips("test")
    assert len(test) >= 8 and all(150 <= clip.num_frames <= 300 for clip in test)
    assert {(clip.width, clip.height) for clip in test} == {(128, 128)}
    assert {clip.fps for clip in test} == {Fraction(25), Fraction(30000, 1001)}
    people = [clip.group for split in tp_mini.splits for clip in tp_mini.clips(split)]
    assert len(people) == len(set(people)) and all(seed_of(person) in HELD_OUT_SEEDS for person in people)


def test_the_hub_library_reads_it(tmp_path: Path) -> None:
    import datasets

    for config in CONFIGS:
        loaded = datasets.load_dataset(str(FOLDER), config, cache_dir=str(tmp_path))
        assert list(loaded) == ["train", "validation", "test"]


def test_it_can_be_drawn_again(tp_mini: ClipDataset) -> None:
    clip = min(tp_mini.clips("test"), key=lambda clip: clip.num_frames)
    seed = seed_of(clip.group)
    drawn = list(frames(seed, seed, clip.num_frames, clip.width, float(clip.fps)))
    keypoints = np.stack([points for _, points in drawn]).astype(np.float16)
    assert np.array_equal(tp_mini.keypoints(clip).astype(np.float16), keypoints)
    with VideoReader(tp_mini.video(clip), name=clip.clip_id) as reader:
        stored = [frame.image for frame in reader]
    luma = np.array([0.299, 0.587, 0.114])
    errors = [
        ((image.astype(float) - seen) @ luma) ** 2 for (image, _), seen in zip(drawn, stored, strict=True)
    ]
    # Colour is stored at half the resolution, as in every H.264 video; brightness is nearly as it was drawn.
    assert 10 * np.log10(255**2 / np.mean(errors)) > 41


def test_the_protocol_admits_every_test_clip(tp_mini: ClipDataset) -> None:
    plan = plan_run(tp_mini, load_protocol("tp-mini@1"), split=None, limit=None, max_frames=None, seed=0)
    assert plan.split == "test" and len(plan.cases) == len(tp_mini.clips("test")) and not plan.audit


def test_the_cross_identity_list_pairs_different_test_clips(tp_mini: ClipDataset) -> None:
    with (FOLDER / "cross.csv").open(newline="") as file:
        pairs = [(row["portrait"], row["driving"]) for row in csv.DictReader(file)]
    ids = {clip.clip_id for clip in tp_mini.clips("test")}
    assert all(portrait != driving for portrait, driving in pairs) and len(pairs) == len(set(pairs))
    assert {portrait for portrait, _ in pairs} == {driving for _, driving in pairs} == ids


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small model with random weights in the place of the bundled checkpoint."""
    folder = tmp_path / "checkpoints" / "tiny"
    TalkingPosePipeline.from_official(PARITY).save_pretrained(folder)
    InferenceSettings(num_inference_steps=1, guidance_scale=1.0, pose_picture="proportional").write(folder)
    monkeypatch.setitem(checkpoint_folder._BUNDLED, "tiny", folder)
    monkeypatch.chdir(tmp_path)
    return folder


def tp_eval(*words: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["tp-eval", *words])
    with pytest.raises(SystemExit) as left:
        app.main()
    return int(left.value.code or 0)


def test_a_run_begun_under_version_1_of_the_default_continues_under_it(tmp_path: Path) -> None:
    begun = Path(__file__).parents[2] / "data" / "legacy" / "run_partial"
    assert protocol_of("tp-mini", begun) == "tp-mini@1"
    assert protocol_of("tp-mini", tmp_path) == "tp-mini@2"
    assert protocol_of("elsewhere", begun) == "tp-long@2"


def test_a_model_alone_is_enough(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ("--model", "talkingpose", "--limit", "1", "--max-frames", "101", "--in-process")
    assert tp_eval(*words, monkeypatch=monkeypatch) == 0
    first = capfd.readouterr().err.splitlines()[0]
    assert first.startswith("tp-eval: talkingpose (tiny), protocol tp-mini@2 (")
    assert "bundled dataset tp-mini (test), 1 clip, 101 frames, seed 0, cpu" in first
    run = json.loads(Path("runs/talkingpose/run.json").read_text())
    assert run["status"] == "complete" and run["env"]["device"] == "cpu"
    assert run["protocol"]["id"] == "tp-mini" and run["dataset"]["location"] == "tp-mini"
    args = run["contestant"]["args"]
    assert (args["checkpoint"], args["steps"], args["guidance"]) == ("tiny", 1, 1.0)
    assert args["pose_picture"] == "proportional" and str(tiny) not in json.dumps(run)


def test_a_checkpoint_that_is_not_installed_is_one_line(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(tiny)
    assert tp_eval("--model", "talkingpose", "--in-process", monkeypatch=monkeypatch) == 2
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 1 and "checkpoint tiny: not part of this installation" in lines[0]
    assert not Path("runs").exists()
