"""Resume: what a run folder already holds, and whether it belongs to the same run."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.errors import EvaluationError
from benchmark.results import CaseResult, Run
from benchmark.runner.plan import PlannedCase
from benchmark.runner.prepared_run import PreparedRun
from benchmark.runner.run_document import started_run
from talkingpose.weights import read_lock


def finished_cases(
    run: PreparedRun, cases: Sequence[PlannedCase] | None = None
) -> dict[str, CaseResult | None]:
    """Return the finished ones of some cases, or of all, by clip id; None for each that is still to do."""
    return {
        case.clip.clip_id: run.folder.finished(
            case.clip.clip_id, run.key(case), with_frames=run.settings.keep_frames
        )
        for case in (run.plan.cases if cases is None else cases)
    }


def check_same_run(run: PreparedRun) -> None:
    """Check that the folder is empty or holds the same run.

    Raises:
        EvaluationError: it holds another run.
    """
    stored = run.folder.run()
    difference = _difference(stored, started_run(run)) if stored is not None else None
    if difference is not None:
        raise EvaluationError(
            f"--out {run.settings.out}: holds another run ({difference}): choose another folder, or give "
            "--fresh"
        )


def _difference(stored: Run, requested: Run) -> str | None:
    """Return the first difference that affects a number, None if both are the same run."""
    pairs = {
        "model": (stored.contestant.name, requested.contestant.name),
        "origin": (stored.contestant.origin, requested.contestant.origin),
        "revision of the model": _revisions(stored, requested),
        "settings of the model": (stored.contestant.args, requested.contestant.args),
        "isolated process": _isolation(stored, requested),
        "driving frames": (stored.contestant.frames_seen, requested.contestant.frames_seen),
        "weights": _weights(stored, requested),
        "protocol": (stored.protocol, requested.protocol),
        "seed": (stored.seed, requested.seed),
        "--limit": (stored.limit, requested.limit),
        "--max-frames": (stored.max_frames, requested.max_frames),
        "split": (stored.dataset.split, requested.dataset.split),
        "clips of the dataset": (stored.dataset.cases_sha256, requested.dataset.cases_sha256),
        "version of the project": (stored.env.get("talkingpose"), requested.env.get("talkingpose")),
        # The order of floating-point sums depends on the device and the batch size.
        "device": _devices(stored, requested),
        "--batch-size": (stored.env.get("batch_size"), requested.env.get("batch_size")),
    }
    for what, (old, new) in pairs.items():
        if old != new:
            short = isinstance(old, str | int | None) and isinstance(new, str | int | None)
            return f"{what}: {_shortened(old)}, now {_shortened(new)}" if short else f"another {what}"
    return None


def _revisions(stored: Run, requested: Run) -> tuple[str, str]:
    """Revisions to compare. Videos may be replaced and added: the keys of the cases tell which to score."""
    same = stored.contestant.origin == requested.contestant.origin == "predictions"
    return ("", "") if same else (stored.contestant.revision, requested.contestant.revision)


def _weights(stored: Run, requested: Run) -> tuple[list[str], list[str]]:
    """Weights to compare. A run of a version that bundled none may lack a bundled file."""
    bundled = {entry.bundled_sha256 for entry in read_lock().values()}
    old = [weight.sha256 for weight in stored.weights]
    return old, [w.sha256 for w in requested.weights if w.sha256 in old or w.sha256 not in bundled]


def _isolation(stored: Run, requested: Run) -> tuple[bool | None, bool | None]:
    """Modes to compare; runs of older versions do not name theirs."""
    if stored.contestant.isolated is None:
        return None, None
    return stored.contestant.isolated, requested.contestant.isolated


def _devices(stored: Run, requested: Run) -> tuple[str, str]:
    """Devices to compare: kind and model, not the index. Runs of older versions name no model."""
    (old, old_model), (new, new_model) = (
        (str(run.env.get("device")).partition(":")[0], run.env.get("device_model"))
        for run in (stored, requested)
    )
    if old_model is None or new_model is None:
        return old, new
    return f"{old}, {old_model}", f"{new}, {new_model}"


def _shortened(value: object) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 40 else f"{text[:12]}..."
