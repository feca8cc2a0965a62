"""AnimateAnyone against golden numbers of the official inference, and as a contestant."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from baselines.animate_anyone import AnimateAnyone, clip_noise
from baselines.temporal_layers import add_temporal_layers, denoise_clip, windows
from talkingpose import TalkingPosePipeline
from talkingpose.io.errors import UserError
from talkingpose.model.model_files import read_pth
from talkingpose.model.reference_attention import ReferenceCache, project_reference
from talkingpose.pipeline.ddim import make_sampler
from tests.baselines.tiny_weights import write_animate_anyone

ROOT = Path(__file__).parents[2]
PARITY = ROOT / "tests" / "data" / "parity"
# The README of the golden numbers calls this tolerance safe for latents and frames.
TOLERANCE = 1e-3
GUIDANCE = {"cfg30": 3.5, "nocfg26": 1.0, "single24": 3.5}
SEEDS = {"cfg30": 42, "nocfg26": 43, "single24": 44}


@pytest.fixture(scope="session")
def golden_folder() -> Path:
    folder = ROOT.parent / "shared" / "parity_motion"
    if not folder.is_dir():
        pytest.skip("needs the folder shared/parity_motion beside the checkout")
    return folder


@pytest.fixture(scope="session")
def golden(golden_folder: Path) -> dict[str, np.ndarray]:
    with np.load(golden_folder / "golden_motion.npz") as file:
        return dict(file)


class Official:
    """The official weights of the golden numbers in the classes of this project."""

    def __init__(self, folder: Path, golden: dict[str, np.ndarray]) -> None:
        self.golden = golden
        self.pipeline = TalkingPosePipeline.from_official(PARITY)
        path = folder / "motion_module.pth"
        self.unet = add_temporal_layers(self.pipeline.denoising_unet, read_pth(path), path)

    def stored_reference(self) -> ReferenceCache:
        """Bank and token of the official run, which does not round the pixels of the portrait."""
        bank = {
            f"{name[5:]}.attn1": torch.from_numpy(tokens)
            for name, tokens in self.golden.items()
            if name.startswith("bank/")
        }
        token = torch.from_numpy(self.golden["clip_embeds"])
        return project_reference(self.pipeline.denoising_unet, bank, token)

    def latents(self, run: str, reference: ReferenceCache, *, averaged: bool) -> torch.Tensor:
        poses = self.golden["poses"]
        with torch.no_grad():
            return denoise_clip(
                self.unet,
                make_sampler(self.pipeline.scheduler, 4, torch.device("cpu")),
                GUIDANCE[run],
                torch.from_numpy(self.golden[f"{run}_noise"]),
                lambda part: self.pipeline.encode_pose([poses[number] for number in part]),
                reference,
                averaged=averaged,
            )


@pytest.fixture(scope="module")
def official(golden_folder: Path, golden: dict[str, np.ndarray]) -> Official:
    return Official(golden_folder, golden)


@pytest.mark.parametrize("run", ["cfg30", "nocfg26", "single24"])
def test_windows_and_noise(official: Official, run: str) -> None:
    expected = json.loads(str(official.golden["windows"]))[run]
    noise = official.golden[f"{run}_noise"]
    assert windows(len(noise)) == expected
    generator = torch.Generator().manual_seed(SEEDS[run])
    assert np.array_equal(clip_noise(official.pipeline, len(noise), 128, 64, generator), noise)


@pytest.mark.parametrize("layer", ["down_blocks.2.motion_modules.0", "mid_block.motion_modules.0"])
def test_one_layer(official: Official, layer: str) -> None:
    given = torch.from_numpy(official.golden[f"layer/{layer}/input"])
    rows = given.transpose(1, 2).flatten(0, 1)
    with torch.no_grad():
        result = official.unet.get_submodule(layer)(rows, num_frames=given.shape[2])
    expected = official.golden[f"layer/{layer}/output"]
    np.testing.assert_allclose(result.view(1, *rows.shape).transpose(1, 2), expected, atol=1e-5)


def test_one_call_with_guidance(official: Official) -> None:
    golden = official.golden
    features = torch.from_numpy(golden["direct_pose_features"].astype(np.float32))
    sample = torch.cat([torch.from_numpy(golden["direct_sample"]), features], dim=1)
    reference = official.stored_reference().select([0] * sample.shape[2])
    with torch.no_grad():
        result = official.unet(
            torch.cat([sample, sample]),
            torch.tensor(499),
            encoder_hidden_states=None,
            cross_attention_kwargs={"reference": reference},
        ).sample
    np.testing.assert_allclose(result, golden["direct_guided"], atol=1e-4)


def test_windowed_clip_with_guidance_from_pictures(official: Official) -> None:
    golden = official.golden
    reference = official.pipeline.encode_reference([golden["reference"]], 128, 64)
    latents = official.latents("cfg30", reference, averaged=True)
    np.testing.assert_allclose(latents, golden["cfg30_half_pixels_latents"], atol=TOLERANCE)
    frames = official.pipeline.decode(latents[golden["cfg30_frames_index"]], "pt")
    np.testing.assert_allclose(torch.stack(frames), golden["cfg30_frames"], atol=TOLERANCE)


@pytest.mark.parametrize(
    ("averaged", "expected"), [(True, "nocfg26_averaged_latents"), (False, "nocfg26_latents")]
)
def test_overlaps_without_guidance(official: Official, averaged: bool, expected: str) -> None:
    latents = official.latents("nocfg26", official.stored_reference(), averaged=averaged)
    np.testing.assert_allclose(latents, official.golden[expected], atol=TOLERANCE)


@pytest.mark.soak
@pytest.mark.parametrize("run", ["cfg30", "single24"])
def test_other_runs(official: Official, run: str) -> None:
    latents = official.latents(run, official.stored_reference(), averaged=True)
    np.testing.assert_allclose(latents, official.golden[f"{run}_latents"], atol=TOLERANCE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_animate_anyone(tmp_path_factory.mktemp("weights") / "animate-anyone")


@pytest.mark.parametrize("guidance", [1.0, 3.5])
def test_without_temporal_layers_it_is_the_reference_model(folder: Path, guidance: float) -> None:
    """The backbone that `fresh-noise`, `open-loop` and `talkingpose` read from the same folder."""
    pipeline = TalkingPosePipeline.from_pretrained(folder)
    path = folder / "motion_module.pth"
    off = {key: value * (".proj_out." not in key) for key, value in read_pth(path).items()}
    unet = add_temporal_layers(pipeline.denoising_unet, off, path)
    portrait, *poses = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)
    reference = pipeline.encode_reference([portrait], 64, 64)
    noise = clip_noise(pipeline, 3, 64, 64, torch.Generator().manual_seed(0))
    sampler = make_sampler(pipeline.scheduler, 2, torch.device("cpu"))
    features = pipeline.encode_pose(poses)
    with torch.no_grad():
        latents = denoise_clip(unet, sampler, guidance, noise, lambda part: features[part], reference)
    expected = pipeline.denoise(noise, features, reference.select([0] * 3), 2, guidance)
    np.testing.assert_allclose(latents, expected, atol=1e-4)


def test_info_says_what_it_is(folder: Path) -> None:
    info = AnimateAnyone(checkpoint=str(folder), device="cpu", steps="1").info
    assert (info.window, info.carry, info.streams, info.memory) == (24, 0, False, "grows")
    assert info.args["overlap"] == "4 frames, averaged"
    assert "motion_module.pth" in {weight.name for weight in info.weights}
    assert info.parameters > sum(value.numel() for value in read_pth(folder / "motion_module.pth").values())


def test_setting_and_files_that_cannot_be_used(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="overlap=summed"):
        AnimateAnyone(checkpoint=str(folder), device="cpu", overlap="summed")
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    (copy / "motion_module.pth").unlink()
    with pytest.raises(UserError, match=r"motion_module\.pth"):
        AnimateAnyone(checkpoint=str(copy), device="cpu")
    shutil.copy(copy / "pose_guider.pth", copy / "motion_module.pth")
    with pytest.raises(UserError, match="no temporal layers"):
        AnimateAnyone(checkpoint=str(copy), device="cpu")
