"""CUDA graphs for training: a small model waits for the launches of its thousands of kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn


class GraphedModel:
    """A module whose forward and backward pass are replayed, recorded once per combination of shapes.

    The same kernels on the same numbers, launched at once. Gradients lie in the memory of the graph and are
    overwritten by the next pass, so they cannot be accumulated over several.

    Args:
        module: in training, on a GPU, without hooks.
    """

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._recorded: dict[tuple[torch.Size, ...], Callable[..., Any]] = {}

    def __call__(self, *tensors: torch.Tensor) -> Any:
        """Call the module; types must not change from one call to the next."""
        shapes = tuple(tensor.shape for tensor in tensors)
        if shapes not in self._recorded:
            # The recording keeps what it is given as its inputs, hence copies; what it puts in the place of
            # the module's own `forward` is taken out again, so that other shapes are not recorded through it.
            copies = tuple(tensor.clone() for tensor in tensors)
            torch.cuda.make_graphed_callables(self._module, copies, allow_unused_input=True)
            self._recorded[shapes] = vars(self._module).pop("forward")
        return self._recorded[shapes](*tensors)
