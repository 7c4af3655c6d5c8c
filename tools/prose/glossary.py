"""The phrases that the glossary says to avoid, and their uses in files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from .texts import texts

ROOT = Path(__file__).resolve().parents[2]
GLOSSARY = ROOT / "docs" / "glossary.md"
ROW = re.compile(r"^\| *([^|]+?) *\| *([^|]*?) *\| *([^|]*?) *\|$", re.MULTILINE)


@dataclass(frozen=True)
class Use:
    """Use of a phrase from the glossary's last column in a file."""

    path: Path
    line: int
    phrase: str
    instead: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.phrase!r}; docs/glossary.md has {self.instead!r}"


def phrases_to_avoid(page: str) -> dict[str, str]:
    """Return the phrases in the last column of the glossary's tables, with the word to use instead.

    >>> phrases_to_avoid("| integer | a number without a fraction | whole number, natural number |")
    {'whole number': 'integer', 'natural number': 'integer'}
    """
    rows = [row for row in ROW.findall(page) if not set(row[0]) <= {"-", ":", " "} and row[0] != "word"]
    return {phrase.strip(): word for word, _, phrases in rows for phrase in phrases.split(",") if phrase.strip()}


def pattern(phrases: Mapping[str, str]) -> re.Pattern[str]:
    """Return an expression for any of the phrases, in singular or plural, also across a line break."""
    longest_first = sorted(phrases, key=len, reverse=True)
    words = "|".join(r"\s+".join(map(re.escape, phrase.split())) for phrase in longest_first)
    return re.compile(rf"(?<![\w-])({words})(?=(?:e?s)?(?![\w-]))", re.IGNORECASE)


def uses(path: Path, phrases: Mapping[str, str]) -> Iterator[Use]:
    """Yield the uses of the phrases in the prose of a file."""
    search = pattern(phrases)
    for start, text in texts(ROOT / path):
        for match in search.finditer(text):
            phrase = " ".join(match[1].lower().split())
            yield Use(path, start + text.count("\n", 0, match.start()), phrase, phrases[phrase])
