"""Scores of the codec control: the effect of content and compression on each metric over time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmark.errors import EvaluationError
from benchmark.protocols.protocol import Protocol
from benchmark.results import Run, read_run
from benchmark.run_dir import RunDir
from benchmark.runner.scorer import read_frame_scores

Floats = npt.NDArray[np.float64]


class CodecControl:
    """Complete run of the control that the protocol names, over the clips of another run.

    Args:
        path: folder of the run of the control.
        protocol: protocol of the other run.
        cases_sha256, max_frames: of the other run.

    Raises:
        EvaluationError: the control, the protocol or the clips differ, or the run is not complete.
        ResultError: there is no valid run.
    """

    def __init__(self, path: Path, protocol: Protocol, *, cases_sha256: str, max_frames: int | None) -> None:
        self._folder = RunDir(path)
        self.run: Run = read_run(path)
        problem = _problem(self.run, protocol, cases_sha256, max_frames)
        if problem is not None:
            raise EvaluationError(
                f"--codec-run {path}: {problem}: create it with tp-eval --model {protocol.drift.control} and "
                "the other options of this run"
            )

    def frame_scores(self, clip_id: str, metric: str) -> Floats:
        """Return the score of each frame, float64 (num_frames,), NaN where there is none."""
        return read_frame_scores(self._folder.frames(clip_id), metric)


def _problem(run: Run, protocol: Protocol, cases_sha256: str, max_frames: int | None) -> str | None:
    """Return why a run is not the control, None if it is."""
    checks = {
        f"it is a run of {run.contestant.name}": run.contestant.name == protocol.drift.control,
        "it used another protocol": run.protocol.sha256 == protocol.sha256(),
        "it has other clips": run.dataset.cases_sha256 == cases_sha256,
        "it has another --max-frames": run.max_frames == max_frames,
        f"it is {run.status}": run.status == "complete",
    }
    return next((problem for problem, fine in checks.items() if not fine), None)
