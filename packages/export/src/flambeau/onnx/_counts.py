"""Results whose number of rows depends on the elements of tensors.

Note [Counts]
The number of elements of a mask that are True, or of boxes that suppression keeps, is not known before the file runs.
The tracer finds out which sizes depend on such a count as with dynamic dimensions (Note [Dynamic dimensions]): the
program runs several times, and in each run every such result has another number of rows, whatever the tensors hold.
Rows are repeated or left out to that end. The numbers range from 1 to more than 1000, so that bounds such as
``scores.topk(min(100, count))`` show.
"""

from __future__ import annotations

import random

from flambeau import Tensor, arange

COUNTED_TRACES = 5  # beyond those at other sizes


class Counts:
    """Numbers of rows of the results in one run.

    Args:
        run: the number of the run.
    """

    def __init__(self, run: int) -> None:
        self._random = random.Random(run)
        self._run = run % (COUNTED_TRACES + 1)
        self._place = 0  # of the next result

    def _next(self) -> int:
        """Return a number that is small in two of the runs, which differ for any two of the first 25 results."""
        place, self._place = self._place, self._place + 1
        if self._run in (2, 3):
            return 1 + place % 5 if self._run == 2 else 2 + place // 5 % 5
        return self._random.randint(*{0: (7, 60), 1: (70, 190), 4: (210, 650), 5: (1050, 1400)}[self._run])

    def resized(self, rows: Tensor) -> Tensor:
        """Return the rows, repeated or left out to the next number."""
        count = self._next()
        if len(rows) == 0:
            return rows.new_zeros((count, *rows.shape[1:]))
        return rows.index_select(0, arange(count, device=rows.device) % len(rows))
