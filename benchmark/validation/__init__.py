"""Looks at a run, a dataset, a folder of predictions or a contestant before hours are spent on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from benchmark.data.bundled import TP_MINI, open_dataset
from benchmark.errors import EvaluationError
from benchmark.protocols.protocol import load_protocol
from benchmark.results import Document
from benchmark.run_dir import RunDir
from benchmark.runner.registry import contestant_names, make_contestant
from benchmark.validation.checks import CheckList, CheckResult
from benchmark.validation.contestant import check_contestant
from benchmark.validation.dataset import check_dataset
from benchmark.validation.predictions import check_predictions
from benchmark.validation.run import check_run

Kind = Literal["run", "dataset", "predictions", "contestant"]
KINDS: tuple[Kind, ...] = ("run", "dataset", "predictions", "contestant")


class ValidationReport(Document):
    """The answer of `tp-eval validate`; `checked` says in words what was looked at."""

    kind: Kind
    target: str
    checked: str
    findings: list[CheckResult]

    @property
    def sound(self) -> bool:
        """Whether there is no error."""
        return all(finding.severity != "error" for finding in self.findings)


class ValidationError(EvaluationError):
    """It cannot be told what to validate, or how."""


def validate(
    target: str,
    *,
    kind: str | None = None,
    dataset: str | None = None,
    split: str | None = None,
    protocol: str = "tp-long@1",
    sample: int | None = None,
    checkpoint: str | None = None,
    device: str = "cpu",
) -> ValidationReport:
    """Check one thing and list what is wrong with it.

    Args:
        target: folder of a run, of a dataset or of predictions; or the name of a contestant, or its
            `package.module:Class`.
        kind: which of them it is; None finds out.
        dataset: that predictions are for, or that a run was made on.
        split, protocol: what predictions are to be scored on.
        sample: of a dataset, decode only so many clips, chosen by a hash of their ids; None decodes all.
        checkpoint, device: of a contestant.

    Raises:
        ValidationError: there is no such thing, or it cannot be told what it is.
        UserError: it cannot be opened at all.
    """
    if kind is not None and kind not in KINDS:
        raise ValidationError(f"--kind {kind}: choose one of {', '.join(KINDS)}")
    if sample is not None and sample < 1:
        raise ValidationError(f"--sample {sample}: give a number of clips from 1 on")
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
            Path(target), open_dataset(dataset), load_protocol(protocol), split, notes
        )
    else:
        checked = check_contestant(
            make_contestant(target, checkpoint=checkpoint, device=device, args={}), notes
        )
    return ValidationReport(kind=known, target=target, checked=checked, findings=notes.found)


def _kind_of(target: str, dataset: str | None) -> Kind:
    path = Path(target)
    if not path.exists():
        if target == TP_MINI:
            return "dataset"
        if target in contestant_names() or ":" in target:
            return "contestant"
        if target.count("/") == 1 and not target.startswith((".", "/", "~")):
            return "dataset"
        raise ValidationError(f"{target}: no such folder, and no contestant of that name: check the path")
    if (path / "run.json").exists():
        return "run"
    if dataset is not None:
        return "predictions"
    if (path / "README.md").exists():
        return "dataset"
    raise ValidationError(
        f"{target}: no run.json and no README.md in it: give --dataset where it holds predictions, or --kind"
    )


def lines(found: ValidationReport) -> Iterator[str]:
    """The answer as lines of text."""
    for finding in found.findings:
        yield f"{finding.severity}: {finding.where}: {finding.message}"
    errors = sum(finding.severity == "error" for finding in found.findings)
    warnings = len(found.findings) - errors
    yield f"{found.kind} {found.target}: {found.checked}: {errors} errors, {warnings} warnings"
