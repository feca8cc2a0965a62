"""Control: the portrait at every step. The scores of a model that does not move."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from baselines.arguments import no_checkpoint
from talkingpose.data.contestant import Case, ContestantInfo, running
from talkingpose.io.image import Image


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
        """Yield the portraits of the running cases."""
        for step in itertools.count():
            alive = running(cases, step)
            if not alive:
                return
            yield [cases[index].reference for index in alive]
