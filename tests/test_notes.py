"""Tests that each reference to a named Note in code and documentation leads to exactly one Note."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SUFFIXES = {".cmake", ".cpp", ".def", ".h", ".md", ".py"}
NAME = re.compile(r"Note\s+(?:(?://|#)\s*)?\[([^\]\n]+)\]")
# A Note begins a comment or docstring: its name, then a colon, or nothing more on that line and text on the next.
BEGINNING = {
    "c": re.compile(r"^[ \t]*// Note \[([^\]\n]+)\](?::|$(?=\n[ \t]*// *\S))", re.MULTILINE),
    "py": re.compile(r'^[ \t]*(?:# |""")?Note \[([^\]\n]+)\](?::|$(?=\n[ \t]*(?:# *)?[^\s#]))', re.MULTILINE),
}


def beginnings(text: str, suffix: str) -> list[str]:
    """Return the names of the Notes that a file contains."""
    return [] if suffix == ".md" else BEGINNING["py" if suffix in (".cmake", ".py") else "c"].findall(text)


def files() -> list[Path]:
    tops = [ROOT / "packages", ROOT / "docs", ROOT / "tools"]
    found = [path for top in tops for path in top.rglob("*") if path.suffix in SUFFIXES]
    return [path for path in found if not {"build", ".nox"} & set(path.relative_to(ROOT).parts)]


def test_every_note_reference_resolves_to_exactly_one_note() -> None:
    notes, references = defaultdict(list), defaultdict(list)
    for path in files():
        text, name = path.read_text(encoding="utf-8"), str(path.relative_to(ROOT))
        for note in beginnings(text, path.suffix):
            notes[note].append(name)
        for reference in NAME.findall(text):
            references[reference].append(name)
    assert {name: paths for name, paths in references.items() if name not in notes} == {}
    assert {name: paths for name, paths in notes.items() if len(paths) > 1} == {}


@pytest.mark.parametrize(
    ("text", "suffix", "expected"),
    [
        ("// Note [Tiles]\n// A tile is\n", ".h", ["Tiles"]),
        ("  // Note [Tiles]: a tile is\n", ".cpp", ["Tiles"]),
        ("// Note [Tiles]\n#include <vector>\n", ".cpp", []),
        ("// Note [Tiles] in tile.h\n// says what\n", ".cpp", []),
        ("// Reads tiles: Note [Tiles]\n", ".h", []),
        ('"""Seeds.\n\nNote [Seeds]\nA seed is\n"""\n', ".py", ["Seeds"]),
        ("# Note [Seeds]\n# A seed is\n", ".py", ["Seeds"]),
        ("# Note [Seeds]\nseed = 1\n", ".cpp", []),
    ],
)
def test_a_note_is_distinguished_from_a_reference(text: str, suffix: str, expected: list[str]) -> None:
    assert beginnings(text, suffix) == expected
