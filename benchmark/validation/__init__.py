"""Checks of a run, a dataset, a folder of predictions or a contestant."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from benchmark.data.bundled import TP_MINI, open_dataset
from benchmark.errors import EvaluationError
from benchmark.protocols.protocol import load_protocol
from benchmark.results import Document
from benchmark.run_dir import RunDir
from benchmark.runner.prepared_run import make_host
from benchmark.runner.run_settings import DEFAULT_TIMEOUT_S
from benchmark.validation.checks import CheckList, CheckResult
from benchmark.validation.contestant import check_contestant
from benchmark.validation.dataset import check_dataset
from benchmark.validation.predictions import check_predictions
from benchmark.validation.run import check_run
from talkingpose.data.contestant import ContestantError
from talkingpose.data.contestant_loading import contestant_names

Kind = Literal["run", "dataset", "predictions", "contestant"]
KINDS: tuple[Kind, ...] = ("run", "dataset", "predictions", "contestant")


class ValidationReport(Document):
    """Result of `tp-eval validate`; `checked` describes what was checked."""

    kind: Kind
    target: str
    checked: str
    findings: list[CheckResult]

    @property
    def sound(self) -> bool:
        """Return whether there is no error."""
        return all(finding.severity != "error" for finding in self.findings)


class ValidationError(EvaluationError):
    """A target that does not exist or cannot be identified."""


def validate(
    target: str,
    *,
    kind: str | None = None,
    dataset: str | None = None,
    split: str | None = None,
    protocol: str = "tp-long@2",
    sample: int | None = None,
    checkpoint: str | None = None,
    model_args: Mapping[str, str] | None = None,
    device: str = "cpu",
    in_process: bool | None = None,
    prediction_map: Path | None = None,
) -> ValidationReport:
    """Check one target and list its errors.

    Args:
        target: folder of a run, of a dataset or of predictions; or the name of a contestant, or its
            `package.module:Class`.
        kind: one of `KINDS`; None to detect it.
        dataset: dataset of predictions or of a run.
        split, protocol: split and protocol of predictions.
        sample: number of clips of a dataset to decode, chosen by a hash of their ids; None for all.
        checkpoint, model_args, device, in_process: of a contestant.
        prediction_map: CSV that names the predictions.

    Raises:
        ValidationError: the target does not exist, or its kind is unclear.
        UserError: the target cannot be opened.
    """
    if kind is not None and kind not in KINDS:
        raise ValidationError(f"--kind {kind}: choose one of {', '.join(KINDS)}")
    if sample is not None and sample < 1:
        raise ValidationError(f"--sample {sample}: give a number of clips from 1")
    notes = CheckList()
    known = kind or _kind_of(target, dataset)
    if known == "run":
        clips = None if dataset is None else open_dataset(dataset)
        checked = check_run(RunDir(Path(target)), clips, notes)
    elif known == "dataset":
        checked = check_dataset(open_dataset(target), sample, notes)
    elif known == "predictions":
        if dataset is None:
            raise ValidationError(f"{target}: give --dataset: predictions are checked against its clips")
        checked = check_predictions(
            Path(target), open_dataset(dataset), load_protocol(protocol), split, notes, prediction_map
        )
    else:
        checked = _check_contestant(target, checkpoint, model_args or {}, device, in_process, notes)
    return ValidationReport(kind=known, target=target, checked=checked, findings=notes.found)


def _check_contestant(
    name: str,
    checkpoint: str | None,
    model_args: Mapping[str, str],
    device: str,
    in_process: bool | None,
    notes: CheckList,
) -> str:
    try:
        host = make_host(
            name,
            checkpoint=checkpoint,
            device=device,
            args=dict(model_args),
            timeout_s=DEFAULT_TIMEOUT_S,
            in_process=in_process,
        )
    except ContestantError as error:
        notes.error("construction", str(error))
        return "construction failed"
    with contextlib.closing(host):
        return check_contestant(host, notes)


def _kind_of(target: str, dataset: str | None) -> Kind:
    path = Path(target)
    if not path.exists():
        if target == TP_MINI:
            return "dataset"
        if target in contestant_names() or ":" in target:
            return "contestant"
        if target.count("/") == 1 and not target.startswith((".", "/", "~")):
            return "dataset"
        raise ValidationError(f"{target}: neither a folder nor a contestant: check the name")
    if (path / "run.json").exists():
        return "run"
    if dataset is not None:
        return "predictions"
    if (path / "README.md").exists():
        return "dataset"
    raise ValidationError(
        f"{target}: has no run.json and no README.md: give --dataset if it holds predictions, or --kind"
    )


def lines(found: ValidationReport) -> Iterator[str]:
    """Yield the report as lines of text."""
    for finding in found.findings:
        yield f"{finding.severity}: {finding.where}: {finding.message}"
    errors = sum(finding.severity == "error" for finding in found.findings)
    warnings = len(found.findings) - errors
    yield f"{found.kind} {found.target}: {found.checked}: {errors} errors, {warnings} warnings"
