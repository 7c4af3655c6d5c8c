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
        seeded = _Seeded(epoch_seed, watch=self._draws is None)
        self._draws = True
        try:
            result = make(seeded)
            self._draws = seeded.drew()
        finally:
            if saved is not None:
                _random_state.restore(saved)
        return result


class _Seeded:
    """Seeds each sample; finds out whether anybody drew, if asked to."""

    def __init__(self, epoch_seed: int, watch: bool) -> None:
        self._epoch_seed = epoch_seed
        self._mark: Any = None
        self._watch = watch
        self._drew = not watch

    def __call__(self, index: Any) -> None:
        self.drew()
        _random_state.seed_all(mix(self._epoch_seed, index))
        if self._watch:
            self._mark = _random_state.mark()

    def drew(self) -> bool:
        if self._watch and self._mark is not None and not self._drew:
            self._drew = _random_state.mark() != self._mark
        return self._drew
