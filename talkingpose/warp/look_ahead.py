"""Torso of driving poses, smoothed without lag by looking ahead."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from talkingpose.pose.keypoints import validate
from talkingpose.warp.skeleton import TORSO, present

_SIGMA_S = 0.2
# A pose is yielded when those of the next REACH_S seconds are known.
REACH_S = 0.4


def with_steady_torso(poses: Iterable[npt.NDArray[Any]], fps: float) -> Iterator[npt.NDArray[Any]]:
    """Yield each pose with the torso averaged over the poses around it, with Gaussian weights.

    Shoulders and hips move slowly and are found with an error that changes from frame to frame. A causal
    filter trades this noise for lag. The first pose is averaged, too: where it is the pose of the portrait,
    its error would displace every frame. At both ends the poses are mirrored.

    Args:
        poses: (133, 3) each: x, y, confidence; zeros for a missing point.
        fps: frames per second.

    Raises:
        PoseError: invalid keypoints.
    """
    reach = round(REACH_S * fps)
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (offsets / (_SIGMA_S * fps)) ** 2)
    rows = list(TORSO)
    source, waiting = iter(poses), deque[npt.NDArray[Any]]()
    torsos: list[npt.NDArray[np.float64]] = []
    index, ended = 0, False
    while True:
        while not ended and len(torsos) <= index + reach:
            pose = next(source, None)
            if pose is None:
                ended = True
            else:
                validate(pose, "driving keypoints")
                waiting.append(pose)
                torsos.append(np.column_stack([pose[rows, :2], present(pose)[rows]]).astype(np.float64))
        if not waiting:
            return
        around = np.stack([torsos[i] for i in _mirrored(index + offsets, len(torsos))])
        shares = weights[:, None] * around[..., 2]
        total = shares.sum(axis=0)
        mean = (shares[..., None] * around[..., :2]).sum(axis=0) / np.maximum(total, 1e-9)[:, None]
        steady = np.array(waiting.popleft())
        found = torsos[index][:, 2] > 0
        steady[rows, :2] = np.where(found[:, None], mean, steady[rows, :2])
        yield steady
        index += 1


def _mirrored(indices: npt.NDArray[np.int64], number: int) -> npt.NDArray[np.int64]:
    """Return indices in [0, number), mirrored at both ends."""
    folded = indices % (2 * number)
    return np.where(folded < number, folded, 2 * number - 1 - folded)
