"""Configurations: refused in one line before the first step, defaults, bases."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from talkingpose.io import console
from talkingpose.io.errors import UserError
from talkingpose.training import cli
from talkingpose.training.config import TrainConfig, checked, load_config, shipped
from talkingpose.training.errors import TrainingError
from talkingpose.training.loop import train
from talkingpose.training.memory import estimate, saved_bytes
from talkingpose.training.models import build_parts, check_fit
from tests.talkingpose.training.conftest import ENCODER, GUIDER, UNET, VAE, write

Change = Callable[[dict[str, Any]], Any]


def part(name: str, config: dict[str, Any]) -> Change:
    return lambda content: content["model"].update({name: {"config": config}})


REFUSED: dict[str, tuple[Change, str]] = {
    "unknown key": (lambda c: c.update(learning_rat=1), "unknown key learning_rat"),
    "unknown key inside": (
        lambda c: c["optimizer"].update(warmup=1),
        r"unknown key optimizer.warmup: did you mean warmup_steps\?",
    ),
    "unlike any key": (lambda c: c.update(xyz=1), "unknown key xyz: remove it"),
    "missing key": (lambda c: c.pop("size"), "key size is missing"),
    "empty batch": (lambda c: c.update(batch_size=0), "batch_size: .*greater than or equal to 1"),
    "uneven sharing": (lambda c: c.update(batch_size=4, targets_per_portrait=3), "3 does not divide .* 4"),
    "shared pool": (
        lambda c: c.update(targets_per_portrait=2, pool={"folder": "x", "groups": 1, "frames": 3}),
        "needs pool.frames of at least 4",
    ),
    "no number": (lambda c: c["optimizer"].update(learning_rate=float("nan")), "optimizer.learning_rate"),
    "share above 1": (lambda c: c.update(augmentation={"flip": 1.5}), "augmentation.flip"),
    "crop upside down": (lambda c: c.update(augmentation={"crop_scale": [1, 0.5]}), "crop_scale"),
    "stage": (lambda c: c.update(stage="video"), "stage: .*'vae', 'denoiser' or 'perceptual'"),
    "part left out": (lambda c: c["model"].pop("pose_guider"), "model.pose_guider"),
    "two origins": (lambda c: c["model"]["unet"].update(pretrained="x"), "pretrained or config"),
    "untrained vae": (part("vae", VAE), "needs a trained one"),
    "size": (lambda c: c.update(size=34), "size: 34 is not divisible by 4"),
    "no folder": (lambda c: c["model"].update(vae={"pretrained": "no/such"}), "vae: .*/such: .*hf download"),
    "unknown part key": (part("unet", UNET | {"layers": 2}), "model.unet.config: .*layers"),
    "unknown encoder key": (part("image_encoder", ENCODER | {"depth": 2}), "unknown key depth"),
    "impossible part": (part("unet", UNET | {"norm_num_groups": 7}), "unet.config: does not describe a UNet"),
    "latents": (part("unet", UNET | {"in_channels": 8}), "in_channels: 8, but latent_channels .*: 4"),
    "token": (part("image_encoder", ENCODER | {"projection_dim": 8}), "cross_attention_dim: 16, but .* 8"),
    "guider": (part("pose_guider", GUIDER | {"block_out_channels": [8] * 3}), "reduction: 4, but .* 2"),
    "freeze": (lambda c: c["model"].update(freeze=["unet.up"]), "model.freeze: unet.up:"),
    "source": (lambda c: c["source"].update(name="films"), "source films: not registered .*clips, drawn"),
    "source option": (lambda c: c["source"]["options"].update(fps=3), "source drawn: options: .*'fps'"),
    "source value": (lambda c: c["source"]["options"].update(identities=0), "source drawn: identities: 0"),
    "no data": (lambda c: c.update(source={"name": "clips", "options": {"dataset": "/no"}}), "dataset /no"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_is_refused_in_one_line(name: str, content: dict[str, Any]) -> None:
    change, message = REFUSED[name]
    content["model"] = {key: dict(value) for key, value in content["model"].items()}
    change(content)
    with pytest.raises(TrainingError, match=message) as caught:
        train(checked(content, "test"))
    assert "\n" not in str(caught.value)


def test_too_little_memory_is_refused_with_both_numbers(
    content: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("psutil.virtual_memory", lambda: type("Memory", (), {"available": 1_000_000})())
    with pytest.raises(TrainingError, match=r"memory: about \d+\.\d GB needed, 0.0 GB free on cpu"):
        train(checked(content, "test"))
    assert not Path(content["out"]).exists()


def test_an_output_folder_that_is_a_file_is_refused(content: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TrainingError, match=r"out .*file/x: cannot be written"):
        train(checked(content | {"out": str(tmp_path / "file" / "x")}, "test"))


def test_command_prints_one_line(
    content: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "c.yaml", content | {"size": 34})
    with pytest.raises(SystemExit) as left:
        console.run(cli.app, cli.PROGRAM, ["--config", str(path)])
    assert left.value.code == 2
    assert capsys.readouterr().err.splitlines() == [
        "tp-train: error: size: 34 is not divisible by 4: autoencoder (2) and UNet (2) divide it: "
        "give a multiple"
    ]


@pytest.mark.parametrize("text", ["stage: [", "- a list", None])
def test_a_file_without_a_table_is_refused(text: str | None, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match="config "):
        load_config(str(path))


def test_the_effective_configuration_is_a_fixed_point(content: dict[str, Any]) -> None:
    config = checked(content, "test")
    assert checked(yaml.safe_load(config.to_yaml()), "again") == config


@pytest.mark.parametrize("name", shipped())
def test_shipped_configurations_are_valid(name: str) -> None:
    assert load_config(name, {"steps": 7}).steps == 7


def test_tiny_parts_fit_and_stay_below_20_megabytes(tmp_path: Path) -> None:
    autoencoder, config = load_config("tiny-vae"), load_config("tiny")
    build_parts(autoencoder)["vae"].save_pretrained(tmp_path)
    model = config.model.model_copy(
        update={"vae": config.model.vae.model_copy(update={"pretrained": str(tmp_path), "subfolder": None})}
    )
    config = config.model_copy(update={"model": model})
    parts = build_parts(config, weights=False)
    check_fit(config, parts)
    assert sum(p.numel() for part in parts.values() for p in part.parameters()) * 2 < 19.5e6


def test_memory_grows_with_the_batch_and_shrinks_with_frozen_parts(content: dict[str, Any]) -> None:
    def needed(**changes: Any) -> int:
        config = checked(content | changes, "test")
        return estimate(config, build_parts(config, weights=False))

    assert needed(batch_size=8) > 2 * needed(batch_size=2)
    frozen = content["model"] | {"freeze": ["reference_unet", "image_encoder"]}
    assert needed(model=frozen) < needed()


def test_saved_bytes_of_a_known_layer() -> None:
    with torch.device("meta"):
        layers = torch.nn.Sequential(torch.nn.Linear(10, 20), torch.nn.ReLU(), torch.nn.Linear(20, 5))
        inputs = torch.zeros(3, 10)
    # Input of the first layer; output of the ReLU, which is also the input of the last.
    assert saved_bytes(layers, [inputs]) == 4 * (3 * 10 + 3 * 20)


def test_the_defaults_file_documents_every_default(content: dict[str, Any]) -> None:
    defaults = yaml.safe_load(resources.files("talkingpose.training").joinpath("default.yaml").read_text())
    needed = {"stage", "out", "size", "steps", "batch_size", "source", "model"}
    assert defaults.keys() | needed == TrainConfig.model_fields.keys()
    required = {key: content[key] for key in needed} | {"optimizer": {"learning_rate": 1.0}}
    with_defaults = defaults | required
    with_defaults["optimizer"] = defaults["optimizer"] | required["optimizer"]
    assert checked(with_defaults, "defaults") == checked(required, "nothing")
    for name in (
        "augmentation",
        "optimizer",
        "diffusion",
        "autoencoder",
        "picture",
        "sampling",
        "validation",
    ):
        fields = type(getattr(checked(required, "nothing"), name)).model_fields.keys()
        assert fields - {"learning_rate"} == defaults[name].keys()


def test_a_base_gives_the_keys_that_the_file_lacks(tmp_path: Path) -> None:
    changes = {
        "base": "tiny",
        "steps": 5,
        "optimizer": {"learning_rate": 0.5},
        "model": {"unet": {"pretrained": "x"}},
        "source": {"name": "clips"},
    }
    config = load_config(str(write(tmp_path / "c.yaml", changes)), {"out": "o"})
    base = load_config("tiny")
    assert (config.steps, config.out, config.batch_size) == (5, "o", base.batch_size)
    assert config.optimizer == base.optimizer.model_copy(update={"learning_rate": 0.5})
    assert config.model.unet is not None and config.model.unet.config is None
    assert config.model.vae == base.model.vae
    assert config.source.options == {}
    with pytest.raises(TrainingError, match=r"base huge: unknown: give .*tiny"):
        load_config(str(write(tmp_path / "c.yaml", {"base": "huge"})))
