"""Plain-text tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def table(headers: Sequence[str], rows: Sequence[Sequence[Any]], right: Sequence[int] = ()) -> str:
    """Format a table with a line of dashes below the headers. Columns in ``right`` are right-aligned.

    >>> from flambeau.fx._table import table
    >>> print(table(["name", "target"], [["add", "x"]]))
    name    target
    ------  --------
    add     x
    """
    cells = [list(map(str, row)) for row in rows]
    widths = [max([len(header) + 2, *(len(row[i]) for row in cells)]) for i, header in enumerate(headers)]
    lines = [headers, ["-" * width for width in widths], *cells]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
