"""Evaluation of a contestant from Python, with the result of `tp-eval`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

from benchmark.data.bundled import TP_MINI, protocol_of
from benchmark.errors import EvaluationError
from benchmark.results import Run, read_run
from benchmark.runner.evaluate import evaluate as evaluate_settings
from benchmark.runner.prepared_run import importable_name
from benchmark.runner.run_settings import RunSettings
from talkingpose.data.contestant import Contestant
from talkingpose.data.contestant_loading import create_contestant
from talkingpose.io.progress import SILENT, Progress
from talkingpose.pipeline.device import pick_device


def evaluate(
    contestant: str | Contestant | Callable[..., Contestant],
    *,
    dataset: str | Path = TP_MINI,
    protocol: str | None = None,
    out: str | Path | None = None,
    checkpoint: str | None = None,
    model_args: Mapping[str, str] | None = None,
    split: str | None = None,
    limit: int | None = None,
    max_frames: int | None = None,
    seed: int = 0,
    device: str | None = None,
    batch_size: int | None = None,
    keep_frames: bool = False,
    fresh: bool = False,
    in_process: bool = False,
    progress: Progress = SILENT,
) -> Run:
    """Generate and score videos of a contestant, as `tp-eval` does.

    A named contestant, or a class that another process can import, runs in a process of its own, without the
    dataset. An object, or a class of a notebook or a script, runs in this process, and the run says so.

    Args:
        contestant: a registered name, `package.module:Class`, a class, or an object with `info` and
            `animate`.
        dataset: a bundled name, a folder, or `owner/name[@revision]` on the Hub.
        protocol: name of a protocol; None for `tp-mini@2` on `tp-mini`, else `tp-long@2`.
        out: folder of the run; the same call resumes it. None for `runs/NAME`.
        checkpoint: checkpoint of a contestant that is created here.
        model_args: settings of a contestant that is created here.
        split: split of the dataset; None for `test` if it has usable clips, else all.
        limit: use only the first clips by clip id; the run is then not comparable.
        max_frames: use only the first frames of each clip; the run is then not comparable.
        seed: seed of the run.
        device: `auto`, `cpu`, `cuda` or `cuda:N`; None for `cpu` on `tp-mini`, else `auto`.
        batch_size: clips that are generated together; None for the contestant's own value.
        keep_frames: store the frames without loss, for `tp-eval rescore`.
        fresh: delete the results in the folder instead of resuming.
        in_process: run a named contestant or class in this process, too.
        progress: is told the number of frames, and one line per clip.

    Returns:
        The document of the run. It is also `run.json` in the folder.

    Raises:
        UserError: a setting, the dataset or the contestant cannot be used; nothing is written then.

    Example:
        >>> import tempfile
        >>> from benchmark import evaluate
        >>> with tempfile.TemporaryDirectory() as out:
        ...     run = evaluate("frozen", dataset="tp-mini", limit=1, max_frames=101, out=out)
        >>> run.status, run.comparable, run.metrics["motion_ratio"].value
        ('complete', False, 0.0)
    """
    location = str(dataset)
    device = device or ("cpu" if location == TP_MINI else "auto")
    name, given = _created(contestant, checkpoint, device, model_args or {})
    settings = RunSettings(
        model=name,
        dataset=location,
        out=Path(out) if out is not None else Path("runs") / re.sub(r"[^\w.-]+", "-", name),
        checkpoint=checkpoint,
        model_args=dict(model_args or {}),
        split=split,
        protocol=protocol or protocol_of(location, None if fresh or out is None else Path(out)),
        limit=limit,
        max_frames=max_frames,
        seed=seed,
        device=device,
        batch_size=batch_size,
        keep_frames=keep_frames,
        fresh=fresh,
        in_process=in_process or given is not None or None,
    )
    return evaluate_settings(settings, progress, given)


def load_run(path: str | Path) -> Run:
    """Read the document of a run.

    Args:
        path: folder of the run, or its `run.json`.

    Raises:
        ResultError: there is no valid run.

    Example:
        >>> import tempfile
        >>> from benchmark import evaluate, load_run
        >>> with tempfile.TemporaryDirectory() as out:
        ...     _ = evaluate("frozen", limit=1, max_frames=101, out=out)
        ...     run = load_run(out)
        >>> run.contestant.name, run.metrics["psnr"].unit
        ('frozen', 'dB')
    """
    folder = Path(path)
    return read_run(folder.parent if folder.name == "run.json" else folder)


def _created(
    contestant: str | Contestant | Callable[..., Contestant],
    checkpoint: str | None,
    device: str,
    args: Mapping[str, str],
) -> tuple[str, Contestant | None]:
    """Return the name of a contestant, and the contestant if another process cannot create it by name."""
    if isinstance(contestant, str):
        return contestant, None
    if inspect.isclass(contestant):
        name = f"{contestant.__module__}:{contestant.__qualname__}"
        if name == importable_name(contestant):
            return name, None
        factory = cast(Callable[..., Contestant], contestant)
        created, _ = create_contestant(
            name, factory, checkpoint=checkpoint, device=pick_device(device), args=args
        )
        return name, created
    if checkpoint is not None or args:
        raise EvaluationError("checkpoint, model_args: the contestant exists already: leave them out")
    kind = type(contestant)
    return f"{kind.__module__}:{kind.__qualname__}", cast(Contestant, contestant)
