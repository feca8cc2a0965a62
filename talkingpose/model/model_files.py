"""Guarded reading of one model: its configuration and its weights, from a stranger.

No code of a file is run. Configurations have bounded numbers; tensors have exactly the names and shapes of
the model and are finite.
"""

from __future__ import annotations

import functools
import stat
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from diffusers import AutoencoderKL
from torch import nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from talkingpose.io.documents import DocumentLimits, read_json
from talkingpose.model.checkpoint_folder import CheckpointError

_Model = TypeVar("_Model", bound=nn.Module)

_CONFIG_LIMITS = DocumentLimits(size=1 << 20, depth=8, items=20_000, text=10_000, number=1e6)
# Above every published model of this kind, and low enough to describe any such model within seconds.
_MAX_BLOCKS = 8
_MAX_SIZE = 16_384
_MAX_LAYERS = {
    "layers_per_block": 8,
    "transformer_layers_per_block": 16,
    "reverse_transformer_layers_per_block": 16,
    "num_hidden_layers": 64,
}
# The names under which diffusers and transformers save weights, in the order of preference.
_WEIGHT_NAMES = (
    "diffusion_pytorch_model.safetensors",
    "model.safetensors",
    "diffusion_pytorch_model-?????-of-?????.safetensors",
    "model-?????-of-?????.safetensors",
    "diffusion_pytorch_model.bin",
    "pytorch_model.bin",
)
_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
# Old names of the attention layers in autoencoders; diffusers renames them, too.
_OLD_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
_CLIP_ARGUMENTS = (
    "hidden_size",
    "intermediate_size",
    "projection_dim",
    "num_hidden_layers",
    "num_attention_heads",
    "num_channels",
    "image_size",
    "patch_size",
    "hidden_act",
    "layer_norm_eps",
)


def read_model(kind: type[_Model], folder: Path) -> _Model:
    """Read a model that diffusers or transformers saved.

    Args:
        kind: class of the model. The class that the folder names must be the same.
        folder: with `config.json` and weights.

    Raises:
        CheckpointError: a file is missing, damaged, contains code, or is not this model's.
        DocumentError: the configuration is no JSON document within the limits.
    """
    model = describe_model(kind, read_config(folder / "config.json"), folder)
    return load_weights(model, read_weights(folder), folder)


def read_config(path: Path) -> dict[str, Any]:
    """Read a JSON object that configures a model.

    Raises:
        CheckpointError: the file is missing, holds no object, or names code to import.
        DocumentError: it is no JSON document within the limits.
    """
    if not path.is_file():
        raise CheckpointError(f"checkpoint {path}: missing: add the file")
    content = read_json(path, "checkpoint", _CONFIG_LIMITS)
    if not isinstance(content, dict):
        raise CheckpointError(f"checkpoint {path}: not a JSON object: fetch it again")
    if "auto_map" in content:
        raise CheckpointError(f"checkpoint {path}: auto_map names code to import: refused, remove the entry")
    return content


def describe_model(kind: type[_Model], config: Mapping[str, Any], where: Path) -> _Model:
    """Make a model without weights, on the meta device.

    Args:
        kind: class of diffusers or transformers.
        config: from `read_config`.
        where: names the configuration in messages.

    Raises:
        CheckpointError: the configuration is of another class, exceeds a limit, or describes no model.
    """
    check_class(config, kind, where)
    if issubclass(kind, CLIPVisionModelWithProjection):
        # Only what shapes the network: other entries choose implementations, some of them downloaded code.
        config = {name: config[name] for name in _CLIP_ARGUMENTS if name in config}
    _check_sizes(config, where)
    with torch.device("meta"):
        model: _Model = make_from_config(lambda: _from_config(kind, config), kind, where)
    return model


def _from_config(kind: Any, config: Mapping[str, Any]) -> Any:
    if issubclass(kind, CLIPVisionModelWithProjection):
        return kind(CLIPVisionConfig(**config))
    return kind.from_config(dict(config))


def make_from_config(make: Callable[[], Any], kind: type, where: Path) -> Any:
    """Call `make`; whatever a library raises for values it does not expect becomes a `CheckpointError`."""
    try:
        return make()
    except Exception as error:  # libraries do not check configurations and raise anything
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise CheckpointError(
            f"checkpoint {where}: does not describe a {kind.__name__} ({reason}): fetch it again"
        ) from error


def check_class(config: Mapping[str, Any], kind: type, where: Path) -> None:
    """Refuse the configuration of another class; one that names no class is accepted.

    Raises:
        CheckpointError: naming both classes.
    """
    named = config.get("_class_name", kind.__name__)
    if named != kind.__name__:
        raise CheckpointError(f"checkpoint {where}: holds a {str(named)[:100]}, not a {kind.__name__}")


def load_weights(model: _Model, state: Mapping[str, torch.Tensor], where: Path) -> _Model:
    """Put exactly these tensors into a model without weights, and return it in evaluation mode.

    Where the tensors have several types, all take the widest.

    Args:
        model: from `describe_model`.
        state: tensors by name.
        where: names the weights in messages.

    Raises:
        CheckpointError: a name is missing or unknown, a shape differs, or a tensor is not finite.
    """
    state = _current_names(model, state)
    _compare(model, state, where)
    for name, tensor in state.items():
        if tensor.dtype not in _DTYPES:
            raise CheckpointError(f"checkpoint {where}: {name}: {tensor.dtype}: give floating-point weights")
        if not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(f"checkpoint {where}: {name}: not finite: fetch it again")
    model.load_state_dict(dict(state), assign=True)
    _fill_positions(model)
    dtypes = {tensor.dtype for tensor in state.values()}
    if len(dtypes) > 1:
        model.to(functools.reduce(torch.promote_types, dtypes))
    return model.eval()


