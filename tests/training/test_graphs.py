"""Replayed kernels train as launched ones do; runs where there is a GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from talkingpose.training.config import checked
from talkingpose.training.denoiser import DenoiserTask
from talkingpose.training.graphs import GraphedModel
from talkingpose.training.loop import train
from talkingpose.training.models import build_parts
from talkingpose.training.samples import Samples, batches
from tests.training.conftest import awake

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.fixture(autouse=True)
def exact() -> Any:
    """Convolutions and products in whole float32, as on a CPU."""
    before = torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()
    torch.backends.cudnn.allow_tf32 = False
    torch.set_float32_matmul_precision("highest")
    yield
    torch.backends.cudnn.allow_tf32 = before[0]
    torch.set_float32_matmul_precision(before[1])


def test_gradients_are_those_of_launched_kernels(content: dict[str, Any]) -> None:
    """For batches of two shapes in turn: with and without a sample that goes without its portrait."""
    config = checked(content | {"batch_size": 4, "diffusion": {"condition_dropout": 0.1}}, "test")
    device = torch.device("cuda")
    task = DenoiserTask(config, build_parts(config), device)
    awake(task.model).to(device)
    samples = Samples(config, *task.weight_map())
    batch = next(batches(samples, config, 0, 0, 1))
    graphed = GraphedModel(task.model)
    shapes = set()
    for seed in range(12):
        found = []
        for model in (task.model, graphed):
            task.model.zero_grad()
            loss = task.loss(model, batch, samples, torch.Generator().manual_seed(seed))
            loss.backward()
            grads = {n: p.grad.clone() for n, p in task.model.named_parameters() if p.grad is not None}
            found.append((loss.item(), grads))
        (expected, launched), (value, replayed) = found
        assert value == pytest.approx(expected, rel=1e-4)
        assert launched.keys() == replayed.keys()
        for name, gradient in launched.items():
            assert torch.allclose(replayed[name], gradient, rtol=1e-2, atol=1e-4), name
        shapes = set(graphed._recorded)
    assert len(shapes) == 2


def test_a_training_is_the_same(content: dict[str, Any], tmp_path: Path) -> None:
    ends = []
    for graphs in (False, True):
        out = tmp_path / str(graphs)
        train(checked(content | {"cuda_graphs": graphs, "out": str(out), "steps": 6}, "test"))
        lines = (out / "loss.csv").read_text().splitlines()[1:]
        ends.append([float(line.split(",")[1]) for line in lines])
    assert ends[1] == pytest.approx(ends[0], rel=1e-2)
