"""Contestants in the classes of diffusers, with tiny random weights, alone and in the evaluator."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as PillowImage

from baselines.animate_anyone import AnimateAnyone
from baselines.animatediff import AnimateDiff
from baselines.controlnet_ip import ControlNetIp
from baselines.wan_animate import Segments, WanAnimate, _pose_picture
from talkingpose.data.contestant import Case, case_seed
from talkingpose.data.contestant_loading import contestant_names
from talkingpose.io.errors import UserError
from talkingpose.pose import FACE
from tests.baselines.test_talkingpose_model import case
from tests.baselines.tiny_weights import write_animate_anyone, write_stable_diffusion, write_wan_animate
from tests.benchmark.drawn_clips import Drawn, row, video_bytes, write_dataset
from tests.benchmark.tiny_runs import protocol_everywhere, run, tiny_protocol

CLASSES: dict[str, Any] = {
    "animate-anyone": AnimateAnyone,
    "controlnet-ip": ControlNetIp,
    "animatediff": AnimateDiff,
    "wan-animate": WanAnimate,
}
SETTINGS = {
    "animate-anyone": {"steps": "1", "guidance": "1"},
    "controlnet-ip": {"steps": "1"},
    "animatediff": {"steps": "1"},
    "wan-animate": {"steps": "1", "side": "32", "segment": "13"},
}
# More than a window of the longest clip, and no more.
LENGTHS = {"animate-anyone": 26, "controlnet-ip": 9, "animatediff": 18, "wan-animate": 14}
CLIPS = tuple(
    Drawn(f"drawn-{name}", f"person {name}", Fraction(25), length, (48, 48))
    for name, length in zip("abc", (26, 9, 8), strict=True)
)
PROGRAM = Path(__file__).parents[1] / "benchmark" / "tiny_tp_eval.py"


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("weights")
    diffusion = write_stable_diffusion(folder / "sd")
    return {
        "animate-anyone": write_animate_anyone(folder / "aa"),
        "controlnet-ip": diffusion,
        "animatediff": diffusion,
        "wan-animate": write_wan_animate(folder / "wan"),
    }


def drawn_dataset(folder: Path, clips: tuple[Drawn, ...]) -> Path:
    rows = [row(clip, video_bytes(clip, folder)) for clip in clips]
    circle = np.linspace(0, 2 * np.pi, 68)
    for each in rows:  # the face that the crops need
        head = each["keypoints"][:, :1, :2]
        each["keypoints"][:, FACE, :2] = head + 0.1 * np.stack([np.cos(circle), np.sin(circle)], axis=-1)
        each["keypoints"][:, FACE, 2] = 0.9
    return write_dataset(folder / "set", {"test": rows})


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return drawn_dataset(tmp_path_factory.mktemp("drawn"), CLIPS)


def make(name: str, weights: dict[str, Path], **settings: str) -> Any:
    return CLASSES[name](checkpoint=str(weights[name]), device="cpu", **{**SETTINGS[name], **settings})


def with_faces(given: Case) -> Case:
    generator = np.random.default_rng(1)
    faces = [generator.integers(0, 256, (512, 512, 3), dtype=np.uint8) for _ in range(given.num_frames)]
    return dataclasses.replace(given, driving_frames=faces)


def video(model: Any, given: Case) -> np.ndarray:
    return np.stack([images[0] for images in model.animate([given], seed=0)])


def hashes(out: Path) -> dict[str, str]:
    """Hash of the generated frames of every finished clip."""
    cases = sorted((out / "cases").glob("*.json"))
    return {path.stem: json.loads(path.read_text())["frames_sha256"] for path in cases}


@pytest.mark.parametrize("name", CLASSES)
def test_runs_alike_in_batches_and_after_an_interruption(
    name: str, weights: dict[str, Path], dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {
        "checkpoint": str(weights[name]),
        "model_args": SETTINGS[name],
        "max_frames": LENGTHS[name],
    }
    with protocol_everywhere(tiny_protocol()):
        plain = run(name, dataset, tmp_path / "plain", batch_size=1, **options)
        assert plain.status == "complete", plain.audit
        assert plain.contestant.name == name
        kind, calls = CLASSES[name], []
        animate = kind.animate

        def stop_at_second_batch(self: Any, cases: Any, *, seed: int) -> Iterator[Any]:
            calls.append(len(cases))
            if len(calls) == 2:
                raise KeyboardInterrupt
            return animate(self, cases, seed=seed)

        monkeypatch.setattr(kind, "animate", stop_at_second_batch)
        with pytest.raises(KeyboardInterrupt):
            run(name, dataset, tmp_path / "stopped", batch_size=2, **options)
        assert 0 < len(hashes(tmp_path / "stopped")) < len(CLIPS)
        resumed = run(name, dataset, tmp_path / "stopped", batch_size=2, **options)
    assert calls == [2, 1, 1] and resumed.status == "complete"
    assert hashes(tmp_path / "stopped") == hashes(tmp_path / "plain")
    assert len(set(hashes(tmp_path / "plain").values())) == len(CLIPS)


@pytest.mark.parametrize("name", ["controlnet-ip", "animatediff", "wan-animate"])
def test_info_and_registration(name: str, weights: dict[str, Path]) -> None:
    info = make(name, weights).info
    streams = name != "animatediff"
    assert info.name == name and contestant_names()[name].value.endswith(CLASSES[name].__name__)
    assert (info.streams, info.memory) == (streams, "constant" if streams else "grows")
    assert info.window and info.carry == (1 if name == "wan-animate" else 0)
    assert info.driving_frames == ("face" if name == "wan-animate" else "none")
    assert info.parameters > 50_000 and len(info.weights) >= 4


@pytest.mark.parametrize("name", CLASSES)
def test_missing_weights_are_one_line(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALKINGPOSE_WEIGHTS", str(tmp_path))
    with pytest.raises(
        UserError, match=r"missing.* GB.*licence.*(tp-eval weights fetch|hf download)"
    ) as caught:
        CLASSES[name](checkpoint=None, device="cpu")
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="nowhere"):
        CLASSES[name](checkpoint="nowhere", device="cpu")


def test_noise_is_fixed_or_fresh(weights: dict[str, Path]) -> None:
    still = case("a", 3, 64, 64)
    still = dataclasses.replace(still, keypoints=[next(iter(still.keypoints))] * 3)
    fixed, fresh = (
        video(make("controlnet-ip", weights, noise=noise, guidance="1"), still)
        for noise in ("fixed", "fresh")
    )
    assert np.array_equal(fixed[0], fixed[2]) and np.array_equal(fixed[0], fresh[0])
    assert not np.array_equal(fresh[1], fresh[0])


@pytest.mark.parametrize("name", ["controlnet-ip", "animatediff", "wan-animate"])
def test_pose_and_portrait_reach_the_frames(name: str, weights: dict[str, Path]) -> None:
    model = make(name, weights)
    given = with_faces(case("a", 14, 64, 64))
    moved = [np.concatenate([points[:, :2] * 0.5, points[:, 2:]], axis=1) for points in given.keypoints]
    variants = {
        "poses": dataclasses.replace(given, keypoints=moved),
        "portrait": dataclasses.replace(given, reference=255 - given.reference),
    }
    plain = video(model, given)
    assert all(not np.array_equal(video(model, other), plain) for other in variants.values())


def test_clip_shorter_than_a_window(weights: dict[str, Path]) -> None:
    assert video(make("animatediff", weights, guidance="1"), case("a", 1, 64, 32)).shape == (1, 32, 64, 3)
    assert video(make("wan-animate", weights), with_faces(case("a", 1, 64, 32))).shape == (1, 32, 64, 3)


@pytest.mark.parametrize(("num_frames", "carry", "guidance"), [(30, "1", "1"), (14, "5", "3")])
def test_stream_of_segments_equals_the_pipeline(
    weights: dict[str, Path], num_frames: int, carry: str, guidance: str
) -> None:
    model = make("wan-animate", weights, steps="2", carry=carry, guidance=guidance)
    given = with_faces(case("a", num_frames, 32, 32))
    poses = [PillowImage.fromarray(_pose_picture(points, (32, 32))) for points in given.keypoints]
    assert given.driving_frames is not None
    whole = model._pipeline(
        image=PillowImage.fromarray(given.reference),
        pose_video=poses,
        face_video=[PillowImage.fromarray(face) for face in given.driving_frames],
        prompt_embeds=model._prompts[0],
        negative_prompt_embeds=model._prompts[1],
        height=32,
        width=32,
        segment_frame_length=13,
        prev_segment_conditioning_frames=int(carry),
        num_inference_steps=2,
        guidance_scale=float(guidance),
        generator=torch.Generator().manual_seed(case_seed(0, "a")),
        output_type="np",
    ).frames[0]
    assert np.array_equal(video(model, given), (whole * 255).round().astype(np.uint8))


def test_wan_animate_reads_one_segment_ahead(weights: dict[str, Path]) -> None:
    given = with_faces(case("a", 60, 32, 32))
    read = []

    def counted() -> Iterator[np.ndarray]:
        for points in given.keypoints:
            read.append(1)
            yield points

    stream = make("wan-animate", weights).animate([dataclasses.replace(given, keypoints=counted())], seed=0)
    next(stream)
    assert len(read) == 13
    assert [Segments(77, 1).count(n) for n in (1, 77, 78, 153, 154)] == [1, 1, 2, 2, 3]


@pytest.mark.parametrize(
    ("name", "settings", "what"),
    [
        ("controlnet-ip", {"noise": "none"}, "noise=none"),
        ("animatediff", {"steps": "0"}, "steps=0"),
        ("wan-animate", {"segment": "12"}, "segment=12"),
        ("wan-animate", {"carry": "2"}, "carry=2"),
    ],
)
def test_setting_that_cannot_be_used(
    name: str, settings: dict[str, str], what: str, weights: dict[str, Path]
) -> None:
    with pytest.raises(UserError, match=f"--model-args {what}"):
        make(name, weights, **settings)


def test_damaged_adapter_is_one_line(weights: dict[str, Path], tmp_path: Path) -> None:
    copy = Path(shutil.copytree(weights["controlnet-ip"], tmp_path / "copy"))
    adapter = copy / "ip-adapter" / "ip-adapter-plus_sd15.safetensors"
    shutil.copy(copy / "sd15" / "unet" / "diffusion_pytorch_model.safetensors", adapter)
    with pytest.raises(UserError, match="ip-adapter-plus_sd15"):
        ControlNetIp(checkpoint=str(copy), device="cpu")


@pytest.mark.parametrize(
    "entry",
    [{"scheduler": ["evil", "EvilS"]}, {"extra": ["evil", "EvilS"]}, {"tokenizer": ["transformers", "T5"]}],
)
def test_code_of_a_checkpoint_is_never_run(
    entry: dict[str, list[str]], weights: dict[str, Path], tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(weights["wan-animate"], tmp_path / "copy"))
    for folder in (copy, copy / "scheduler"):
        (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass EvilS: pass\n")
    index = copy / "model_index.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | entry))
    with pytest.raises(UserError, match=next(iter(entry))):
        make("wan-animate", weights | {"wan-animate": copy})
    assert not (tmp_path / "ran").exists()


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 1800
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", [*CLASSES, "warp", "talkingpose", "fresh-noise"])
def test_120_frames_in_a_batch_and_alone_with_a_kill(
    name: str, weights: dict[str, Path], tmp_path: Path
) -> None:
    """Two clips in one batch, and one by one with SIGKILL within the second."""
    clips = tuple(Drawn(f"long-{mark}", mark, Fraction(25), 120, (48, 48)) for mark in "ab")
    dataset = drawn_dataset(tmp_path, clips)
    tiny = "tiny" if name in ("talkingpose", "fresh-noise") else None
    checkpoint = str(weights[name]) if name in weights else tiny
    arguments = SETTINGS.get(name, {})
    options = ["--model", name, "--dataset", str(dataset), "--device", "cpu", "--batch-size", "1"]
    options += ["--checkpoint", checkpoint] if checkpoint else []
    if arguments:
        options += ["--model-args", ",".join(f"{key}={value}" for key, value in arguments.items())]

    def start() -> subprocess.Popen[str]:
        command = [sys.executable, str(PROGRAM), *options, "--out", str(tmp_path / "killed")]
        return subprocess.Popen(command, stdout=-1, stderr=-1, text=True)

    process = start()
    wait_for(lambda: (tmp_path / "killed" / "cases" / "long-a.json").exists(), process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert list(hashes(tmp_path / "killed")) == ["long-a"]
    _, errors = (process := start()).communicate(timeout=900)
    assert process.returncode == 0, errors
    with protocol_everywhere(tiny_protocol()):
        settings = {"checkpoint": checkpoint, "model_args": arguments, "batch_size": 2}
        assert run(name, dataset, tmp_path / "batch", **settings).status == "complete"
    assert len(hashes(tmp_path / "batch")) == 2
    assert hashes(tmp_path / "killed") == hashes(tmp_path / "batch")
