"""Conversion of docstrings to Markdown."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator
from typing import Any

SECTIONS = "Args|Attributes|Error|Gradient|Note|Parameters|Raises|Returns|Shapes?|Source|State|Support|Usage|Yields"
SECTION = re.compile(rf"^({SECTIONS}):(?: +(.*))?$")
CODE = re.compile(r"(``.+?``|`[^`\n]+`)", re.DOTALL)


def markdown(value: Any, name: str) -> str:
    """Return the documentation of an object as Markdown."""
    lines = (inspect.getdoc(value) or "").splitlines()
    if lines and lines[0].startswith(f"{name}("):  # operators put their signature first
        lines = lines[1:]
    return "\n\n".join(blocks(textwrap.dedent("\n".join(lines)).strip("\n").splitlines()))


def summary(text: str) -> str:
    """Return the first sentence of a documentation text in Markdown."""
    paragraph = " ".join(text.partition("\n\n")[0].split())
    return re.split(r"(?<=[.:]) (?=[A-Z])", paragraph)[0]


def blocks(lines: list[str]) -> Iterator[str]:
    """Yield the blocks of a docstring as Markdown: paragraphs, sections, lists and examples."""
    position = 0
    while position < len(lines):
        line = lines[position]
        end = position + 1
        if line.startswith(">>>"):
            end = end_of(lines, end, lambda each: bool(each.strip()))
            yield fenced("pycon", lines[position:end])
        elif match := SECTION.match(line):
            end = end_of(lines, end, lambda each: each.startswith(" ") or not each.strip())
            yield section(match[1], match[2] or "", lines[position + 1 : end])
        elif line.startswith("    "):
            end = end_of(lines, end, lambda each: each.startswith("    ") or not each.strip())
            code = textwrap.dedent("\n".join(lines[position:end])).strip("\n").splitlines()
            yield fenced("pycon" if code[0].startswith(">>>") else "text", code)
        elif line.strip():
            end = end_of(lines, end, lambda each: bool(each.strip()) and not starts_block(each))
            yield escape("\n".join(lines[position:end]))
        position = end


def end_of(lines: list[str], position: int, continues: Any) -> int:
    """Return the index of the first line, from ``position`` on, for which ``continues`` returns False."""
    while position < len(lines) and continues(lines[position]):
        position += 1
    return position


def starts_block(line: str) -> bool:
    """Return True if a line begins a section or an example."""
    return line.startswith(">>>") or SECTION.match(line) is not None


def section(title: str, text: str, lines: list[str]) -> str:
    """Return a section: a list of the items that its lines describe, or a paragraph."""
    body = textwrap.dedent("\n".join(lines)).strip("\n")
    if text or not body:
        return f"**{title}:** {escape(' '.join([text, *body.split()]).strip())}"
    heading = {"Args": "Arguments"}.get(title, title)
    return "\n".join([f"**{heading}:**", "", *items(body.splitlines())])


def items(lines: list[str]) -> Iterator[str]:
    """Yield list items. A line that is not indented begins an item."""
    item: list[str] = []
    for line in [*lines, ""]:
        if item and (not line.startswith(" ") or not line):
            names, colon, text = " ".join(item).partition(": ")
            label = f"`{names}`: {escape(text)}" if colon and "`" not in names else escape(" ".join(item))
            yield f"- {label}"
            item = []
        if line.strip():
            item.append(line.strip())


def fenced(language: str, lines: list[str]) -> str:
    """Return lines of code as a fenced block."""
    return "\n".join([f"```{language}", *lines, "```"])


def escape(text: str) -> str:
    """Convert a docstring's code spans to Markdown, and escape other characters that Markdown would interpret."""
    parts = CODE.split(text)
    return "".join(code_span(part) if i % 2 else re.sub(r"([*_<\[\]])", r"\\\1", part) for i, part in enumerate(parts))


def code_span(text: str) -> str:
    """Return a code span with single backticks and without line breaks."""
    return f"`{' '.join(text.strip('`').split())}`"
