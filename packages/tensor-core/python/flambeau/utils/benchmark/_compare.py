"""Tables of measurements: one for each label, with a row for each sub-label and a column for each description."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ._measurement import Measurement, ordered_unique, select_unit, trim_sigfig, unit_to_english

_BOLD, _END = "\033[1m", "\033[0m"
_BEST, _GOOD, _BAD, _VERY_BAD = "\033[92m", "\033[34m", "\033[2m\033[91m", "\033[31m"


class Colorize(enum.Enum):
    """Coloring of the numbers in a table of `Compare`: no colors, or colors by comparison within a column or a row.

    >>> from flambeau.utils.benchmark import Colorize
    >>> [each.value for each in Colorize]
    ['none', 'columnwise', 'rowwise']
    """

    NONE = "none"
    COLUMNWISE = "columnwise"
    ROWWISE = "rowwise"


class Compare:
    """Table of measurements, for ``print``. Measurements of the same task are merged.

    Args:
        results: measurements of `Timer`. Their ``label`` selects the table, ``sub_label`` the row, ``description`` the
            column. Rows are grouped by ``num_threads`` and ``env``.

    >>> from flambeau.utils.benchmark import Compare, Measurement, TaskSpec
    >>> add = Measurement(1, [2e-6], TaskSpec("a + b", "pass", label="arithmetic", description="n=1"))
    >>> print(Compare([add]))
    [--- arithmetic --]
                 |  n=1
    1 threads: --------
          a + b  |  2.0
    <BLANKLINE>
    Times are in microseconds (us).
    <BLANKLINE>
    """

    def __init__(self, results: Iterable[Measurement]) -> None:
        self._results: list[Measurement] = []
        self.extend_results(results)
        self._style = _Style(Colorize.NONE, False, False)

    def extend_results(self, results: Iterable[Measurement]) -> None:
        """Add measurements. Raise ValueError for an object of another type."""
        results = list(results)
        for result in results:
            if not isinstance(result, Measurement):
                raise ValueError(f"Expected an instance of `Measurement`, got {type(result)} instead.")
        self._results += results

    def trim_significant_figures(self) -> None:
        """Show only significant figures."""
        self._style = self._style._replace(trimmed=True)

    def colorize(self, rowwise: bool = False) -> None:
        """Color the numbers by comparison with the best time in their column (in their row if ``rowwise``)."""
        self._style = self._style._replace(colours=Colorize.ROWWISE if rowwise else Colorize.COLUMNWISE)

    def highlight_warnings(self) -> None:
        """Mark measurements with high variance."""
        self._style = self._style._replace(warnings=True)

    def print(self) -> None:
        """Print the tables."""
        print(str(self))

    def __str__(self) -> str:
        merged = Measurement.merge(self._results)
        labels = ordered_unique(result.label for result in merged)
        return "\n".join(_table([each for each in merged if each.label == label], self._style) for label in labels)


class _Style(NamedTuple):
    colours: Colorize
    trimmed: bool
    warnings: bool


class _Key(NamedTuple):
    """Identity of a row."""

    num_threads: int
    env: str | None
    name: str


_Row = list[Measurement | None]


def _table(results: list[Measurement], style: _Style) -> str:
    """Format the table of the measurements of one label."""
    unit, scale = select_unit(min(result.median for result in results))
    keys = ordered_unique(_Key(result.num_threads, result.env, result.as_row_name) for result in results)
    keys.sort(key=lambda key: (key.num_threads, key.env or ""))
    columns = ordered_unique(result.description for result in results)
    cells = {(_Key(r.num_threads, r.env, r.as_row_name), r.description): r for r in results}
    rows: list[_Row] = [[cells.get((key, column)) for column in columns] for key in keys]
    formats = [_Numbers([row[number] for row in rows], scale, style) for number in range(len(columns))]
    texts = [[numbers.text(cell) for numbers, cell in zip(formats, row, strict=True)] for row in rows]
    names = _row_names(keys)
    head = ["", *(column or "" for column in columns)]
    grid = [head, *([name, *row] for name, row in zip(names, texts, strict=True))]
    widths = [max(map(len, column)) for column in zip(*grid, strict=True)]
    title = "  |  ".join(text.center(width) for text, width in zip(head, widths, strict=True))
    lines = [f"[{f' {results[0].label or str()} '.center(len(title) - 2, '-')}]", title]
    for position, key in enumerate(keys):
        if position == 0 or keys[position - 1].num_threads != key.num_threads:
            lines.append(f"{key.num_threads} threads: ".ljust(len(title), "-"))
        best = _best(rows, keys, position, style.colours)
        shown = [
            _coloured(text.center(width), cell, least)
            for text, width, cell, least in zip(texts[position], widths[1:], rows[position], best, strict=True)
        ]
        lines.append("  |  ".join([names[position].ljust(widths[0]), *shown]))
    lines += ["", f"Times are in {unit_to_english(unit)}s ({unit}).", ""]
    if style.warnings and any(result.has_warnings for result in results):
        lines[-1:] = ["(! XX%) Measurement has high variance, where XX is the IQR / median * 100.", ""]
    return "\n".join(lines)


def _row_names(keys: list[_Key]) -> list[str]:
    """Return the names of the rows, prefixed with their environments if there are several environments."""
    environments = {key.env for key in keys}
    width = max(len(str(env)) for env in environments) if len(environments) > 1 else 0
    names, former = [], None
    for key in keys:
        group = (key.num_threads, key.env)
        shown = f"({key.env})" if width and group != former else ""
        names.append(f"  {shown.ljust(width + 4)}{key.name}")
        former = group
    return names


class _Numbers:
    """Number format of a column, with enough digits for all of its numbers."""

    def __init__(self, cells: _Row, scale: float, style: _Style) -> None:
        self._scale, self._style = scale, style
        measured = [cell for cell in cells if cell is not None]
        digits = [math.ceil(math.log10(cell.median / scale)) for cell in measured]
        decimals = 1
        if style.trimmed:
            decimals = min(max(c.significant_figures - d, 0) for c, d in zip(measured, digits, strict=True))
        self._decimals = decimals
        self._width = max(digits) + decimals + (1 if decimals else 0)
        self._mark = 7 if style.warnings and any(cell.has_warnings for cell in measured) else 0

    def text(self, cell: Measurement | None) -> str:
        if cell is None:
            return " " * len(f"{1:>{self._width}.{self._decimals}f}{'':>{self._mark}}")
        value = cell.median / self._scale
        if self._style.trimmed:
            value = trim_sigfig(value, cell.significant_figures)
        mark = f" (! {cell.iqr / cell.median * 100:.0f}%)" if self._mark and cell.has_warnings else ""
        return f"{value:>{self._width}.{self._decimals}f}{mark:>{self._mark}}"


def _best(rows: list[_Row], keys: list[_Key], position: int, colours: Colorize) -> Iterator[float | None]:
    """Yield the best time to compare each cell of the row at ``position`` with, or None for a table without colors.

    The best time is the minimum of the row, or the minimum of the column for the same number of threads.
    """
    for column in range(len(rows[position])):
        if colours is Colorize.NONE:
            yield None
            continue
        group = [row for row, key in zip(rows, keys, strict=True) if key.num_threads == keys[position].num_threads]
        others = rows[position] if colours is Colorize.ROWWISE else [row[column] for row in group]
        yield min((cell.median for cell in others if cell is not None), default=None)


def _coloured(text: str, cell: Measurement | None, best: float | None) -> str:
    if cell is None or best is None:
        return text
    value = cell.median
    if value <= best * 1.01 or value <= best + 100e-9:
        return f"{_BEST}{_BOLD}{text}{_END * 2}"
    if value <= best * 1.1:
        return f"{_GOOD}{_BOLD}{text}{_END * 2}"
    if value >= best * 5:
        return f"{_VERY_BAD}{_BOLD}{text}{_END * 2}"
    return f"{_BAD}{text}{_END * 2}" if value >= best * 2 else text
