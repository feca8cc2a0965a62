"""Training samples: sample n is a function of n, for any number of workers, resumed or not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from talkingpose.io.image import Image
from talkingpose.training.config import TrainConfig
from talkingpose.training.data.groups import FrameGroup, make_group, random_stream, region_weights
from talkingpose.training.data.pool import GroupPool
from talkingpose.training.data.source import FrameSource, open_source

Sample = dict[str, torch.Tensor]

# Number of groups whose frames alternate in the batches of stage vae.
_INTERLEAVED = 4


class Samples(Dataset[Sample]):
    """Pairs of frames (stage denoiser) or single frames (stage vae).

    A sample has `reference`, `target`, `pose` uint8 (3, S, S), `weight` float32 (1, h, h), `keypoints` of the
    target float32 (133, 3), `pair`, the number
    of its portrait (common to the samples with this portrait), and `group`, `portrait`, `frame`, the
    positions of the two pictures in the pool (-1 without one).

    Args:
        config: of the training.
        weight_size: h, the side of the weight map.
        weights: of faces and hands.
    """

    def __init__(self, config: TrainConfig, weight_size: int, weights: tuple[float, float]) -> None:
        self._config, self._weight_size, self._weights = config, weight_size, weights
        self.source: FrameSource = open_source(config.source.name, config.source.options)
        self._order = (-1, np.empty(0, np.int64))
        self._latest: tuple[int, FrameGroup] | None = None
        self.pool: GroupPool | None = None
        if config.pool:
            key = {
                "seed": config.seed,
                "size": config.size,
                "source": config.source.model_dump(mode="json", exclude={"validation"}),
                "revision": self.source.revision,
                "augmentation": config.augmentation.model_dump(mode="json"),
                "groups": config.pool.groups,
                "frames": config.pool.frames,
            }
            shape = (config.pool.groups, config.pool.frames, config.size)
            self.pool = GroupPool(config.pool.folder, key, *shape)

    def __getitem__(self, number: int) -> Sample:
        config = self._config
        shared = config.targets_per_portrait
        pair, target = divmod(number, shared)
        rng = random_stream(config.seed, "pair", pair)
        if config.pool is None:
            index = -1
            group = self._fresh_group(pair, 2 * shared)
            portrait, frame = _choose(group, shared, rng)[target]
        elif config.stage != "vae":
            index = self._shuffled(pair, config.pool.groups)
            group = self.group(index)
            portrait, frame = _choose(group, shared, rng)[target]
        else:
            # All frames of a group soon after it was made, so that few groups are made at a time.
            turn, frame = divmod(number // _INTERLEAVED, config.pool.frames)
            index = self._shuffled(turn * _INTERLEAVED + number % _INTERLEAVED, config.pool.groups)
            group, portrait = self.group(index), frame
        return make_sample(group, portrait, frame, index, pair, self._weight_size, self._weights)

    def group(self, index: int) -> FrameGroup:
        """Return a group of the pool, made now if it is not in the pool yet."""
        assert self.pool is not None and self._config.pool is not None
        group = self.pool.get(index)
        if group is None:
            group = self._make(index, index % len(self.source), self._config.pool.frames)
            self.pool.put(index, group)
        return group

    def _fresh_group(self, pair: int, count: int) -> FrameGroup:
        """Return the group of a pair without a pool; kept for the next samples, which share it."""
        if self._latest is None or self._latest[0] != pair:
            clip = self._shuffled(pair, len(self.source))
            self._latest = (pair, self._make(pair, clip, count))
        return self._latest[1]

    def _make(self, number: int, clip: int, count: int) -> FrameGroup:
        rng = random_stream(self._config.seed, "group", number)
        return make_group(self.source, clip, count, self._config.size, self._config.augmentation, rng)

    def _shuffled(self, number: int, length: int) -> int:
        """Return item `number` of an endless series of permutations of `length` items."""
        epoch, position = divmod(number, length)
        if self._order[0] != epoch:
            self._order = (epoch, random_stream(self._config.seed, "epoch", epoch).permutation(length))
        return int(self._order[1][position])


def make_sample(
    group: FrameGroup,
    portrait: int,
    frame: int,
    index: int,
    pair: int,
    weight_size: int,
    weights: tuple[float, float],
) -> Sample:
    """Take portrait and target out of a group; see `Samples`."""
    weight = region_weights(group.keypoints[frame], weight_size, *weights)
    positions = {"group": index, "portrait": portrait, "frame": frame, "pair": pair}
    return {
        "reference": _tensor(group.images[portrait]),
        "target": _tensor(group.images[frame]),
        "pose": _tensor(group.poses[frame]),
        "weight": torch.from_numpy(weight)[None],
        "keypoints": torch.from_numpy(np.array(group.keypoints[frame], np.float32)),
        **{name: torch.tensor(value) for name, value in positions.items()},
    }


def validation_samples(config: TrainConfig, weight_size: int) -> Sample:
    """Return the fixed validation set, without augmentation, as one batch."""
    source = open_source(config.source.name, config.source.options | config.source.validation)
    samples = []
    for number in range(config.validation.samples):
        rng = random_stream(config.seed, "validation", number)
        group = make_group(source, number % len(source), 2, config.size, None, rng)
        samples.append(make_sample(group, 0, 1, -1, number, weight_size, (1.0, 1.0)))
    return {name: torch.stack([sample[name] for sample in samples]) for name in samples[0]}


def batches(
    samples: Samples, config: TrainConfig, first_step: int, process: int, processes: int
) -> Iterator[Sample]:
    """Yield micro-batches from `first_step` to the last step; sample numbers depend on the step only."""
    width = config.batch_size
    # More workers than cores are slower; their number does not change a sample.
    workers = min(config.workers, max(1, _num_cores() - 1))
    numbers: Any = (
        [((step * config.accumulate + micro) * processes + process) * width + i for i in range(width)]
        for step in range(first_step, config.steps)
        for micro in range(config.accumulate)
    )
    loader: DataLoader[Sample] = DataLoader(
        samples,
        batch_sampler=numbers,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        worker_init_fn=_use_one_thread,
    )
    return iter(loader)


def _num_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _use_one_thread(_worker: int) -> None:
    import cv2

    cv2.setNumThreads(0)
    torch.set_num_threads(1)


def _choose(group: FrameGroup, targets: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Draw one portrait and `targets` different targets; return their pairs."""
    count = len(group.images)
    if group.separate:
        portrait = int(rng.integers(count // 2))
        frames = [int(frame) for frame in rng.choice(np.arange(count // 2, count), targets, replace=False)]
    else:
        portrait, *frames = (int(frame) for frame in rng.choice(count, 1 + targets, replace=False))
    return [(portrait, frame) for frame in frames]


def _tensor(image: Image) -> torch.Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)
