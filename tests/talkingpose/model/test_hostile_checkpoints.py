"""Checkpoints of strangers: none of their code runs, and every error is one line."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from talkingpose import TalkingPosePipeline
from talkingpose.io.errors import UserError
from talkingpose.pipeline.load import load_pipeline

TRAP = "Path(__file__).with_name('trap').touch()"
WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def saved(pipe: TalkingPosePipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile") / "saved"
    pipe.save_pretrained(folder)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy of a checkpoint in the diffusers layout; tests replace its files."""
    return Path(shutil.copytree(saved, tmp_path / "checkpoint", copy_function=os.link))


def rewrite(path: Path, edit: Callable[[dict], object]) -> None:
    content = json.loads(path.read_text())
    edit(content)
    path.unlink()
    path.write_text(json.dumps(content))


def refused(folder: Path, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        load_pipeline(folder, "cpu")
    text = str(caught.value)
    assert "\n" not in text and "weights_only" not in text and len(text) < 600
    assert not list(folder.rglob("trap"))


def test_an_untouched_checkpoint_loads(folder: Path) -> None:
    assert isinstance(load_pipeline(folder, "cpu"), TalkingPosePipeline)


def test_the_former_module_of_the_pose_guider_is_accepted(folder: Path) -> None:
    former = ["talkingpose.pose_guider", "PoseGuider"]
    rewrite(folder / "model_index.json", lambda index: index.update(pose_guider=former))
    assert type(load_pipeline(folder, "cpu").pose_guider).__name__ == "PoseGuider"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"scheduler": ["evil", "EvilS"]}, "scheduler"),
        ({"pose_guider": ["evil", "EvilS"]}, "pose_guider"),
        ({"image_processor": ["evil", "EvilS"]}, "image_processor"),
        ({"scheduler": ["diffusers", "PNDMScheduler"]}, "scheduler"),
        ({"extra": ["evil", "EvilS"]}, "extra"),
        ({"vae": [None, None]}, "vae"),
        ({"_class_name": ["evil", "EvilS"]}, "evil"),
        ({"_class_name": "DiffusionPipeline"}, "DiffusionPipeline"),
        ({"auto_map": {"AutoModel": "evil.EvilS"}}, "auto_map"),
    ],
)
def test_an_index_of_other_classes_is_refused(folder: Path, entry: dict, message: str) -> None:
    source = f"from pathlib import Path\n{TRAP}\nfrom diffusers import DDIMScheduler as EvilS\n"
    for place in (folder, folder / "scheduler", folder / "pose_guider", folder / "image_processor"):
        (place / "evil.py").write_text(source)
    rewrite(folder / "model_index.json", lambda index: index.update(entry))
    refused(folder, message)
    with pytest.raises(UserError):
        TalkingPosePipeline.from_pretrained(folder)
    assert not list(folder.rglob("trap"))


@pytest.mark.parametrize("part", ["vae", "image_encoder", "denoising_unet", "pose_guider"])
def test_an_auto_map_is_refused(folder: Path, part: str) -> None:
    rewrite(folder / part / "config.json", lambda config: config.update(auto_map={"AutoModel": "evil.EvilS"}))
    refused(folder, "auto_map")


class Malicious:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize(
    ("part", "form"), [("image_encoder", "torch"), ("image_encoder", "pickle"), ("vae", "torch")]
)
def test_a_pickle_is_not_run(folder: Path, part: str, form: str) -> None:
    name = "pytorch_model.bin" if part == "image_encoder" else "diffusion_pytorch_model.bin"
    for file in (folder / part).glob("*.safetensors"):
        file.unlink()
    content = {"x": Malicious(folder / "trap")}
    if form == "torch":
        torch.save(content, folder / part / name)
    else:
        (folder / part / name).write_bytes(pickle.dumps(content, protocol=2))
    refused(folder, f"{name}: contains more than tensors")


