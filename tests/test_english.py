"""Plain technical English in docstrings, comments and messages of the packages."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("talkingpose", "curation", "benchmark", "baselines", "leaderboard")
_DEFINITIONS = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)

# A docstring opens with a noun phrase or an imperative.
_QUESTION = re.compile(r"(What|Which|Who|Whose|Whether|How|Where|When|Why)\b")
_ARCHAIC = re.compile(
    r"\b(anew|afresh|mend(?:s|ed|ing)?|thereof|whereof|therein|wherein|thereby|whereby|herein"
    r"|henceforth|hitherto|thence|whence|whither|lest|ere|nigh|naught|aught|shall|whilst|amongst|betwixt|oft|unto"
    r"|said no|the way of|what is left|goes on from)\b",
    re.IGNORECASE,
)


def sources() -> Iterator[tuple[str, str]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")


def docstrings(source: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, _DEFINITIONS) and (text := ast.get_docstring(node)):
            yield getattr(node, "lineno", 1), text


def prose(source: str) -> Iterator[tuple[int, str]]:
    """Comments and string literals, docstrings included."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in (tokenize.COMMENT, tokenize.STRING):
            yield token.start[0], token.string


def test_docstrings_open_with_a_noun_phrase_or_an_imperative() -> None:
    openings = [
        (f"{path}:{line}: {text.splitlines()[0]}", bool(_QUESTION.match(text)))
        for path, source in sources()
        for line, text in docstrings(source)
    ]
    questions = [place for place, is_question in openings if is_question]
    assert len(questions) <= len(openings) / 100, "\n".join(questions)


def test_no_archaic_words() -> None:
    places = [
        f"{path}:{line}: {match[0]}"
        for path, source in sources()
        for line, text in prose(source)
        for match in _ARCHAIC.finditer(text)
    ]
    assert not places, "\n".join(places)
