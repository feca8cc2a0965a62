from __future__ import annotations

import hashlib
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from baselines.talkingpose_model import OpenLoop, TalkingPose
from talkingpose.data.contestant import Case
from talkingpose.io.errors import UserError

PARITY = Path(__file__).parents[1] / "data" / "parity"


def case(clip_id: str, num_frames: int, width: int = 128, height: int = 128) -> Case:
    keypoints = np.zeros((num_frames, 133, 3), np.float32)
    for t in range(num_frames):
        keypoints[t, [0, 5, 6, 9, 10]] = [
            (0.5, 0.3, 1), (0.7, 0.5, 1), (0.3, 0.5, 1), (0.8, 0.7 + t / 50, 1), (0.2, 0.7, 1)
        ]  # fmt: skip
    generator = np.random.default_rng(0)
    return Case(
        clip_id=clip_id,
        reference=generator.integers(0, 256, (height, width, 3), dtype=np.uint8),
        keypoints=list(keypoints),
        fps=Fraction(25),
        width=width,
        height=height,
        num_frames=num_frames,
    )


@pytest.fixture(scope="module")
def model() -> TalkingPose:
    return TalkingPose(checkpoint=str(PARITY), device="cpu", steps="2")


def test_info_names_settings_and_weights(model: TalkingPose) -> None:
    assert model.info.args == {
        "steps": 2, "guidance": 3.5, "gain": 0.05, "pose_picture": "dwpose",
        "size": "native 128, lanczos", "dtype": "float32",
    }  # fmt: skip
    hashes = {weight.name: weight.sha256 for weight in model.info.weights}
    file = PARITY / "denoising_unet.pth"
    assert hashes["denoising_unet.pth"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert {"pose_guider.pth", "reference_unet.pth"} < set(hashes)
    assert model.info.parameters > 100_000 and not model.info.control


def test_frames_come_in_lockstep_at_the_size_of_the_case(model: TalkingPose) -> None:
    steps = list(model.animate([case("a", 2, 192, 96), case("b", 3, 192, 96)], seed=0))
    assert [len(images) for images in steps] == [2, 2, 1]
    assert all(i.dtype == np.uint8 and i.shape == (96, 192, 3) for images in steps for i in images)


def test_the_result_of_a_case_does_not_depend_on_its_batch(model: TalkingPose) -> None:
    together = [images[0] for images in model.animate([case("a", 3), case("b", 3)], seed=0)]
    alone = [images[0] for images in model.animate([case("a", 3)], seed=0)]
    # Kernels may round in another order for another batch size; the noise must be the same.
    assert np.abs(np.stack(together).astype(int) - np.stack(alone)).max() <= 1
    other = [images[0] for images in model.animate([case("c", 3)], seed=0)]
    assert np.abs(np.stack(other).astype(int) - np.stack(alone)).max() > 5


def test_open_loop_is_the_model_without_gain(model: TalkingPose) -> None:
    open_loop = OpenLoop(checkpoint=str(PARITY), device="cpu", steps="2")
    assert open_loop.info.name == "open-loop" and open_loop.info.args["gain"] == 0.0
    opened, closed = ([i[0] for i in m.animate([case("a", 3)], seed=0)] for m in (open_loop, model))
    assert np.array_equal(opened[0], closed[0])
    assert not np.array_equal(opened[2], closed[2])


def test_another_feedback_by_its_name_and_settings() -> None:
    settings = {"checkpoint": str(PARITY), "device": "cpu", "steps": "1", "guidance": "1"}
    held = TalkingPose(**settings, feedback="temporal-filter", hold="0.5", softness="1000", tolerance="1000")
    assert held.info.args["feedback"] == "temporal-filter" and "gain" not in held.info.args
    assert (held.info.args["hold"], held.info.args["scale"]) == (0.5, 1.0)
    opened = TalkingPose(**settings, feedback="temporal-filter", hold="0")
    plain = OpenLoop(**settings)
    videos = [
        np.stack([images[0] for images in model.animate([case("a", 3)], seed=0)]).astype(int)
        for model in (held, opened, plain)
    ]
    assert np.array_equal(videos[1], videos[2])
    assert np.array_equal(videos[0][0], videos[2][0])
    # Half of what the pose changes is held back.
    moved, held_back = (np.abs(video[1] - video[0]).mean() for video in (videos[2], videos[0]))
    assert 0.2 * moved < held_back < 0.8 * moved


def test_both_layouts_give_the_same_frames(model: TalkingPose, tmp_path: Path) -> None:
    from talkingpose.pipeline.talkingpose_pipeline import TalkingPosePipeline

    TalkingPosePipeline.from_official(PARITY).save_pretrained(tmp_path / "diffusers")
    other = TalkingPose(checkpoint=str(tmp_path / "diffusers"), device="cpu", steps="2")
    frames = [[i[0] for i in m.animate([case("a", 2)], seed=0)] for m in (model, other)]
    assert np.array_equal(*frames)


@pytest.mark.parametrize(
    ("checkpoint", "settings", "what"),
    [
        ("nowhere", {}, "no such folder"),
        (".", {}, "neither denoising_unet.pth"),
        (str(PARITY), {"steps": "0"}, "steps=0"),
        (str(PARITY), {"guidance": "nan"}, "guidance=nan"),
        (str(PARITY), {"gain": "much"}, "gain=much"),
        (str(PARITY), {"feedback": "pid"}, "choose one of"),
        (str(PARITY), {"hold": "0.5"}, "with feedback=proportional gain"),
        (str(PARITY), {"feedback": "low-pass", "hold": "0.5"}, "with feedback=low-pass gain, cutoff"),
    ],
)
def test_what_cannot_be_made_is_one_line(
    checkpoint: str | None,
    settings: dict[str, str],
    what: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=what) as caught:
        TalkingPose(checkpoint=checkpoint, device="cpu", **settings)
    assert "\n" not in str(caught.value)
