"""Resuming a stream from a small file."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from talkingpose.pipeline.feedback import FirstFrameAnchor
from talkingpose.pipeline.inputs import PipelineError
from talkingpose.pipeline.stream_state import StreamState

QUICK = {"num_inference_steps": 1, "guidance_scale": 2.0}


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("feedback", [None, FirstFrameAnchor(0.2)])
def test_a_resumed_stream_gives_the_same_frames(pipe, golden, small, tmp_path: Path, feedback):
    settings = {**QUICK, "feedback": feedback}
    whole = list(pipe.stream(golden["reference"], small, generator=seeded(1), **settings))
    stream = pipe.stream(golden["reference"], small, generator=seeded(1), **settings)
    assert stream.state is None
    frames = []
    for stop in (2, 3):
        frames += [next(stream) for _ in range(stop - len(frames))]
        stream.state.save(tmp_path / "state.pt")
        state = StreamState.load(tmp_path / "state.pt")
        assert state.index == stop
        stream = pipe.stream(golden["reference"], small[stop:], state=state, **settings)
    frames += list(stream)
    assert np.array_equal(whole, frames)
    # Noise and last latents, float32, once more with the anchor, and a few names.
    tensors = 2 if feedback is None else 3
    assert (tmp_path / "state.pt").stat().st_size < tensors * 4 * 8 * 8 * 4 + 8192
    assert [path.name for path in tmp_path.iterdir()] == ["state.pt"]


def test_a_batch_resumes_with_the_running_clips(pipe, golden, small):
    portraits, generators = [golden["reference"], golden["reference"][::-1]], [seeded(1), seeded(2)]
    whole = pipe(portraits, [small[:1], small], generator=generators, output_type="latent", **QUICK).frames
    stream = pipe.stream(
        portraits, [small[:1], small], generator=[seeded(1), seeded(2)], output_type="latent", **QUICK
    )
    for _ in range(2):
        frames = next(stream)
    assert stream.running == (1,)
    assert torch.equal(frames[0], whole[1][1])
    rest = pipe([portraits[1]], [small[2:]], state=stream.state, output_type="latent", **QUICK).frames
    torch.testing.assert_close(rest[0], whole[1][2:], atol=1e-4, rtol=0)
    with pytest.raises(PipelineError, match="of 1 clips, not of 2"):
        next(pipe.stream(portraits, [small, small], state=StreamState(stream.state.feedback, {}), **QUICK))


def test_a_state_after_the_last_frame_gives_no_frames(pipe, golden, small):
    stream = pipe.stream(golden["reference"], small[:1], generator=seeded(1), **QUICK)
    next(stream)
    assert list(pipe.stream(golden["reference"], [], state=stream.state, **QUICK)) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_inference_steps": 2}, "state: num_inference_steps: 2, .* have 1"),
        ({"gain": 0.1}, r"state: feedback: FixedGain\(gain=0.1\)"),
        ({"reference": np.zeros((8, 8, 3), np.uint8)}, "state: portraits"),
        ({"poses": [np.zeros((64, 72, 3), np.uint8)]}, "state: size: 72x64"),
    ],
)
def test_other_settings_are_refused(pipe, golden, small, change, message):
    stream = pipe.stream(golden["reference"], small, generator=seeded(1), **QUICK)
    next(stream)
    arguments = {"reference": golden["reference"], "poses": small, **QUICK, **change}
    with pytest.raises(PipelineError, match=message) as caught:
        next(pipe.stream(state=stream.state, **arguments))
    assert "\n" not in str(caught.value)


class Malicious:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_other_files_are_refused_and_not_run(tmp_path: Path):
    file, trap = tmp_path / "state.pt", tmp_path / "trap"
    with pytest.raises(PipelineError, match="no such file"):
        StreamState.load(file)
    torch.save({"format": Malicious(trap)}, file)
    with pytest.raises(PipelineError, match="cannot be read"):
        StreamState.load(file)
    assert not trap.exists()
    file.write_bytes(b"PK")
    with pytest.raises(PipelineError, match="cannot be read"):
        StreamState.load(file)
    torch.save({"noise": torch.zeros(1)}, file)
    with pytest.raises(PipelineError, match="not the state of a stream"):
        StreamState.load(file)
