"""Small ONNX models with the inputs and outputs of DWPose's two, whose answers can be foretold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

_GRID = 20  # cells of stride 32 in 640 pixels
_FIRST = 80 * 80 + 40 * 40
CHAIR = 56


def write_detector(path: Path, boxes: list[tuple[float, float, float, float, int]]) -> Path:
    """YOLOX for 640 x 640: sees `boxes` (centre x, y, width, height, class) unless the picture is black.

    The answer is raw as YOLOX's is: offsets within a cell of the grid, logarithms of sizes, scores.
    """
    answer = np.zeros((1, 8400, 85), np.float32)
    for x, y, width, height, kind in boxes:
        column, row = int(x // 32), int(y // 32)
        cell = answer[0, _FIRST + row * _GRID + column]
        cell[:5] = x / 32 - column, y / 32 - row, np.log(width / 32), np.log(height / 32), 1
        cell[5 + kind] = 0.9
    nodes = [
        helper.make_node("ReduceMean", ["input"], ["mean"], keepdims=0),
        helper.make_node("Div", ["mean", "full"], ["share"]),
        helper.make_node("Clip", ["share", "zero", "one"], ["light"]),
        helper.make_node("Ceil", ["light"], ["seen"]),
        helper.make_node("Mul", ["answer", "seen"], ["output"]),
    ]
    constants = {"full": 255.0, "zero": 0.0, "one": 1.0, "answer": answer}
    return _save(path, nodes, constants, (1, 3, 640, 640), {"output": (1, 8400, 85)})


def write_pose(path: Path, points: int = 133) -> Path:
    """SimCC for 288 x 384: every point lies where the first channel (blue) is brightest."""
    nodes, outputs = [], {}
    for name, axis, length in (("simcc_x", 2, 288), ("simcc_y", 3, 384)):
        nodes += [
            helper.make_node("Slice", ["input", "first", "second", "channel"], [f"{name}_blue"]),
            helper.make_node("ReduceMax", [f"{name}_blue"], [f"{name}_line"], axes=[axis], keepdims=0),
            helper.make_node("Reshape", [f"{name}_line", f"{name}_column"], [f"{name}_thin"]),
            helper.make_node("Tile", [f"{name}_thin", "twice"], [f"{name}_wide"]),
            helper.make_node("Reshape", [f"{name}_wide", f"{name}_row"], [f"{name}_long"]),
            helper.make_node("Mul", [f"{name}_long", "scale"], [f"{name}_scaled"]),
            helper.make_node("Tile", [f"{name}_scaled", "points"], [name]),
        ]
        outputs[name] = (1, points, 2 * length)
    constants = {
        "first": np.array([0]), "second": np.array([1]), "channel": np.array([1]),
        "twice": np.array([1, 1, 2]), "points": np.array([1, points, 1]), "scale": 0.25,
        "simcc_x_column": np.array([1, 288, 1]), "simcc_x_row": np.array([1, 1, 576]),
        "simcc_y_column": np.array([1, 384, 1]), "simcc_y_row": np.array([1, 1, 768]),
    }  # fmt: skip
    return _save(path, nodes, constants, (1, 3, 384, 288), outputs)


def _save(path, nodes, constants, size, outputs) -> Path:
    values = {
        name: np.asarray(value, np.float32) if isinstance(value, float) else value
        for name, value in constants.items()
    }
    graph = helper.make_graph(
        nodes,
        "stand-in",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, size)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in values.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))
    return path
