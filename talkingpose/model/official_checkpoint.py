"""The official weight files, read strictly and written.

    FOLDER/denoising_unet.pth, reference_unet.pth, pose_guider.pth   (or in FOLDER/weights)
    FOLDER/base/unet/config.json                                     the UNets' shape (Stable Diffusion 1.5)
    FOLDER/vae/, FOLDER/image_encoder/                               as diffusers and transformers save them
    FOLDER/scheduler.json                                            optional: else the official sampler

A key that is missing, unknown or of another shape is an error: a model with some of its weights left at
random would run and give wrong pictures. `pipeline.convert` makes diffusers' layout of it, and back.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from torch import nn
from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

from talkingpose.io.errors import UserError
from talkingpose.model.pose_guider import PoseGuider

# The official inference samples on linear betas although it trained on scaled_linear ones (configs/inference/
# inference_v2.yaml).
OFFICIAL_SCHEDULER = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "linear",
    "clip_sample": False,
    "steps_offset": 1,
    "prediction_type": "v_prediction",
    "rescale_betas_zero_snr": True,
    "timestep_spacing": "trailing",
}

# The official reference UNet has no output layers: what follows its last self-attention is never used.
REFERENCE_ABSENT = frozenset(
    {"conv_norm_out.weight", "conv_norm_out.bias", "conv_out.weight", "conv_out.bias"}
)

_WEIGHTS = ("denoising_unet.pth", "reference_unet.pth", "pose_guider.pth")
_UNET_CONFIGS = (
    "base/unet/config.json",
    "unet/config.json",
    "stable-diffusion-v1-5/unet/config.json",
)
_VAES = ("vae", "sd-vae-ft-mse")
_IMAGE_ENCODERS = ("image_encoder", "sd-image-variations-diffusers/image_encoder")


class CheckpointError(UserError):
    """A folder of weights that cannot be used as it is; the message is one line for the user."""


def read_official(folder: str | os.PathLike[str], torch_dtype: torch.dtype | None = None) -> dict[str, Any]:
    """Read a folder in the official layout into the components of `TalkingPosePipeline`.

    Args:
        folder: see the head of this file.
        torch_dtype: type of all weights; None keeps that of the files.

    Raises:
        CheckpointError: a part is missing, a file cannot be read without running code in it, its keys or
            shapes are not those of the model, or it holds temporal layers that change the result.
    """
    root = Path(folder)
    if not root.is_dir():
        raise CheckpointError(f"checkpoint: {root}: no such folder: give the folder of the three .pth files")
    denoising_file, reference_file, pose_file = (_find(root, (name, f"weights/{name}")) for name in _WEIGHTS)
    unet_config = _read_json(_find(root, _UNET_CONFIGS))
    vae_folder, encoder_folder = _find(root, _VAES), _find(root, _IMAGE_ENCODERS)

    denoising_unet = _empty_unet(unet_config)
    _load(denoising_unet, without_inert_motion(read_pth(denoising_file), denoising_file), denoising_file)

    reference_unet = _empty_unet(unet_config)
    reference_state = read_pth(reference_file)
    absent = REFERENCE_ABSENT - reference_state.keys()
    unused = {key: torch.zeros(reference_unet.state_dict()[key].shape) for key in absent}
    _load(reference_unet, reference_state | unused, reference_file)

    pose_state = read_pth(pose_file)
    with torch.device("meta"):
        pose_guider = PoseGuider(
            denoising_unet.config.block_out_channels[0],
            block_out_channels=_pose_channels(pose_state, pose_file),
        )
    _load(pose_guider, pose_state, pose_file)

    scheduler_file = root / "scheduler.json"
    scheduler = _read_json(scheduler_file) if scheduler_file.is_file() else OFFICIAL_SCHEDULER
    image_encoder = _load_frozen(CLIPVisionModelWithProjection, encoder_folder)
    side = image_encoder.config.image_size
    models = {
        "vae": _load_frozen(AutoencoderKL, vae_folder),
        "image_encoder": image_encoder,
        "reference_unet": reference_unet,
        "denoising_unet": denoising_unet,
        "pose_guider": pose_guider,
    }
    return {name: model.to(torch_dtype).eval() for name, model in models.items()} | {
        "image_processor": CLIPImageProcessor(
            size={"shortest_edge": side}, crop_size={"height": side, "width": side}
        ),
        "scheduler": DDIMScheduler.from_config(scheduler),
    }


def write_official(folder: str | os.PathLike[str], components: Mapping[str, Any]) -> None:
    """Write a pipeline's components as a folder that `read_official` reads; it appears only when complete.

    Raises:
        CheckpointError: there is something under this name already.
    """
    target = Path(folder)
    if target.exists():
        raise CheckpointError(f"checkpoint: {target}: exists already: give a new folder name")
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        for name in ("denoising_unet", "reference_unet", "pose_guider"):
            state = components[name].state_dict()
            if name == "reference_unet":
                state = {key: value for key, value in state.items() if key not in REFERENCE_ABSENT}
            torch.save({key: value.cpu() for key, value in state.items()}, draft / f"{name}.pth")
        (draft / "base" / "unet").mkdir(parents=True)
        _write_json(draft / "base" / "unet" / "config.json", components["denoising_unet"].config)
        _write_json(draft / "scheduler.json", components["scheduler"].config)
        components["vae"].save_pretrained(draft / "vae")
        components["image_encoder"].save_pretrained(draft / "image_encoder")
        draft.chmod(0o755)
        draft.replace(target)
    except BaseException:
        shutil.rmtree(draft)
        raise


def read_pth(path: Path) -> dict[str, torch.Tensor]:
    """Read a `.pth` file of named tensors; code in the file is never run (`weights_only=True`).

    Raises:
        CheckpointError: the file holds anything else, or is damaged.
    """
    with path.open("rb") as file:
        is_pth = file.read(2).startswith((b"PK", b"\x80"))
    if not is_pth:
        raise CheckpointError(f"checkpoint: {path}: is no .pth file: fetch it again")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"checkpoint: {path}: holds more than tensors: refused, as reading it would run code in it"
        ) from error
    except (RuntimeError, EOFError, ValueError) as error:
        raise CheckpointError(f"checkpoint: {path}: is damaged: fetch it again") from error
    if not isinstance(state, dict) or not all(
        isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in state.items()
    ):
        raise CheckpointError(f"checkpoint: {path}: is not a table of named tensors: save model.state_dict()")
    return dict(state)


def without_inert_motion(state: Mapping[str, torch.Tensor], path: Path) -> dict[str, torch.Tensor]:
    """Drop temporal layers (`motion_modules`) that add nothing because all their output projections are zero.

    Raises:
        CheckpointError: a temporal layer has an output projection other than zero, or none at all.
    """
    motion = {key: value for key, value in state.items() if "motion_modules." in key}
    layers = {key.partition(".temporal_transformer.")[0] for key in motion}
    for layer in sorted(layers):
        for part in ("weight", "bias"):
            projection = motion.get(f"{layer}.temporal_transformer.proj_out.{part}")
            if projection is None or bool(projection.count_nonzero()):
                raise CheckpointError(
                    f"checkpoint: {path}: {layer} is a trained temporal layer: this model has none, "
                    "use weights of the image stage"
                )
    return {key: value for key, value in state.items() if key not in motion}


def check_saved(folder: Path) -> None:
    """Refuse a folder in diffusers' layout whose models hold other keys or shapes than they should.

    diffusers itself leaves out what it does not know. Only the heads of the files are read.

    Raises:
        CheckpointError: a file is missing or damaged, holds anything but tensors, or is not the model's.
    """
    index = _read_json(folder / "model_index.json")
    kind = index.get("_class_name")
    if kind != "TalkingPosePipeline":
        raise CheckpointError(
            f"checkpoint: {folder}: holds a {kind}: give the folder of a TalkingPosePipeline"
        )
    for name in ("denoising_unet", "reference_unet", "pose_guider"):
        config = _read_json(_find(folder, (f"{name}/config.json",)))
        with torch.device("meta"):
            model = (PoseGuider if name == "pose_guider" else UNet2DConditionModel).from_config(config)
        shapes: dict[str, torch.Size] = {}
        for file in _weight_files(folder / name):
            shapes |= saved_shapes(file)
        _compare(model, shapes, folder / name)


def saved_shapes(file: Path) -> dict[str, torch.Size]:
    """Names and shapes of the tensors in a weight file, `.safetensors`, or of torch; no code in it is run.

    Raises:
        CheckpointError: the file is damaged, or holds more than tensors.
    """
    if file.suffix != ".safetensors":
        return {key: value.shape for key, value in read_pth(file).items()}
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt") as content:
            names = list(content.keys())
            return {name: torch.Size(content.get_slice(name).get_shape()) for name in names}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"checkpoint: {file}: is damaged: fetch it again") from error


def require_weights(name: str, model: nn.Module) -> None:
    """Refuse a model loaded from a file that lacks keys: diffusers leaves those weights on the meta device.

    Raises:
        CheckpointError: naming `name` and the first key without a value.
    """
    missing = [key for key, value in model.named_parameters() if value.is_meta]
    if missing:
        raise CheckpointError(
            f"checkpoint: {name}: {len(missing)} of its weights missing, {missing[0]} first: fetch it again"
        )


def _weight_files(folder: Path) -> list[Path]:
    """The weights of a model that diffusers saved: whole or in parts, safetensors before others."""
    for suffix in (".safetensors", ".bin"):
        files = sorted(folder.glob(f"diffusion_pytorch_model*{suffix}"))
        if files:
            return files
    raise CheckpointError(
        f"checkpoint: {folder}: diffusion_pytorch_model.safetensors is missing: put it there"
    )


def _find(root: Path, places: tuple[str, ...]) -> Path:
    for place in places:
        if (root / place).exists():
            return root / place
    raise CheckpointError(f"checkpoint: {root}: {places[0]} is missing: put it there")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"checkpoint: {path}: is no JSON file: fetch it again") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"checkpoint: {path}: is no JSON object: fetch it again")
    return content


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(dict(content), indent=1) + "\n", encoding="utf-8")


def _empty_unet(config: Mapping[str, Any]) -> UNet2DConditionModel:
    with torch.device("meta"):
        return UNet2DConditionModel.from_config(dict(config))


def _pose_channels(state: Mapping[str, torch.Tensor], path: Path) -> tuple[int, ...]:
    stages = len([key for key in state if key.startswith("blocks.") and key.endswith(".weight")]) // 2
    names = ["conv_in.weight", *(f"blocks.{2 * stage + 1}.weight" for stage in range(stages))]
    absent = [name for name in names if name not in state or state[name].ndim != 4]
    if absent:
        raise CheckpointError(f"checkpoint: {path}: has no convolution {absent[0]}: not a pose guider's file")
    return tuple(len(state[name]) for name in names)


def _load(model: nn.Module, state: Mapping[str, torch.Tensor], path: Path) -> None:
    """Put exactly these tensors into `model`, which has none yet (its parameters are on the meta device)."""
    _compare(model, {key: value.shape for key, value in state.items()}, path)
    model.load_state_dict(dict(state), assign=True)


def _compare(model: nn.Module, shapes: Mapping[str, torch.Size], path: Path) -> None:
    wanted = {key: value.shape for key, value in model.state_dict().items()}
    missing, unexpected = sorted(wanted.keys() - shapes.keys()), sorted(shapes.keys() - wanted.keys())
    reshaped = sorted(key for key in wanted.keys() & shapes.keys() if wanted[key] != shapes[key])
    for what, keys in (("missing", missing), ("unknown", unexpected), ("of another shape", reshaped)):
        if keys:
            raise CheckpointError(
                f"checkpoint: {path}: {len(keys)} of its keys {what}, {keys[0]} first: "
                "take the file and the configuration of one model"
            )


def _load_frozen(kind: type[Any], folder: Path) -> Any:
    try:
        model, report = kind.from_pretrained(folder, output_loading_info=True, local_files_only=True)
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise CheckpointError(f"checkpoint: {folder}: cannot be read as {kind.__name__}: {reason}") from error
    missing = sorted(report["missing_keys"])
    if missing:
        raise CheckpointError(
            f"checkpoint: {folder}: {len(missing)} keys missing, {missing[0]} first: fetch it again"
        )
    return model
