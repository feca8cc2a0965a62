"""A run with what a check found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from benchmark.results import CaseResult, Run
from benchmark.run_check.problem import RunProblem


@dataclass(frozen=True, eq=False)
class CheckedRun:
    """A run that was read and checked.

    Attributes:
        folder: of the run.
        run: its document.
        cases: its clips by id, those whose document can be read.
        problems: everything that was found.
        not_recomputable: ids of metrics whose score of a clip nothing beside the run determines.
    """

    folder: Path
    run: Run
    cases: Mapping[str, CaseResult]
    problems: tuple[RunProblem, ...] = ()
    not_recomputable: frozenset[str] = frozenset()

    @property
    def contradictions(self) -> tuple[RunProblem, ...]:
        """Problems that make the run unfit to be shown."""
        return tuple(problem for problem in self.problems if problem.severity == "contradiction")

    @property
    def unchecked(self) -> tuple[RunProblem, ...]:
        """Reasons why the run is not verified."""
        return tuple(problem for problem in self.problems if problem.severity == "unchecked")

    @property
    def verified(self) -> bool:
        """True where everything that can be checked was checked, and no part contradicts another."""
        return not self.contradictions and not self.unchecked

    def with_problems(self, problems: Iterable[RunProblem]) -> CheckedRun:
        """Return the same run with more problems."""
        return replace(self, problems=tuple(dict.fromkeys((*self.problems, *problems))))
