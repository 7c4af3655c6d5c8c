"""The report as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from .comparison import DIFFERS, MET, MISSING, UNMEASURED, Comparison

HEADINGS = ("ratio", "range", "at most", "status")


def table(comparisons: Sequence[Comparison], subject: str, baseline: str) -> str:
    """Return all rows under the headings of their groups, then a line with the numbers of targets met and missed."""
    width = max(len(comparison.workload.name) for comparison in comparisons) + 2
    lines = [_line(width, "", subject, baseline, *HEADINGS)]
    for group, rows in groupby(comparisons, key=lambda comparison: comparison.group):
        lines += ["", group, *(_row(width, row) for row in rows)]
    return "\n".join([*lines, "", *_summary(comparisons)])


def quantity(value: float | None, unit: str | None) -> str:
    """Format a value, by default a time in seconds, with three digits and its unit.

    >>> quantity(1.8e-7, None), quantity(0.0032, None), quantity(26.04, "MB"), quantity(None, "ms")
    ('180 ns', '3.20 ms', '26.0 MB', '-')
    """
    if value is None:
        return "-"
    if unit is None:
        scale, unit = next((pair for pair in SECONDS if value < 999.5 * pair[0]), SECONDS[-1])
        value /= scale
    digits = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:.{digits}f} {unit}"


SECONDS = ((1e-9, "ns"), (1e-6, "µs"), (1e-3, "ms"), (1.0, "s"))


def _row(width: int, comparison: Comparison) -> str:
    workload, (subject, baseline) = comparison.workload, comparison.medians
    ratio = "-" if comparison.ratio is None else f"{comparison.ratio:.2f}"
    spread = "-" if comparison.spread is None else "{:.2f}-{:.2f}".format(*comparison.spread)
    target = "-" if workload.at_most is None else f"{workload.at_most:g} {workload.unit or ''}".strip()
    values = quantity(subject, workload.unit), quantity(baseline, workload.unit)
    status = f"{comparison.status}, unsure" if comparison.is_undecided else comparison.status
    line = _line(width, f"  {workload.name}", *values, ratio, spread, target, status)
    note = comparison.missing or comparison.disagreement
    return f"{line}: {note}" if note else line


def _line(width: int, name: str, subject: str, baseline: str, ratio: str, spread: str, target: str, status: str) -> str:
    return f"{name:<{width}} {subject:>9} {baseline:>9} {ratio:>7} {spread:>11} {target:>8}  {status}"


def _summary(comparisons: Sequence[Comparison]) -> Iterator[str]:
    targeted = [comparison for comparison in comparisons if comparison.workload.at_most is not None]
    met = sum(comparison.status == MET for comparison in targeted)
    yield f"{met} of {len(targeted)} targets met"
    for comparison in targeted:
        if comparison.status != MET:
            yield f"  {comparison.status}: {comparison.workload.key}"
    for status in (MISSING, DIFFERS, UNMEASURED):
        count = sum(comparison.status == status and comparison.workload.at_most is None for comparison in comparisons)
        if count:
            yield f"{count} workloads without a target: {status}"
