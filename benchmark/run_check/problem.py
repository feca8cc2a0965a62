"""One statement of a check against a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["contradiction", "unchecked", "remark"]


@dataclass(frozen=True)
class RunProblem:
    """Something that a check of a run found.

    Attributes:
        severity: `contradiction` where two parts of the run cannot both be true, `unchecked` where
            something needed for the check is missing, `remark` where a reader should know of it.
        where: file of the run, or part of it.
        message: one line.
    """

    severity: Severity
    where: str
    message: str

    def __str__(self) -> str:
        """Place and message in one line."""
        return f"{self.where}: {self.message}"


def contradiction(where: str, message: str) -> RunProblem:
    """Make a contradiction: two parts of the run cannot both be true."""
    return RunProblem("contradiction", where, _one_line(message))


def unchecked(where: str, message: str) -> RunProblem:
    """Make a reason for no verification: something needed for the check is missing."""
    return RunProblem("unchecked", where, _one_line(message))


def remark(where: str, message: str) -> RunProblem:
    """Make a remark: something to know that does not affect the numbers."""
    return RunProblem("remark", where, _one_line(message))


def _one_line(text: str) -> str:
    return " ".join(text.split())[:500]
