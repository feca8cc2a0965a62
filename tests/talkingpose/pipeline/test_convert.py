"""Conversion between the layouts, and checkpoints by name."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from talkingpose import TalkingPosePipeline
from talkingpose.io.errors import UserError
from talkingpose.model.checkpoint_folder import CheckpointError, checkpoint_folder
from talkingpose.model.inference_settings import INFERENCE_FILE, InferenceSettings
from talkingpose.model.model_files import read_pth
from talkingpose.model.official_checkpoint import OFFICIAL_SCHEDULER, REFERENCE_ABSENT
from talkingpose.pipeline.convert import ConvertError, convert
from talkingpose.pipeline.load import load_pipeline
from talkingpose.weights import VARIABLE, files_for

MODELS = ("denoising_unet", "reference_unet", "pose_guider", "vae", "image_encoder")


@pytest.fixture(scope="module")
def saved(parity_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("converted") / "diffusers"
    convert(parity_folder, folder, "diffusers")
    return folder


def test_a_round_trip_is_lossless(pipe, parity_folder, saved, tmp_path):
    InferenceSettings(num_inference_steps=8).write(saved)
    try:
        convert(saved, tmp_path / "official", "official")
    finally:
        (saved / INFERENCE_FILE).unlink()
    assert (tmp_path / "official" / INFERENCE_FILE).is_file()
    for name in ("denoising_unet", "reference_unet", "pose_guider"):
        before, after = (read_pth(root / f"{name}.pth") for root in (parity_folder, tmp_path / "official"))
        assert before.keys() == after.keys()
        assert all(torch.equal(before[key], after[key]) for key in before)
    for folder in (saved, tmp_path / "official"):
        loaded = TalkingPosePipeline.from_pretrained(folder)
        for name in MODELS:
            before, after = (getattr(part, name).state_dict() for part in (pipe, loaded))
            assert before.keys() == after.keys()
            kept = before.keys() - (REFERENCE_ABSENT if name == "reference_unet" else set())
            assert all(torch.equal(before[key], after[key]) for key in kept)
        for name in OFFICIAL_SCHEDULER:
            assert loaded.scheduler.config[name] == pipe.scheduler.config[name]


def test_half_precision_stays_half(pipe, parity_folder, tmp_path):
    half = TalkingPosePipeline.from_official(parity_folder, torch_dtype=torch.float16)
    half.save_pretrained(tmp_path / "half")
    convert(tmp_path / "half", tmp_path / "official", "official")
    state = read_pth(tmp_path / "official" / "denoising_unet.pth")
    assert {value.dtype for value in state.values()} == {torch.float16}
    assert all(torch.equal(state[key], pipe.denoising_unet.state_dict()[key].half()) for key in state)


def test_impossible_conversions_are_refused(parity_folder, saved, tmp_path):
    with pytest.raises(ConvertError, match="exists already"):
        convert(parity_folder, saved, "diffusers")
    with pytest.raises(ConvertError, match="layout onnx: unknown"):
        convert(parity_folder, tmp_path / "new", "onnx")
    with pytest.raises(CheckpointError, match="no such folder"):
        convert(tmp_path / "nothing", tmp_path / "new", "official")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda state: state.pop("conv_in.bias"), r"1 keys missing, the first is conv_in\.bias"),
        (lambda state: state.update(extra=torch.zeros(1)), "1 keys unknown, the first is extra"),
        (lambda state: state.update({"conv_in.bias": torch.zeros(3)}), "1 keys of another shape"),
    ],
)
def test_a_saved_model_with_other_keys_is_refused(saved, edit, message):
    file = saved / "pose_guider" / "diffusion_pytorch_model.safetensors"
    content = file.read_bytes()
    state = load_file(file)
    edit(state)
    save_file(state, file)
    try:
        with pytest.raises(CheckpointError, match=message) as caught:
            TalkingPosePipeline.from_pretrained(saved)
    finally:
        file.write_bytes(content)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("pose_guider/diffusion_pytorch_model.safetensors", b"\x00" * 64, "damaged"),
        (
            "model_index.json",
            b'{"_class_name": "StableDiffusionPipeline"}',
            "holds a StableDiffusionPipeline",
        ),
        ("model_index.json", b"{", "invalid JSON"),
    ],
)
def test_a_saved_folder_of_something_else_is_refused(saved, name, content, message):
    file = saved / name
    before = file.read_bytes()
    file.write_bytes(content)
    try:
        with pytest.raises(UserError, match=message):
            TalkingPosePipeline.from_pretrained(saved)
    finally:
        file.write_bytes(before)


def test_the_published_checkpoint_has_a_name(parity_folder, tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(CheckpointError, match="--for talkingpose --accept-licence") as caught:
        checkpoint_folder("hub")
    assert "\n" not in str(caught.value) and "GB" in str(caught.value)
    # A folder that holds a file of every name, of the right size where one is known.
    for entry in files_for("talkingpose"):
        file = tmp_path / entry.file
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("wb") as stream:
            stream.truncate(entry.size or 1)
    assert checkpoint_folder("hub") == tmp_path / "talkingpose"


def test_precision_is_a_choice(parity_folder):
    assert load_pipeline(parity_folder, "cpu", "bfloat16").denoising_unet.dtype == torch.bfloat16
    with pytest.raises(CheckpointError, match="dtype int8: unknown"):
        load_pipeline(parity_folder, "cpu", "int8")
