"""Settings of a run."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from talkingpose.data.contestant import FramesSeen

DEFAULT_TIMEOUT_S = 900.0


@dataclass(frozen=True)
class RunSettings:
    """Options of `tp-eval run` and `tp-eval score`; `benchmark/default.yaml` describes them.

    If `predictions`, a folder of finished videos, is set, `model` is the name to show, `revision` the
    revision of the model that made them, `driving_frames` what it saw of the driving clip, `backbone` what it
    is built on, and `prediction_map` the CSV that names the videos. `shard` is (index, count), from 1;
    `worker` is the same among the processes of a shard, which share a queue of batches. `in_process` is None
    for the default: bundled controls in the evaluator's process, everything else in a process of its own.

    `smoke` allows fewer frames than the protocol requires; such a run is not comparable.
    """

    model: str
    dataset: str
    out: Path
    checkpoint: str | None = None
    model_args: Mapping[str, str] = field(default_factory=dict)
    split: str | None = None
    protocol: str = "tp-long@2"
    limit: int | None = None
    max_frames: int | None = None
    seed: int = 0
    device: str = "auto"
    batch_size: int | None = None
    fresh: bool = False
    predictions: Path | None = None
    revision: str | None = None
    prediction_map: Path | None = None
    driving_frames: FramesSeen = "none"
    backbone: str | None = None
    shard: tuple[int, int] | None = None
    worker: tuple[int, int] | None = None
    keep_frames: bool = False
    codec_run: Path | None = None
    in_process: bool | None = None
    timeout_s: float = DEFAULT_TIMEOUT_S
    smoke: bool = False

    @property
    def comparable(self) -> bool:
        """True if all clips and frames are used, so that the run can be ranked."""
        return self.limit is None and self.max_frames is None

    def command(self) -> str:
        """Return the command line that repeats the run in one process."""
        given = self.predictions is not None
        options = {
            "--predictions": self.predictions,
            "--name" if given else "--model": self.model,
            "--map": self.prediction_map,
            "--revision": self.revision,
            "--driving-frames": self.driving_frames if self.driving_frames != "none" else None,
            "--backbone": self.backbone,
            "--checkpoint": self.checkpoint,
            "--model-args": ",".join(f"{key}={value}" for key, value in self.model_args.items()) or None,
            "--dataset": self.dataset,
            "--split": self.split,
            "--protocol": self.protocol,
            "--limit": self.limit,
            "--max-frames": self.max_frames,
            "--seed": self.seed,
            "--device": self.device,
            "--batch-size": self.batch_size,
            "--codec-run": self.codec_run,
            "--out": self.out,
        }
        words = [word for key, value in options.items() if value is not None for word in (key, str(value))]
        flags = ["--keep-frames"] * self.keep_frames + ["--in-process"] * bool(self.in_process)
        flags += ["--smoke"] * self.smoke
        return shlex.join(["tp-eval", *(["score"] if given else []), *words, *flags])
