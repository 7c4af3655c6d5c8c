"""Results with a number of rows that depends on tensor elements.

Note [Counts]
The number of True elements of a mask, or of boxes that non-maximum suppression keeps, is unknown before the file runs.
The tracer determines the sizes that depend on such a count in the same way as with dynamic dimensions
(Note [Dynamic dimensions]): the program runs several times, and each run changes the number of rows of each counted
result, regardless of the elements, by repeating or dropping rows. The numbers range from 1 to more than 1000, so that
bounds such as ``scores.topk(min(100, count))`` are detected.
"""

from __future__ import annotations

import random

from flambeau import Tensor, arange

COUNTED_TRACES = 5  # number of traces with other row counts, in addition to those with other sizes


class Counts:
    """Generator of numbers of rows for the results of one run whose size depends on elements.

    Args:
        run: the index of the run.
    """

    def __init__(self, run: int) -> None:
        self._random = random.Random(run)
        self._run = run % (COUNTED_TRACES + 1)
        self._index = 0  # index of the next counted result

    def _next(self) -> int:
        """Return the number of rows for the next result.

        In runs 2 and 3, the numbers are small. The two numbers of a result together identify it among the first 25
        results.
        """
        index, self._index = self._index, self._index + 1
        if self._run in (2, 3):
            return 1 + index % 5 if self._run == 2 else 2 + index // 5 % 5
        return self._random.randint(*{0: (7, 60), 1: (70, 190), 4: (210, 650), 5: (1050, 1400)}[self._run])

    def resized(self, rows: Tensor) -> Tensor:
        """Repeat or truncate ``rows`` so that it has the number of rows that is generated next."""
        count = self._next()
        if len(rows) == 0:
            return rows.new_zeros((count, *rows.shape[1:]))
        return rows.index_select(0, arange(count, device=rows.device) % len(rows))
