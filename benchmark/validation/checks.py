"""Results of checks."""

from __future__ import annotations

from typing import Literal

from benchmark.results import Document


class CheckResult(Document):
    """One problem: an error makes numbers wrong or impossible, a warning does not."""

    severity: Literal["error", "warning"]
    where: str
    message: str


class CheckList:
    """Problems in the order they are found."""

    def __init__(self) -> None:
        self.found: list[CheckResult] = []

    def error(self, where: str, message: str) -> None:
        """Add an error."""
        self._add("error", where, message)

    def warning(self, where: str, message: str) -> None:
        """Add a warning."""
        self._add("warning", where, message)

    def _add(self, severity: Literal["error", "warning"], where: str, message: str) -> None:
        text = " ".join(message.split())
        self.found.append(CheckResult(severity=severity, where=printable(where), message=printable(text)))


def printable(text: str) -> str:
    """Return the text with every unprintable character escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
