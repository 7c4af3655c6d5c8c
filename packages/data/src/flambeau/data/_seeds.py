"""The same random numbers for a sample, whoever reads it: any number of workers, any batch, any order.

Note [Seeds]
~~~~~~~~~~~~
Before a sample is read, Python's, NumPy's and flambeau's generators are seeded from (the epoch's seed, the sample's
index). That costs 5 microseconds, more than many datasets need for a sample, and most draw nothing. So the first batch
is seeded sample by sample; if nobody drew, further batches are only checked for it afterwards. One that did draw (some
datasets augment some samples) is made once more, with seeds, and so are all that follow. In the process of the program
the generators are afterwards as they were before.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any, TypeVar

from . import _random_state

T = TypeVar("T")
SeedSample = Callable[[Any], None]
_MASK = 2**64 - 1


def mix(seed: int, index: Any) -> int:
    """64 well-mixed bits of both (the finaliser of splitmix64). An index may be anything that has a ``repr``."""
    number = int(index) if hasattr(index, "__index__") else zlib.crc32(repr(index).encode())
    z = (seed + (number + 1) * 0x9E3779B97F4A7C15) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


def ignore(index: Any) -> None:
    """A :data:`SeedSample` that does nothing."""


class Seeds:
    """What is known of whether making a batch draws random numbers.

    Args:
        guest: whether this is the process of the program, whose generators are to stay as they are.
    """

    def __init__(self, guest: bool) -> None:
        self._guest = guest
        self._draws: bool | None = None
        self.moves_shared: bool | None = None  # whether Python's or NumPy's generator was drawn from

    @classmethod
    def of_nothing_drawn(cls) -> Seeds:
        seeds = cls(guest=True)
        seeds._draws = seeds.moves_shared = False
        return seeds

    def run(self, make: Callable[[SeedSample], T], epoch_seed: int) -> T:
        """``make(seed_sample)``, which is to call ``seed_sample`` with the index of each sample before it is read."""
        if self._draws is False:
            before = _random_state.mark()
            try:
                return_value = make(ignore)
            except Exception:
                if _random_state.mark() == before:
                    raise
            else:
                if _random_state.mark() == before:
                    return return_value
            if self._guest:
                _random_state.restore(_random_state.save_from(before))
        return self._run_seeded(make, epoch_seed)

    def _run_seeded(self, make: Callable[[SeedSample], T], epoch_seed: int) -> T:
        saved = _random_state.save() if self._guest else None
        seeded = _Seeded(epoch_seed, watch=not self._draws)
        try:
            return make(seeded)
        finally:
            self._draws, moves_shared = seeded.drew()
            self.moves_shared = self.moves_shared or moves_shared
            if saved is not None:
                _random_state.restore(saved)


class _Seeded:
    """Seeds each sample; finds out whether anybody drew, where that is not known yet."""

    def __init__(self, epoch_seed: int, watch: bool) -> None:
        self._epoch_seed = epoch_seed
        self._watch = watch
        self._mark: _random_state.Mark | None = None
        self._drew = not watch
        self._moved_shared = False

    def __call__(self, index: Any) -> None:
        self._look()
        _random_state.seed_all(mix(self._epoch_seed, index))
        if self._watch:
            self._mark = _random_state.mark()

    def _look(self) -> None:
        if self._mark is not None:
            now = _random_state.mark()
            self._drew |= now != self._mark
            self._moved_shared |= now[:2] != self._mark[:2]

    def drew(self) -> tuple[bool, bool]:
        """Whether anybody drew, and whether from a generator that threads share."""
        self._look()
        return self._drew, self._moved_shared
