"""Inputs and frames of a stream."""

from __future__ import annotations

import gc
import itertools
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from talkingpose.io.errors import UserError

QUICK = {"num_inference_steps": 1, "guidance_scale": 2.0}


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_stream_gives_what_a_call_gives(pipe, golden, small):
    called = pipe(golden["reference"], small, generator=seeded(1), **QUICK).frames
    streamed = list(pipe.stream(golden["reference"], small, generator=seeded(1), **QUICK))
    assert all(np.array_equal(a, b) for a, b in zip(called, streamed, strict=True))


def test_pil_and_arrays_are_the_same(pipe, golden, small):
    pictures = [Image.fromarray(pose).convert("RGBA") for pose in small[:2]]
    from_pil = pipe(Image.fromarray(golden["reference"]), pictures, generator=seeded(1), **QUICK).frames
    assert np.array_equal(from_pil, pipe(golden["reference"], small[:2], generator=seeded(1), **QUICK).frames)


def test_poses_are_taken_when_their_frame_is_requested(pipe, golden, small):
    taken = 0

    def endless():
        nonlocal taken
        for pose in itertools.cycle(small):
            taken += 1
            yield pose

    stream = pipe.stream(golden["reference"], endless(), **QUICK)
    assert taken == 0
    for number in range(1, 4):
        assert next(stream).shape == (64, 64, 3)
        assert taken == number
    stream.close()


def test_nothing_grows_with_length(pipe, golden, small):
    stream = pipe.stream(golden["reference"], itertools.cycle(small), **QUICK)

    def live_bytes_after(frames: int) -> int:
        for _ in range(frames):
            next(stream)
        gc.collect()
        return sum(
            x.nbytes for x in gc.get_objects() if isinstance(x, torch.Tensor) and type(x) is torch.Tensor
        )

    assert live_bytes_after(3) == live_bytes_after(8)


def test_videos_do_not_leak_into_each_other(pipe, golden, small):
    def video(**other):
        return pipe.stream(golden["reference"], small, generator=seeded(3), **{**QUICK, **other})

    alone = list(video())
    weights = {name: value.clone() for name, value in pipe.denoising_unet.state_dict().items()}
    # Two videos at the same time, the other with another portrait, pose order and number of steps.
    other = pipe.stream(golden["reference"][::-1], small[::-1], num_inference_steps=2, guidance_scale=1.0)
    concurrent = [frame for frame, _ in zip(video(), other, strict=True)]
    assert np.array_equal(alone, concurrent)
    assert np.array_equal(alone, list(video()))
    assert all(torch.equal(value, weights[name]) for name, value in pipe.denoising_unet.state_dict().items())


def test_changing_a_frame_does_not_change_the_loop(pipe, golden, small):
    plain = list(pipe.stream(golden["reference"], small, generator=seeded(3), output_type="latent", **QUICK))
    spoiled = []
    for frame in pipe.stream(golden["reference"], small, generator=seeded(3), output_type="latent", **QUICK):
        spoiled.append(frame.clone())
        frame.zero_()
    assert torch.equal(torch.stack(plain), torch.stack(spoiled))


def test_without_gain_frames_are_independent(pipe, golden, small):
    def last(poses, gain):
        return pipe(
            golden["reference"], poses, generator=seeded(5), gain=gain, output_type="pt", **QUICK
        ).frames[-1]

    assert torch.equal(last(small, 0.0), last(small[-1:], 0.0))
    assert not torch.equal(last(small, 0.2), last(small[-1:], 0.2))


def test_clips_of_different_length_in_one_batch(pipe, golden, small):
    portraits = [golden["reference"], golden["reference"][::-1], golden["reference"][:, ::-1]]
    clips = [small[:2], small[1:], small[:1]]
    settings = {**QUICK, "output_type": "latent"}
    steps = list(
        pipe.stream(portraits, map_to_lists(clips), generator=[seeded(s) for s in (1, 2, 3)], **settings)
    )
    assert [len(step) for step in steps] == [3, 2, 1, 1]
    batched = pipe(portraits, clips, generator=[seeded(s) for s in (1, 2, 3)], **settings).frames
    assert torch.equal(steps[1][1], batched[1][1])
    for clip, seed in enumerate((1, 2, 3)):
        alone = pipe(portraits[clip], clips[clip], generator=seeded(seed), **settings).frames
        torch.testing.assert_close(batched[clip], alone, atol=1e-4, rtol=0)


def map_to_lists(clips):
    return [iter(clip) for clip in clips]


def test_the_reference_is_encoded_once(pipe, golden, small, monkeypatch):
    calls = []
    encode = pipe.encode_reference
    monkeypatch.setattr(pipe, "encode_reference", lambda *args: calls.append(args) or encode(*args))
    list(pipe.stream(golden["reference"], small, **QUICK))
    assert len(calls) == 1


def test_sizes_that_halve_to_odd_numbers(pipe, golden):
    pose = np.zeros((72, 104, 3), np.uint8)
    assert next(pipe.stream(golden["reference"], [pose], **QUICK)).shape == (72, 104, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"poses": [np.zeros((60, 64, 3), np.uint8)]}, r"poses: 64x60: .*multiples of 8"),
        ({"poses": []}, "clip 0: empty"),
        ({"poses": [np.zeros((64, 64), np.uint8)]}, r"picture 0: uint8 \(64, 64\)"),
        ({"poses": [np.zeros((64, 64, 3), np.float32)]}, "picture 0: float32"),
        ({"poses": [np.zeros((64, 64, 3), np.uint8), None]}, "picture 1: NoneType"),
        (
            {"poses": [np.zeros((64, 64, 3), np.uint8), np.zeros((64, 72, 3), np.uint8)]},
            "picture 1: 72x64: the first is 64x64",
        ),
        ({"reference": "portrait.png"}, "reference 0: str"),
        ({"reference": [], "poses": []}, "0 for 0 references"),
        ({"reference": [np.zeros((8, 8, 3), np.uint8)], "poses": iter(())}, "for 1 references"),
        ({"num_inference_steps": 0}, "num_inference_steps: 0"),
        ({"gain": float("nan")}, "finite"),
        ({"output_type": "pil"}, "output_type: pil"),
        ({"generator": [seeded(0), seeded(1)]}, "2 for 1 clips"),
        ({"latents": torch.zeros(4, 3, 3)}, r"latents: \(4, 3, 3\)"),
        ({"latents": torch.full((4, 8, 8), torch.nan)}, "frame 0: latents are not finite"),
    ],
)
def test_bad_input_is_one_line(pipe, golden, small, change, message):
    arguments = {"reference": golden["reference"], "poses": small, **QUICK, **change}
    with pytest.raises(UserError, match=message) as caught:
        list(pipe.stream(**arguments))
    assert "\n" not in str(caught.value)


def test_importing_the_package_is_light():
    check = "import sys, talkingpose; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check]).returncode == 0