@pytest.mark.parametrize(
    "file",
    [
        "model_index.json",
        "vae/config.json",
        "image_encoder/config.json",
        "image_processor/preprocessor_config.json",
        "scheduler/scheduler_config.json",
        "inference.json",
    ],
)
def test_deep_json_is_one_line(folder: Path, file: str) -> None:
    from talkingpose.model.inference_settings import read_inference

    (folder / file).unlink(missing_ok=True)
    (folder / file).write_text('{"a":' * 100_000 + "1" + "}" * 100_000)
    if file == "inference.json":
        with pytest.raises(UserError, match=r"nested|more than \d+ values"):
            read_inference(folder)
    else:
        refused(folder, r"nested|more than \d+ values")


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("part", "entry"),
    [
        ("denoising_unet", {"layers_per_block": 10**9}),
        ("denoising_unet", {"transformer_layers_per_block": 10**6}),
        ("denoising_unet", {"block_out_channels": [10**6, 10**6, 10**6, 10**6]}),
        ("denoising_unet", {"down_block_types": ["DownBlock2D"] * 10**4}),
        ("vae", {"layers_per_block": 10**9}),
        ("vae", {"block_out_channels": [32] * 10**4}),
        ("image_encoder", {"num_hidden_layers": 10**9}),
        ("image_encoder", {"image_size": 10**5, "patch_size": 1}),
        ("image_encoder", {"hidden_size": 10**6}),
        ("pose_guider", {"block_out_channels": [10**5, 10**5, 10**5, 10**5]}),
        ("image_processor", {"crop_size": {"height": 10**5, "width": 10**5}}),
        ("image_processor", {"size": {"shortest_edge": 10**5}}),
        ("scheduler", {"num_train_timesteps": 10**12}),
        ("scheduler", {"beta_schedule": "evil"}),
        ("denoising_unet", {"block_out_channels": "many"}),
        ("denoising_unet", {"_class_name": "AutoencoderKL"}),
        ("image_encoder", {"hidden_act": "evil"}),
    ],
)
def test_an_absurd_configuration_is_one_line(folder: Path, part: str, entry: dict) -> None:
    (file,) = (folder / part).glob("*config.json")
    rewrite(file, lambda config: config.update(entry))
    refused(folder, part)


def test_an_image_encoder_configuration_chooses_no_implementation(folder: Path) -> None:
    rewrite(
        folder / "image_encoder" / "config.json",
        lambda config: config.update(_attn_implementation="evil/kernels", quantization_config={"x": 1}),
    )
    assert load_pipeline(folder, "cpu").image_encoder.config._attn_implementation != "evil/kernels"


@pytest.mark.parametrize("part", ["denoising_unet", "image_encoder"])
def test_an_index_of_shards_outside_is_not_followed(folder: Path, tmp_path: Path, part: str) -> None:
    (weights,) = (folder / part).glob("*.safetensors")
    state = load_file(weights)
    weights.rename(tmp_path / weights.name)
    index = {"metadata": {}, "weight_map": dict.fromkeys(state, f"../../{weights.name}")}
    (folder / part / f"{weights.name}.index.json").write_text(json.dumps(index))
    refused(folder, "missing")


def test_shards_are_read(folder: Path, pipe: TalkingPosePipeline) -> None:
    file = folder / "pose_guider" / WEIGHTS
    state = load_file(file)
    file.unlink()
    names = sorted(state)
    for number, part in enumerate((names[:3], names[3:]), start=1):
        shard = {name: state[name] for name in part}
        save_file(shard, file.with_name(f"diffusion_pytorch_model-0000{number}-of-00002.safetensors"))
    loaded = load_pipeline(folder, "cpu").pose_guider.state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in pipe.pose_guider.state_dict().items())
    save_file(state, file.with_name("diffusion_pytorch_model-00003-of-00002.safetensors"))
    refused(folder, "another shard")


@pytest.mark.timeout(60)
def test_files_that_are_not_regular_are_refused(folder: Path) -> None:
    file = folder / "vae" / WEIGHTS
    file.unlink()
    os.mkfifo(file)
    refused(folder, "not a regular file")
    file.unlink()
    file.symlink_to("/dev/zero")
    refused(folder, "not a regular file")


