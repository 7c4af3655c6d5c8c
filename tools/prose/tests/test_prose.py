"""Checks of words and docstrings on small files."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from tools.prose import docstrings, texts
from tools.prose.glossary import GLOSSARY, phrases_to_avoid, uses

PHRASES = {"whole number": "integer", "by turns": "interleaved"}


def found(folder: Path, name: str, text: str) -> list[tuple[int, str]]:
    path = folder / name
    path.write_text(textwrap.dedent(text).lstrip("\n"))
    return [(use.line, use.phrase) for use in uses(path, PHRASES)]


def test_the_glossary_has_phrases_to_avoid() -> None:
    assert PHRASES.items() <= phrases_to_avoid(GLOSSARY.read_text()).items()


def test_python_comments_docstrings_and_messages_are_checked(tmp_path: Path) -> None:
    source = '''
    """Whole numbers."""
    # numbers that are read by
    # turns
    raise ValueError(f"{1} is not a whole number")
    whole_number = 1
    '''
    assert sorted(found(tmp_path, "a.py", source)) == [(1, "whole number"), (2, "by turns"), (4, "whole number")]


def test_cpp_comments_and_strings_are_checked(tmp_path: Path) -> None:
    source = """
    // real and imaginary parts by
    // turns
    throw Error("expected a whole number");  // see http://whole/number
    """
    assert sorted(found(tmp_path, "a.cpp", source)) == [(1, "by turns"), (3, "whole number")]


def test_code_blocks_in_markdown_pages_are_not_checked(tmp_path: Path) -> None:
    source = """
    A `whole number` is an integer.

    ```python
    # whole number
    ```

    Two processes run by turns.
    """
    assert found(tmp_path, "a.md", source) == [(7, "by turns")]


def test_docstrings_start_with_a_verb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docstrings, "ROOT", tmp_path)
    (tmp_path / "a.py").write_text(
        'def f():\n    """The result."""\n\ndef g():\n    """Return the result."""\n\n'
        'class A:\n    """A class."""\n\n    @property\n    def p(self):\n        """The value."""\n'
    )
    assert [text.partition(":")[2] for text in docstrings.without_leading_verb([Path("a.py")])] == [
        "1: the docstring of f starts with 'The', not with a verb"
    ]


def test_public_objects_need_docstrings_of_their_own_or_inherited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "packages" / "p" / "src" / "flambeau"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("from ._a import Child, missing\n")
    (package / "_a.py").write_text(
        'class Base:\n    """Base class."""\n    def f(self):\n        """Return 1."""\n\n'
        'class Child(Base):\n    """Child."""\n    def f(self): ...\n    def g(self): ...\n\n'
        "def missing(): ...\n\ndef private_in_effect(): ...\n"
    )
    monkeypatch.setattr(docstrings, "ROOT", tmp_path)
    docstrings.modules.cache_clear()
    docstrings.classes.cache_clear()
    try:
        assert list(docstrings.undocumented()) == [
            "flambeau._a.Child.g: no docstring",
            "flambeau._a.missing: no docstring",
        ]
    finally:
        docstrings.modules.cache_clear()
        docstrings.classes.cache_clear()


def test_files_without_prose_are_skipped() -> None:
    assert list(texts.texts(Path("missing.bin"))) == []
