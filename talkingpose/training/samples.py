"""Sample number n of a training as a function of n: the same for any number of workers, resumed or not."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from talkingpose.training.config import TrainConfig
from talkingpose.training.groups import FrameGroup, make_group, random_stream, region_weights
from talkingpose.training.pool import GroupPool
from talkingpose.training.source import FrameSource, open_source

Sample = dict[str, torch.Tensor]

# Groups whose frames stand side by side in the batches of stage vae.
_INTERLEAVED = 4


class Samples(Dataset[Sample]):
    """Pairs of frames (stage denoiser) or single frames (stage vae).

    A sample holds `reference`, `target`, `pose` uint8 (3, S, S), `weight` float32 (1, h, h), `pair`, the
    number of its portrait (samples of one `pair` share it), and `group`, `portrait`, `frame`, the places of
    the two pictures in the pool (-1 without one).

    Args:
        config: of the training.
        weight_size: h, the side of the weight map.
        weights: how much faces and hands count.
    """

    def __init__(self, config: TrainConfig, weight_size: int, weights: tuple[float, float]) -> None:
        self._config, self._weight_size, self._weights = config, weight_size, weights
        self._source = open_source(config.source.name, config.source.options)
        self._order = (-1, np.empty(0, np.int64))
        self._made: tuple[int, FrameGroup] | None = None
        self.pool: GroupPool | None = None
        if config.pool:
            key = {
                "seed": config.seed,
                "size": config.size,
                "source": config.source.model_dump(mode="json", exclude={"validation"}),
                "revision": self._source.revision,
                "augmentation": config.augmentation.model_dump(mode="json"),
                "groups": config.pool.groups,
                "frames": config.pool.frames,
            }
            shape = (config.pool.groups, config.pool.frames, config.size)
            self.pool = GroupPool(config.pool.folder, key, *shape)

    @property
    def source(self) -> FrameSource:
        """Where the frames come from."""
        return self._source

    def __getitem__(self, number: int) -> Sample:
        config = self._config
        shared = config.targets_per_portrait
        pair, target = divmod(number, shared)
        rng = random_stream(config.seed, "pair", pair)
        if config.pool is None:
            index = -1
            group = self._fresh_group(pair, 2 * shared)
            portrait, frame = _choose(group, shared, rng)[target]
        elif config.stage == "denoiser":
            index = self._shuffled(pair, config.pool.groups)
            group = self.group(index)
            portrait, frame = _choose(group, shared, rng)[target]
        else:
            # Every frame of a group soon after it was made, so that making does not hold up the training.
            turn, frame = divmod(number // _INTERLEAVED, config.pool.frames)
            index = self._shuffled(turn * _INTERLEAVED + number % _INTERLEAVED, config.pool.groups)
            group, portrait = self.group(index), frame
        return make_sample(group, portrait, frame, index, pair, self._weight_size, self._weights)

    def group(self, index: int) -> FrameGroup:
        """Group of the pool, made now if it is not there yet."""
        assert self.pool is not None and self._config.pool is not None
        group = self.pool.get(index)
        if group is None:
            group = self._make(index, index % len(self._source), self._config.pool.frames)
            self.pool.put(index, group)
        return group

    def _fresh_group(self, pair: int, count: int) -> FrameGroup:
        """Group of a pair without a pool; kept for the samples that follow and share it."""
        if self._made is None or self._made[0] != pair:
            self._made = (pair, self._make(pair, self._shuffled(pair, len(self._source)), count))
        return self._made[1]

    def _make(self, number: int, clip: int, count: int) -> FrameGroup:
        rng = random_stream(self._config.seed, "group", number)
        return make_group(self._source, clip, count, self._config.size, self._config.augmentation, rng)

    def _shuffled(self, number: int, length: int) -> int:
        """Every group once, then every group once more in another order, and so on."""
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
    places = {"group": index, "portrait": portrait, "frame": frame, "pair": pair}
    return {
        "reference": _tensor(group.images[portrait]),
        "target": _tensor(group.images[frame]),
        "pose": _tensor(group.poses[frame]),
        "weight": torch.from_numpy(weight)[None],
        **{name: torch.tensor(value) for name, value in places.items()},
    }


def validation_samples(config: TrainConfig, weight_size: int) -> Sample:
    """The fixed validation set, without augmentation, as one batch."""
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
    """Micro-batches from `first_step` to the last step; sample numbers depend on the step alone."""
    width = config.batch_size
    # More processes than cores only get in each other's way; their number does not change a sample.
    workers = min(config.workers, max(1, len(os.sched_getaffinity(0)) - 1))
    numbers = (
        [((step * config.accumulate + micro) * processes + process) * width + i for i in range(width)]
        for step in range(first_step, config.steps)
        for micro in range(config.accumulate)
    )
    loader: DataLoader[Sample] = DataLoader(
        samples,
        batch_sampler=numbers,  # type: ignore[arg-type]
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        worker_init_fn=_one_thread,
    )
    return iter(loader)


def _one_thread(_worker: int) -> None:
    import cv2

    cv2.setNumThreads(0)
    torch.set_num_threads(1)


def _choose(group: FrameGroup, targets: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Draw one portrait and `targets` different targets; returns their pairs."""
    count = len(group.images)
    if group.separate:
        portrait = int(rng.integers(count // 2))
        frames = rng.choice(np.arange(count // 2, count), targets, replace=False)
    else:
        portrait, *frames = rng.choice(count, 1 + targets, replace=False)
    return [(int(portrait), int(frame)) for frame in frames]


def _tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)
