"""What a check found."""

from __future__ import annotations

from typing import Literal

from benchmark.results import Document


class CheckResult(Document):
    """One thing that was found: an error makes numbers wrong or impossible, a warning is to be known."""

    severity: Literal["error", "warning"]
    where: str
    message: str


class CheckList:
    """Findings as they are made."""

    def __init__(self) -> None:
        self.found: list[CheckResult] = []

    def error(self, where: str, message: str) -> None:
        """Note what makes numbers wrong or impossible."""
        self._add("error", where, message)

    def warning(self, where: str, message: str) -> None:
        """Note what a reader must know."""
        self._add("warning", where, message)

    def _add(self, severity: Literal["error", "warning"], where: str, message: str) -> None:
        text = " ".join(message.split())
        self.found.append(CheckResult(severity=severity, where=printable(where), message=printable(text)))


def printable(text: str) -> str:
    """The text with everything escaped that is no printable character."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
