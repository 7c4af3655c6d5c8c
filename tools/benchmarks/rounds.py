"""Alternating processes: subject, baseline, subject, baseline, ... over every group, several times."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence

from .comparison import Comparison
from .fingerprint import Fingerprint, difference
from .process import Settings, Side, readings
from .workload import Workload

Progress = Callable[[str], None]


def run(
    selected: Iterable[Workload],
    subject: Side,
    baselines: Mapping[str, Side],
    settings: Settings,
    rounds: int,
    progress: Progress,
) -> list[Comparison]:
    """Measure ``selected`` for the subject and the baselines.

    The processes of a group run directly one after another, so that the machine is in the same state for all sides. A
    round covers every group, so that a short disturbance affects only one of a workload's readings. A keyboard
    interrupt ends the rounds, and the readings so far are returned.

    Args:
        baselines: dictionary from the names in ``Workload.baselines`` to sides. A single baseline has the name "".
    """
    comparisons = [row for workload in selected for row in compared(workload, baselines)]
    groups = [list(rows) for _, rows in itertools.groupby(comparisons, key=lambda row: row.workload.group)]
    try:
        for rows in itertools.chain.from_iterable(itertools.repeat(groups, rounds)):
            _measure(rows, subject, baselines, settings, progress)
    except KeyboardInterrupt:
        progress("interrupted")
    return comparisons


def compared(workload: Workload, baselines: Iterable[str]) -> list[Comparison]:
    """Return a comparison with each baseline of the workload. The comparisons share the readings of the subject."""
    of_subject: list[float] = []
    names = [name for name in baselines if name in (workload.baselines or ("",))]
    return [Comparison(workload, (of_subject, []), baseline=name) for name in names]


def _measure(
    rows: Sequence[Comparison], subject: Side, baselines: Mapping[str, Side], settings: Settings, progress: Progress
) -> None:
    """Measure each side once and add the readings to ``rows``, except to rows that were missing in an earlier round."""
    marks: dict[str, Fingerprint] = {}
    missing = {id(row) for row in rows if row.missing is not None}
    sides: tuple[tuple[str | None, Side], ...] = ((None, subject), *baselines.items())
    for name, side in sides:
        by_workload: dict[str, list[Comparison]] = {}
        for row in rows:
            if name in (None, row.baseline):
                by_workload.setdefault(row.workload.key, []).append(row)
        present = [key for key, comparisons in by_workload.items() if not missing.issuperset(map(id, comparisons))]
        for reading in readings(side, settings, present) if present else ():
            comparisons = by_workload[reading["key"]]
            if "missing" in reading:
                for row in comparisons:
                    row.missing = row.missing or f"{side.label}: {reading['missing']}"
            elif name is None:
                comparisons[0].values[0].append(reading["value"])
                marks[reading["key"]] = reading["fingerprint"]
            else:
                _add(comparisons[0], reading["value"], reading["fingerprint"], marks.get(reading["key"]))
            progress(f"{side.label}, {reading['key']}")
        for _ in range(len(by_workload) - len(present)):
            progress(side.label)


def _add(row: Comparison, value: float, mark: Fingerprint, of_subject: Fingerprint | None) -> None:
    row.values[1].append(value)
    if of_subject is not None:
        row.disagreement = row.disagreement or difference(of_subject, mark)
