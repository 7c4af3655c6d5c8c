"""The pages of the documentation, the Python programs in them, and the cells of the tutorials."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOPS = ("docs", "packages", "tests", "tools")
PAGES = [*sorted(ROOT.glob("*.md")), *(path for top in TOPS for path in sorted(ROOT.glob(f"{top}/**/*.md")))]

# A code cell. Its options are lines such as `:tags: [hide-input]`, or YAML between lines of three dashes.
CELL = re.compile(r"^```\{code-cell\}\n(---\n.*?^---\n|(?::.*\n)*)(.*?)^```$", re.DOTALL | re.MULTILINE)


def programs(page: Path) -> list[str]:
    """Return the Python programs in a page."""
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def named_programs() -> Iterator[tuple[str, str]]:
    """Yield a file name and the text of each program in a page."""
    for page in PAGES:
        name = re.sub(r"\W", "_", str(page.relative_to(ROOT).with_suffix("")))
        for number, text in enumerate(programs(page)):
            yield f"{name}_{number}.py", text


def cells(page: Path) -> list[tuple[str, str]]:
    """Return the options and the code of each code cell of a tutorial."""
    return CELL.findall(page.read_text(encoding="utf-8"))
