"""Control: the portrait at every step. What a model must beat to be said to move."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from baselines.arguments import no_checkpoint
from talkingpose.data.contestant import Case, ContestantInfo, Image, running


class FrozenControl:
    """Yields the reference of each case, unchanged."""

    def __init__(self, *, checkpoint: str | None, device: str) -> None:
        no_checkpoint("frozen", checkpoint)
        self.info = ContestantInfo(
            name="frozen",
            revision="1",
            parameters=0,
            licence="Apache-2.0",
            window=1,
            batch_size=8,
            control=True,
        )

    def animate(self, cases: Sequence[Case], *, seed: int) -> Iterator[list[Image]]:
        """The portraits of the cases that still run, at every time step."""
        for step in itertools.count():
            alive = running(cases, step)
            if not alive:
                return
            yield [cases[index].reference for index in alive]
