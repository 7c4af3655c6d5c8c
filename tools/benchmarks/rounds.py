"""Alternating processes: subject, baseline, subject, baseline, ... over every group, several times."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence

from .comparison import Comparison
from .fingerprint import Fingerprint, difference
from .process import Settings, Side, readings
from .workload import Workload

Progress = Callable[[str], None]


def run(
    selected: Iterable[Workload], sides: Sequence[Side], settings: Settings, rounds: int, progress: Progress
) -> list[Comparison]:
    """Measure ``selected`` for the subject and the baseline, the two ``sides``.

    The two processes of a group follow each other at once, so that both meet the machine in the same state; a round
    covers every group, so that a disturbance of a minute spoils one reading of several and not all of one workload.
    An interrupt from the keyboard ends the rounds; the readings taken until then are returned.
    """
    comparisons = [Comparison(workload) for workload in selected]
    groups = [list(rows) for _, rows in itertools.groupby(comparisons, key=lambda row: row.workload.group)]
    try:
        for rows in itertools.chain.from_iterable(itertools.repeat(groups, rounds)):
            _measure(rows, sides, settings, progress)
    except KeyboardInterrupt:
        progress("interrupted")
    return comparisons


def _measure(rows: Sequence[Comparison], sides: Sequence[Side], settings: Settings, progress: Progress) -> None:
    """Add one reading of each side to those of ``rows`` that both libraries have, as far as is known."""
    present = {row.workload.key: row for row in rows if row.missing is None}
    marks: list[dict[str, Fingerprint]] = []
    for position, side in enumerate(sides):
        marks.append({})
        for reading in readings(side, settings, list(present)):
            key, row = reading["key"], present[reading["key"]]
            if "missing" in reading:
                row.missing = f"{side.library}: {reading['missing']}"
            else:
                row.values[position].append(reading["value"])
                marks[-1][key] = reading["fingerprint"]
            progress(f"{side.library}, {key}")
        for _ in range(len(rows) - len(present)):
            progress(side.library)
    for key in marks[0].keys() & marks[1].keys():
        present[key].disagreement = present[key].disagreement or difference(marks[0][key], marks[1][key])