def read_weights(folder: Path) -> dict[str, torch.Tensor]:
    """Read the weights of a saved model, whole or in shards. The index of the shards is not read.

    Raises:
        CheckpointError: no weights, a damaged file, or a tensor in two shards.
    """
    files = next((found for name in _WEIGHT_NAMES if (found := sorted(folder.glob(name)))), [])
    if not files:
        raise CheckpointError(f"checkpoint {folder}: {_WEIGHT_NAMES[0]} is missing: add the file")
    state: dict[str, torch.Tensor] = {}
    for file in files:
        part = read_safetensors(file) if file.suffix == ".safetensors" else read_pth(file)
        repeated = next((name for name in part if name in state), None)
        if repeated is not None:
            raise CheckpointError(f"checkpoint {file}: {repeated} is in another shard as well: refused")
        state |= part
    return state


def read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    """Read a `.safetensors` file.

    Raises:
        CheckpointError: it is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    _require_regular(path)
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError, RuntimeError, KeyError) as error:
        raise CheckpointError(f"checkpoint {path}: damaged: fetch it again") from error


def read_pth(path: Path) -> dict[str, torch.Tensor]:
    """Read a `.pth` or `.bin` file of named tensors; code in the file is never run (`weights_only=True`).

    Raises:
        CheckpointError: the file holds anything else, or is damaged.
    """
    import pickle

    _require_regular(path)
    with path.open("rb") as file:
        start = file.read(2)
    if not start.startswith((b"PK", b"\x80")):
        raise CheckpointError(f"checkpoint {path}: not a .pth file: fetch it again")
    try:
        if start == b"PK":
            with zipfile.ZipFile(path) as archive:
                if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
                    raise CheckpointError(f"checkpoint {path}: compressed: save it again with torch.save")
        state = torch.load(path, map_location="cpu", weights_only=True)
    except CheckpointError:
        raise
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"checkpoint {path}: contains more than tensors: refused, because reading it would run its code"
        ) from error
    except Exception as error:  # torch raises a dozen classes for a damaged file
        raise CheckpointError(f"checkpoint {path}: damaged: fetch it again") from error
    if not isinstance(state, dict) or not all(
        isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in state.items()
    ):
        raise CheckpointError(f"checkpoint {path}: not a table of named tensors: save model.state_dict()")
    # A view can be larger than its storage.
    if sum(tensor.nbytes for tensor in state.values()) > path.stat().st_size:
        raise CheckpointError(f"checkpoint {path}: tensors are larger than the file: refused")
    return dict(state)


def _require_regular(path: Path) -> None:
    try:
        regular = stat.S_ISREG(path.stat().st_mode)
    except OSError as error:
        raise CheckpointError(f"checkpoint {path}: {error.strerror}: add the file") from error
    if not regular:
        raise CheckpointError(f"checkpoint {path}: not a regular file: give a file")


def _check_sizes(config: Mapping[str, Any], where: Path) -> None:
    for key, value in config.items():
        if key.startswith("_"):  # a remark of diffusers
            continue
        numbers = list(_numbers(value))
        bound = _MAX_LAYERS.get(key, _MAX_SIZE)
        if isinstance(value, list) and len(value) > _MAX_BLOCKS:
            raise CheckpointError(f"checkpoint {where}: {key}: {len(value)} entries: at most {_MAX_BLOCKS}")
        if numbers and max(numbers) > bound:
            raise CheckpointError(f"checkpoint {where}: {key}: {max(numbers):g}: at most {bound}")


def _numbers(value: object) -> Iterable[float]:
    if isinstance(value, list):
        for item in value:
            yield from _numbers(item)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield abs(value)


def _current_names(model: nn.Module, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    if isinstance(model, AutoencoderKL):
        return {_renamed(name): tensor for name, tensor in state.items()}
    if isinstance(model, CLIPVisionModelWithProjection):
        # Files of older versions of transformers contain this constant.
        return {name: tensor for name, tensor in state.items() if not name.endswith(".position_ids")}
    return dict(state)


def _renamed(name: str) -> str:
    module, _, parameter = name.rpartition(".")
    parent, _, old = module.rpartition(".")
    return f"{parent}.{_OLD_ATTENTION[old]}.{parameter}" if old in _OLD_ATTENTION else name


def _compare(model: nn.Module, state: Mapping[str, torch.Tensor], where: Path) -> None:
    expected = model.state_dict()
    missing, unknown = sorted(expected.keys() - state.keys()), sorted(state.keys() - expected.keys())
    common = expected.keys() & state.keys()
    reshaped = sorted(name for name in common if expected[name].shape != state[name].shape)
    for problem, names in (("missing", missing), ("unknown", unknown), ("of another shape", reshaped)):
        if names:
            raise CheckpointError(
                f"checkpoint {where}: {len(names)} keys {problem}, the first is {names[0][:100]}: "
                "take weights and configuration of the same model"
            )


def _fill_positions(model: nn.Module) -> None:
    """Compute the only buffer that is not saved: the position numbers of CLIP."""
    for name, buffer in list(model.named_buffers()):
        parent, _, attribute = name.rpartition(".")
        if buffer.is_meta and attribute == "position_ids":
            positions = torch.arange(buffer.shape[-1])[None]
            model.get_submodule(parent).register_buffer(attribute, positions, persistent=False)
