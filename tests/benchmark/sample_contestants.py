"""Contestants of a third party, valid and faulty, named as `sample_contestants:Class`."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence

import numpy as np

from talkingpose.data.contestant import Case, ContestantInfo, case_seed, running
from talkingpose.io.image import Image


class Noise:
    """The portrait with noise from the seed of the case; `sleep` seconds per step."""

    needs_driving_frames = False

    def __init__(self, *, checkpoint: str | None, device: str, sleep: str = "0", strength: str = "9") -> None:
        self._sleep, self._strength = float(sleep), int(strength)
        self.info = ContestantInfo(
            name=type(self).__name__.lower(),
            revision="1",
            parameters=3,
            licence="MIT",
            batch_size=2,
            needs_driving_frames=self.needs_driving_frames,
            args={"strength": self._strength},
        )

    def animate(self, cases: Sequence[Case], *, seed: int) -> Iterator[list[Image]]:
        generators = [np.random.default_rng(case_seed(seed, case.clip_id)) for case in cases]
        for step in itertools.count():
            alive = running(cases, step)
            if not alive:
                return
            time.sleep(self._sleep)
            yield [self.frame(cases[i], generators[i], step) for i in alive]

    def frame(self, case: Case, generator: np.random.Generator, step: int) -> Image:
        noise = generator.integers(-self._strength, self._strength + 1, case.reference.shape)
        return (case.reference + noise).clip(0, 255).astype(np.uint8)


class WrongSizeOnce(Noise):
    """One frame of each clip whose id ends in b is too small."""

    def frame(self, case: Case, generator: np.random.Generator, step: int) -> Image:
        image = super().frame(case, generator, step)
        return image[:-8] if case.clip_id.endswith("b") and step == 7 else image


class FloatFrames(Noise):
    """Frames in [0, 1] instead of uint8."""

    def frame(self, case: Case, generator: np.random.Generator, step: int) -> Image:
        return super().frame(case, generator, step) / np.float32(255)


class TooFew(Noise):
    """Stops three frames early."""

    def animate(self, cases: Sequence[Case], *, seed: int) -> Iterator[list[Image]]:
        return itertools.islice(super().animate(cases, seed=seed), max(c.num_frames for c in cases) - 3)


class TooMany(Noise):
    """Yields a frame after the last one."""

    def animate(self, cases: Sequence[Case], *, seed: int) -> Iterator[list[Image]]:
        yield from super().animate(cases, seed=seed)
        yield [cases[0].reference]


class TwoForOne(Noise):
    """Yields two frames for each clip."""

    def animate(self, cases: Sequence[Case], *, seed: int) -> Iterator[list[Image]]:
        return (images * 2 for images in super().animate(cases, seed=seed))


class Raises(Noise):
    """Fails at frame 5 of each clip whose id ends in a, and its batch with it."""

    def frame(self, case: Case, generator: np.random.Generator, step: int) -> Image:
        if case.clip_id.endswith("a") and step == 5:
            raise RuntimeError("out of\nmemory")
        return super().frame(case, generator, step)


class RaisesAtOnce(Noise):
    """Fails before it returns an iterator."""

    def animate(self, cases: Sequence[Case], *, seed: int) -> Iterator[list[Image]]:
        raise RuntimeError("no kernel")


class NoInfo:
    """Not a contestant."""

    def __init__(self, *, checkpoint: str | None, device: str) -> None:
        self.info = "none"


class FailsOnB(Noise):
    """Fails on each clip whose id ends in b."""

    def frame(self, case: Case, generator: np.random.Generator, step: int) -> Image:
        if case.clip_id.endswith("b"):
            raise RuntimeError("out of memory")
        return super().frame(case, generator, step)


class FrameReader(Noise):
    """Asks for driving frames and shows the centre of each, of the size of the case."""

    def __init__(self, *, checkpoint: str | None, device: str, frames: str = "all") -> None:
        self._sleep, self._strength = 0.0, 0
        self._readers: dict[str, Iterator[Image]] = {}
        self.info = ContestantInfo(
            name="frame-reader",
            revision="1",
            parameters=0,
            licence="MIT",
            driving_frames=frames,  # type: ignore[arg-type]
            backbone="svd",
            args={"frames": frames},
        )

    def frame(self, case: Case, generator: np.random.Generator, step: int) -> Image:
        if case.clip_id not in self._readers:
            assert case.driving_frames is not None
            self._readers[case.clip_id] = iter(case.driving_frames)
        image = next(self._readers[case.clip_id])
        top, left = (image.shape[0] - case.height) // 2, (image.shape[1] - case.width) // 2
        return np.ascontiguousarray(image[top : top + case.height, left : left + case.width])