def edit_weights(file: Path, name: str, edit: Callable[[torch.Tensor], torch.Tensor]) -> None:
    state = load_file(file) if file.suffix == ".safetensors" else torch.load(file, weights_only=True)
    state = {key: value.clone() for key, value in state.items()}
    state[name] = edit(state[name])
    file.unlink()
    save_file(state, file) if file.suffix == ".safetensors" else torch.save(state, file)


@pytest.mark.parametrize(
    ("part", "value"),
    [("vae", float("nan")), ("image_encoder", float("inf")), ("denoising_unet", float("nan"))],
)
def test_weights_that_are_not_finite_are_refused(folder: Path, part: str, value: float) -> None:
    (file,) = (folder / part).glob("*.safetensors")
    name = sorted(load_file(file))[0]
    edit_weights(file, name, lambda tensor: tensor.index_fill(0, torch.tensor([0]), value))
    refused(folder, f"{part}: {name}: not finite")


def test_weights_of_other_types_are_refused(folder: Path) -> None:
    edit_weights(folder / "vae" / WEIGHTS, "decoder.conv_in.bias", lambda tensor: tensor.to(torch.int32))
    refused(folder, "decoder.conv_in.bias: torch.int32")


@pytest.fixture
def official(parity_folder: Path, tmp_path: Path) -> Path:
    ignored = shutil.ignore_patterns("*.npz")
    return Path(shutil.copytree(parity_folder, tmp_path / "official", ignore=ignored))


def test_official_weights_that_are_not_finite_are_refused(official: Path) -> None:
    file = official / "pose_guider.pth"
    edit_weights(file, "conv_in.bias", lambda tensor: tensor * float("nan"))
    refused(official, "pose_guider.pth: conv_in.bias: not finite")


def test_tensors_larger_than_their_file_are_refused(official: Path) -> None:
    edit_weights(official / "pose_guider.pth", "conv_in.bias", lambda tensor: tensor[:1].expand(10**9))
    refused(official, "larger than the file")


def test_a_compressed_pth_is_refused(official: Path) -> None:
    file = official / "pose_guider.pth"
    with zipfile.ZipFile(file) as old:
        content = {entry: old.read(entry) for entry in old.namelist()}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for name, data in content.items():
            new.writestr(name, data)
    refused(official, "compressed")


def test_half_precision_unets_with_a_float32_vae_animate(
    official: Path, golden: dict[str, np.ndarray], noise: torch.Tensor
) -> None:
    for name in ("denoising_unet", "reference_unet"):
        file = official / f"{name}.pth"
        torch.save({key: value.half() for key, value in torch.load(file, weights_only=True).items()}, file)
    mixed = TalkingPosePipeline.from_official(official)
    assert mixed.denoising_unet.dtype == torch.float16 and mixed.vae.dtype == torch.float32
    settings = {"num_inference_steps": 4, "guidance_scale": 1.0, "output_type": "pt"}
    frames = mixed(golden["reference"], golden["poses"], latents=noise, **settings).frames.numpy()
    assert 10 * np.log10(1 / np.mean((frames - golden["nocfg_frames"]) ** 2)) > 40


def test_a_repository_is_downloaded_without_code_and_variants(
    official: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def snapshot_download(repository: str, *, allow_patterns: list[str], **_: object) -> str:
        asked.append(allow_patterns)
        return str(official)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    weights = official / "image_encoder" / "model.safetensors"
    state = load_file(weights)
    weights.unlink()
    torch.save(state, official / "image_encoder" / "pytorch_model.bin")
    assert isinstance(TalkingPosePipeline.from_pretrained("owner/name"), TalkingPosePipeline)
    first, second = asked
    variant = "vae/diffusion_pytorch_model.fp16.safetensors"
    offered = ["x.py", "vae/a.py", variant, "motion_module.pth", "a.bin"]
    assert not [name for name in offered for pattern in first + second if fnmatch(name, pattern)]
    needed = ["denoising_unet.pth", "vae/diffusion_pytorch_model.safetensors", "vae/config.json"]
    assert all(any(fnmatch(name, pattern) for pattern in first) for name in needed)
    assert second == ["image_encoder/diffusion_pytorch_model.bin", "image_encoder/pytorch_model.bin"]
