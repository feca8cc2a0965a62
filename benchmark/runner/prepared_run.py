"""A run before its first frame: protocol, dataset, plan and contestant, checked against one another."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmark.data.bundled import TP_MINI, open_dataset
from benchmark.errors import EvaluationError
from benchmark.metrics import AnyMetric
from benchmark.protocols.protocol import CrossProtocol, Protocol, load_protocol
from benchmark.run_dir import RunDir
from benchmark.runner.codec_control import CodecControl
from benchmark.runner.environment import project_version
from benchmark.runner.hosts.host import Host, InProcessHost
from benchmark.runner.hosts.isolation import IsolatedHost
from benchmark.runner.plan import PlannedCase, RunPlan, batches, case_key, plan_run, planning_rules
from benchmark.runner.predictions.case_map import read_case_map
from benchmark.runner.predictions.cases import inputs_hash
from benchmark.runner.predictions.folder import Predictions
from benchmark.runner.predictions.swapped import swapped_predictions
from benchmark.runner.run_settings import RunSettings
from benchmark.runner.summarize import metrics_under
from talkingpose.data.clips import ClipDataset
from talkingpose.data.contestant import FRAMES_SEEN, Contestant, ContestantInfo
from talkingpose.data.contestant_loading import checked_info, contestant_names, make_contestant
from talkingpose.pipeline.device import pick_device

# Their frames cost less than the way to another process: it would cost them 10 % and more of their frames per
# second on tp-mini (tests/perf/isolation.py).
_CONTROLS = frozenset(
    (
        "frozen",
        "ground-truth",
        "reencode",
        "lag",
        "drift",
        "brightness",
        "flicker",
        "late-blur",
        "paste-driver",
    )
)


# The only control of driving frames that means something across identities.
PASTE_DRIVER = "paste-driver"


@dataclass(frozen=True)
class PreparedRun:
    """Everything that is fixed before the first frame."""

    settings: RunSettings
    folder: RunDir
    device: str
    protocol: Protocol
    protocol_sha256: str
    metrics: Sequence[AnyMetric]
    dataset: ClipDataset
    plan: RunPlan
    host: Host
    predictions: Predictions | None
    control: CodecControl | None

    @property
    def info(self) -> ContestantInfo:
        """Info of the contestant, as read when it was created."""
        return self.host.info

    def key(self, case: PlannedCase) -> str:
        """Return the hash over everything that the numbers of a case depend on."""
        return case_key(
            case,
            protocol_sha256=self.protocol_sha256,
            contestant=self.info,
            metric_versions={metric.spec.id: metric.spec.version for metric in self.metrics},
            max_frames=self.settings.max_frames,
            project_version=project_version(),
            prediction=self.predictions.content(case.clip.clip_id) if self.predictions else None,
        )

    @property
    def is_alone(self) -> bool:
        """True if no other process may work in the folder."""
        return self.settings.shard is None and self.settings.worker is None

    def all_batches(self) -> list[tuple[PlannedCase, ...]]:
        """Return the batches of the whole run, in the same order in every process."""
        return list(batches(self.plan.cases, self.settings.batch_size or self.info.batch_size))

    def own_batches(self) -> range:
        """Return the numbers of the batches of this shard: every n-th, or all."""
        index, count = self.settings.shard or (1, 1)
        return range(index - 1, len(self.all_batches()), count)

    @property
    def own_cases(self) -> list[PlannedCase]:
        """Cases of the batches of this shard."""
        everything = self.all_batches()
        return [case for number in self.own_batches() for case in everything[number]]

    def first_line(self) -> str:
        """Describe the run in one line."""
        settings, plan = self.settings, self.plan
        named = settings.checkpoint or self.info.args.get("checkpoint")
        checkpoint = f" ({named})" if named else ""
        bundled = "bundled " if settings.dataset == TP_MINI else ""
        limits = " ".join(
            f"--{name} {value}"
            for name, value in (("limit", settings.limit), ("max-frames", settings.max_frames))
            if value is not None
        )
        clips = "clip" if len(plan.cases) == 1 else "clips"
        return (
            f"{self.info.name}{checkpoint}, protocol {self.protocol.name} ({self.protocol_sha256[:12]}), "
            f"{bundled}dataset {settings.dataset} ({plan.split}), {len(plan.cases)} {clips}, "
            f"{plan.num_frames} frames, seed {settings.seed}, {self.device}"
            + ("" if settings.comparable else f"; not comparable: {limits}")
        )


def prepare_run(settings: RunSettings, contestant: Contestant | None = None) -> PreparedRun:
    """Check the settings, plan the run and create the contestant; the cheap checks come first.

    Args:
        settings: of the run.
        contestant: an object to evaluate in this process; None creates the one that `settings` names.

    Raises:
        UserError: a setting, the dataset or the contestant cannot be used; nothing is written.
    """
    folder = RunDir(settings.out.absolute())
    folder.check()
    if settings.batch_size is not None and settings.batch_size < 1:
        raise EvaluationError(f"--batch-size {settings.batch_size}: give a number from 1")
    _check_shard(settings)
    protocol = load_protocol(settings.protocol)
    metrics = metrics_under(protocol)
    device = pick_device(settings.device)
    dataset = open_dataset(settings.dataset)
    plan = plan_run(
        dataset,
        planning_rules(protocol, settings.max_frames) if settings.smoke else protocol,
        split=settings.split,
        limit=settings.limit,
        max_frames=settings.max_frames,
        seed=settings.seed,
    )
    control = _codec_control(settings, protocol, plan)
    predictions = _predictions(settings, plan, dataset)
    host = _host(settings, device, predictions or contestant)
    try:
        _check_needs(host.info, settings, device, protocol)
    except BaseException:
        host.close()
        raise
    return PreparedRun(
        settings,
        folder,
        device,
        protocol,
        protocol.sha256(),
        metrics,
        dataset,
        plan,
        host,
        predictions,
        control,
    )


def make_host(
    name: str,
    *,
    checkpoint: str | None,
    device: str,
    args: dict[str, str],
    timeout_s: float,
    in_process: bool | None,
) -> Host:
    """Create a contestant in a process of its own, or in this one.

    Args:
        name, checkpoint, device, args: as in `make_contestant`.
        timeout_s: longest wait for another process, in seconds.
        in_process: None for the default: only bundled controls run in this process. A process of its own
            needs POSIX; elsewhere every contestant runs in this one.

    Raises:
        ContestantError: it cannot be created.
    """
    if in_process is None:
        in_process = _is_bundled_control(name)
    if in_process or os.name != "posix":
        return InProcessHost(*make_contestant(name, checkpoint=checkpoint, device=device, args=args))
    return IsolatedHost(name, checkpoint=checkpoint, device=device, args=args, timeout_s=timeout_s)


def importable_name(factory: object) -> str | None:
    """Return `module:Class` of a class that another process can import, None for any other."""
    module, name = getattr(factory, "__module__", None), getattr(factory, "__qualname__", "")
    if module in (None, "__main__"):
        return None
    found: Any = importlib.import_module(module)
    return f"{module}:{name}" if getattr(found, name, None) is factory else None


def _is_bundled_control(name: str) -> bool:
    entry = contestant_names().get(name)
    return (
        name in _CONTROLS
        and entry is not None
        and entry.dist is not None
        and entry.dist.name == "talkingpose"
    )


def _host(settings: RunSettings, device: str, given: Contestant | None) -> Host:
    if settings.timeout_s <= 0:
        raise EvaluationError(f"--timeout {settings.timeout_s:g}: give a number of seconds above 0")
    if given is not None:
        return InProcessHost(given, checked_info(given))
    return make_host(
        settings.model,
        checkpoint=settings.checkpoint,
        device=device,
        args=dict(settings.model_args),
        timeout_s=settings.timeout_s,
        in_process=settings.in_process,
    )


def _check_needs(info: ContestantInfo, settings: RunSettings, device: str, protocol: Protocol) -> None:
    if info.needs_gpu and device == "cpu":
        raise EvaluationError(
            f"--model {settings.model}: needs a GPU, and this run is on the CPU: give --device cuda"
        )
    of_real_frames = info.control and info.needs_driving_frames and info.name != PASTE_DRIVER
    if of_real_frames and isinstance(protocol, CrossProtocol):
        raise EvaluationError(
            f"--model {settings.model}: needs driving frames that are real frames, which {protocol.name} "
            "lacks: give another model, or --protocol tp-long@2"
        )


def _codec_control(settings: RunSettings, protocol: Protocol, plan: RunPlan) -> CodecControl | None:
    if settings.codec_run is None:
        return None
    if isinstance(protocol, CrossProtocol):
        raise EvaluationError(
            f"--codec-run {settings.codec_run}: {protocol.name} has no real video to encode: leave it out"
        )
    return CodecControl(
        settings.codec_run.absolute(),
        protocol,
        cases_sha256=plan.cases_sha256,
        max_frames=settings.max_frames,
    )


def _check_shard(settings: RunSettings) -> None:
    if settings.shard is None:
        return
    index, count = settings.shard
    if not 1 <= index <= count:
        raise EvaluationError(f"--shard {index}/{count}: give 1/{count} to {count}/{count}")
    if settings.fresh:
        raise EvaluationError("--fresh: other shards may be at work in the folder: choose another --out")


def _predictions(settings: RunSettings, plan: RunPlan, dataset: ClipDataset) -> Predictions | None:
    if settings.predictions is None:
        return None
    if settings.driving_frames not in FRAMES_SEEN:
        raise EvaluationError(
            f"--driving-frames {settings.driving_frames}: choose one of {', '.join(FRAMES_SEEN)}"
        )
    predictions = Predictions(
        settings.predictions.absolute(),
        {case.clip.clip_id: case.clip.num_frames for case in plan.cases},
        name=settings.model,
        revision=settings.revision,
        case_map=None if settings.prediction_map is None else read_case_map(settings.prediction_map),
        inputs={case.clip.clip_id: inputs_hash(case) for case in plan.cases},
        driving_frames=settings.driving_frames,
        backbone=settings.backbone,
    )
    predictions.swapped = swapped_predictions(dataset, plan.cases, predictions.matches.found)
    return predictions
