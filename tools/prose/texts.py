"""Prose in a file: comments, docstrings and other strings of code, and the text of Markdown pages."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

PYTHON = {".py", ".pyi"}
C_LIKE = {".cpp", ".h", ".cu", ".def"}
# A comment or a string of a C++ source. Strings come first, since they may contain comment marks.
CPP_TEXT = re.compile(r'"((?:\\.|[^"\\\n])*)"|//([^\n]*)|/\*(.*?)\*/', re.DOTALL)
QUOTED = re.compile(r"``.*?``|`[^`]*`|\]\([^)]*\)|\$\$?[^$]*\$\$?")

Text = tuple[int, str]  # line number of the first line, and the text


def texts(path: Path) -> Iterator[Text]:
    """Yield the prose of a file of Python, C++ or Markdown; nothing for other files."""
    if path.suffix not in PYTHON | C_LIKE | {".md"}:
        return
    source = path.read_text(encoding="utf-8")
    if path.suffix in PYTHON:
        passages = [*_python_strings(source), *_python_comments(source)]
    elif path.suffix in C_LIKE:
        passages = list(_cpp_texts(source))
    else:
        passages = list(_paragraphs(source))
    for line, text in passages:
        yield line, QUOTED.sub(lambda code: "`" + "\n" * code[0].count("\n") + "`", text)


def _python_strings(source: str) -> Iterator[Text]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value.strip():
            yield node.lineno, node.value


def _python_comments(source: str) -> Iterator[Text]:
    """Yield comments. Comments on consecutive lines form one text."""
    lines, start, end = list[str](), 0, 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        if lines and token.start[0] != end + 1:
            yield start, "\n".join(lines)
            lines = []
        if not lines:
            start = token.start[0]
        lines.append(token.string.lstrip("# "))
        end = token.start[0]
    if lines:
        yield start, "\n".join(lines)


def _cpp_texts(source: str) -> Iterator[Text]:
    """Yield strings and comments. Line comments on consecutive lines form one text."""
    lines, start, end = list[str](), 0, 0
    for match in CPP_TEXT.finditer(source):
        line = source.count("\n", 0, match.start()) + 1
        string, comment, block = match.groups()
        if comment is None:
            text = block if string is None else string
            if " " in text.strip():
                yield line, text
            continue
        if lines and line != end + 1:
            yield start, "\n".join(lines)
            lines = []
        if not lines:
            start = line
        lines.append(comment.strip())
        end = line
    if lines:
        yield start, "\n".join(lines)


def _paragraphs(source: str) -> Iterator[Text]:
    """Yield the paragraphs of a Markdown page without code blocks."""
    lines, start, fenced = list[str](), 0, False
    for number, line in enumerate([*source.splitlines(), ""], start=1):
        fence = line.lstrip().startswith("```")
        fenced ^= fence
        code = fence or fenced or line.startswith("    ")
        if line.strip() and not code:
            start = start if lines else number
            lines.append(line)
        elif lines:
            yield start, "\n".join(lines)
            lines = []
