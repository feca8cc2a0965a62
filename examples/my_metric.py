"""Two metrics of your own for tp-eval.

Copy this file into a package of your own and register the classes in its pyproject.toml:

    [project.entry-points."talkingpose.metrics"]
    edge_error = "my_metric:EdgeError"
    worst_frame = "my_metric:WorstFrame"

After `pip install` of that package, `tp-eval ls metrics` lists them, and

    from benchmark import score
    score(real, generated, metrics=["edge_error", "worst_frame"])

computes them. `tp-eval --protocol tp-long+edge_error@2 ...` adds one to a protocol; a protocol file of your
own can name it too. The version is part of the protocol's hash.
"""

from __future__ import annotations

import numpy as np

from benchmark.metrics import CaseScore, CaseShape, FrameMean, FrameWindow, MetricSpec


class EdgeError:
    """The short form: a function scores each frame, and the clip has the mean."""

    spec = MetricSpec(
        id="edge_error",  # the name of the entry point
        version=1,  # raise it whenever the numbers change
        unit="level",
        direction="lower",
        scope="frame",
        lookback=0,
        definition=(
            "Mean over frames, pixels and RGB channels of |dg - dr|, d the difference of a pixel and its "
            "right neighbour, uint8 values. Range 0 to 510."
        ),
        source="own, an example",
        blind_spots="a constant change of brightness or colour; the motion and order of frames",
    )

    def start(self, case: CaseShape) -> FrameMean:
        """Begin a clip."""
        return FrameMean(self.spec, edge_error, without="the clip has no frame")


def edge_error(window: FrameWindow) -> float:
    """Return the score of the newest pair of frames, uint8 RGB (H, W, 3)."""
    real, generated = (
        np.diff(frame.astype(np.int16), axis=1) for frame in (window.real(), window.generated())
    )
    return float(np.abs(generated - real).mean())


class WorstFrame:
    """The long form: a state of its own receives every pair of frames and returns the score of the clip."""

    spec = MetricSpec(
        id="worst_frame",
        version=1,
        unit="level",
        direction="lower",
        scope="clip",
        lookback=0,
        definition="Maximum over frames of the mean absolute difference of uint8 values. Range 0 to 255.",
        source="own, an example",
        blind_spots="every frame but the worst",
    )

    def start(self, case: CaseShape) -> WorstFrameState:
        """Begin a clip."""
        return WorstFrameState()


class WorstFrameState:
    """Running maximum."""

    def __init__(self) -> None:
        self._worst = 0.0
        self._frames = 0

    def update(self, window: FrameWindow) -> float | None:
        """Add the newest pair; a frame has no score, because the scope is `clip`."""
        difference = window.generated().astype(np.int16) - window.real()
        self._worst = max(self._worst, float(np.abs(difference).mean()))
        self._frames += 1
        return None

    def finish(self) -> CaseScore:
        """Return the score of the clip. A score that does not exist is None, with a state and a reason."""
        return CaseScore(value=self._worst, n_frames=self._frames, state="ok")
