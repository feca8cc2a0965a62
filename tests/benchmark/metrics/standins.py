"""Small networks in the file formats of the real ones, and a lock file that demands them."""

from __future__ import annotations

import hashlib
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import yaml
from onnx import TensorProto, helper, numpy_helper

from talkingpose.weights import LOCK_FILE

# The stand-in of YuNet detects a magenta square (green up to 80) of this size as a face.
FACE_SIDE = 96
_LANDMARKS = ((-15, -10), (15, -10), (0, 5), (-12, 20), (12, 20))


def write_lock(folder: Path, files: dict[str, Path]) -> Path:
    """Write a copy of the project's lock file with sizes and hashes of these files."""
    entries = yaml.safe_load(LOCK_FILE.read_text("utf-8"))
    for entry in entries:
        if entry["id"] in files:
            data = files[entry["id"]].read_bytes()
            entry |= {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    path = folder / "weights.lock.yaml"
    path.write_text(yaml.safe_dump(entries), "utf-8")
    return path


def write_yunet(path: Path) -> None:
    """Write a detector with the interface of YuNet 2023mar that finds magenta over 32 x 32 pixels."""
    nodes, constants, outputs = [], [], []

    def conv(name: str, source: str, weights: Any, bias: Any) -> str:
        weights, bias = np.array(weights, np.float32), np.array(bias, np.float32)
        constants.extend(
            [
                numpy_helper.from_array(weights.reshape(len(bias), 3, 1, 1), f"{name}_w"),
                numpy_helper.from_array(bias, f"{name}_b"),
            ]
        )
        nodes.append(
            helper.make_node(
                "Conv", [source, f"{name}_w", f"{name}_b"], [f"{name}_conv"], kernel_shape=[1, 1]
            )
        )
        nodes.append(helper.make_node("Transpose", [f"{name}_conv"], [f"{name}_last"], perm=[0, 2, 3, 1]))
        shape = numpy_helper.from_array(np.array([1, -1, len(bias)], np.int64), f"{name}_shape")
        constants.append(shape)
        nodes.append(helper.make_node("Reshape", [f"{name}_last", f"{name}_shape"], [name]))
        return name

    for stride in (8, 16, 32):
        pooled = f"pool_{stride}"
        nodes.append(
            helper.make_node(
                "AveragePool", ["input"], [pooled], kernel_shape=[stride] * 2, strides=[stride] * 2
            )
        )
        # OpenCV gives BGR from 0 to 255. Only the widest stride detects anything.
        magenta = [[1 / 255, -2 / 255, 1 / 255]] if stride == 32 else [[0, 0, 0]]
        size = math.log(2 * FACE_SIDE / stride)
        points = [offset / stride for point in _LANDMARKS for offset in point]
        for name, weights, bias in (
            ("cls", magenta, [-0.4]),
            ("obj", [[0, 0, 0]], [1]),
            ("bbox", np.zeros((4, 3)), [0, 0, size, size]),
            ("kps", np.zeros((10, 3)), points),
        ):
            cells = (640 // stride) ** 2
            outputs.append((conv(f"{name}_{stride}", pooled, weights, bias), [1, cells, len(bias)]))
    _save(path, nodes, constants, ("input", [1, 3, 640, 640]), outputs)


def write_recogniser(path: Path, dimensions: int, names: tuple[str, str]) -> None:
    """Write a face recogniser, (1, 3, 112, 112) -> (1, dimensions), with random weights of mean 0."""
    generator = np.random.default_rng(dimensions)
    weights = generator.normal(0, 1, (3 * 14 * 14, dimensions)).astype(np.float32)
    weights -= weights.mean(axis=0)
    nodes = [
        helper.make_node("AveragePool", [names[0]], ["pooled"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weights", "bias"], [names[1]]),
    ]
    constants = [
        numpy_helper.from_array(weights, "weights"),
        numpy_helper.from_array(np.zeros(dimensions, np.float32), "bias"),
    ]
    _save(path, nodes, constants, (names[0], [1, 3, 112, 112]), [(names[1], [1, dimensions])])


def write_buffalo(path: Path, folder: Path) -> None:
    """Write the archive of InsightFace with only the network of ArcFace."""
    network = folder / "w600k_r50.onnx"
    write_recogniser(network, 512, ("input.1", "683"))
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(network, network.name)


def write_i3d(path: Path, dimensions: int = 400) -> None:
    """Write a TorchScript module with the interface of i3d_torchscript.pt, from pooled pixels to logits."""
    import torch

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.layer = torch.nn.Linear(3 * 4 * 7 * 7, dimensions)

        def forward(
            self, x: torch.Tensor, rescale: bool = True, resize: bool = True, return_features: bool = False
        ) -> torch.Tensor:
            assert not rescale and not resize and return_features
            pooled = torch.nn.functional.avg_pool3d(x, [4, 32, 32], [4, 32, 32])
            return self.layer(pooled.flatten(1))

    torch.jit.save(torch.jit.script(Network()), str(path))


def write_inception(path: Path) -> None:
    """Write the state of torch-fidelity's Inception with random weights."""
    import torch
    from torch_fidelity import feature_extractor_inceptionv3 as module

    torch.manual_seed(0)

    class Untrained(module.FeatureExtractorInceptionV3):  # type: ignore[misc]
        def load_state_dict(self, state_dict: Any, *args: Any, **options: Any) -> Any:
            return None

    torch.save({}, path)
    torch.save(Untrained("x", ["2048"], feature_extractor_weights_path=str(path)).state_dict(), path)


def _save(path: Path, nodes: Any, constants: Any, source: Any, outputs: Any) -> None:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs]
    entry = helper.make_tensor_value_info(source[0], TensorProto.FLOAT, source[1])
    graph = helper.make_graph(nodes, "standin", [entry], values, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)
    onnx.save(model, str(path))
