"""Seeds for each sample, so that its random numbers do not depend on workers, batches or order.

Note [Seeds]
~~~~~~~~~~~~
Before a sample is read, the generators of Python, NumPy and flambeau are seeded from the epoch's seed and the sample's
index. This costs 5 microseconds. Many datasets need less time for a sample, and most datasets draw no random numbers.
Therefore the loader always seeds the samples of the first batch. If the first batch draws no random numbers, the
samples of later batches are not seeded, and the loader checks after each batch whether it drew numbers. If a batch did
(some datasets augment only some samples), the loader makes this batch again with seeds, and seeds the samples of all
later batches. In the main process, the states of the generators are restored after each batch.
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
    """Return a 64-bit hash of a seed and an index, computed with the finaliser of splitmix64.

    If the index has no method ``__index__``, its ``repr`` is used.
    """
    number = int(index) if hasattr(index, "__index__") else zlib.crc32(repr(index).encode())
    z = (seed + (number + 1) * 0x9E3779B97F4A7C15) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


def ignore(index: Any) -> None:
    """Do nothing. This is the :data:`SeedSample` function if samples are not seeded."""


class Seeds:
    """Runner that makes batches, and seeds their samples if reading them draws random numbers (Note [Seeds]).

    Args:
        guest: True in the main process, where the generators must be restored after each batch.
    """

    def __init__(self, guest: bool) -> None:
        self._guest = guest
        self._draws: bool | None = None
        self.moves_shared: bool | None = None  # True if Python's or NumPy's generator was used

    @classmethod
    def without_draws(cls) -> Seeds:
        """Return an instance for a dataset that is known to draw no random numbers."""
        seeds = cls(guest=True)
        seeds._draws = seeds.moves_shared = False
        return seeds

    def run(self, make: Callable[[SeedSample], T], epoch_seed: int) -> T:
        """Call ``make(seed_sample)``, which must call ``seed_sample(index)`` before it reads a sample."""
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
        seeded = _SeededCall(epoch_seed, watch=not self._draws)
        try:
            return make(seeded)
        finally:
            self._draws, moves_shared = seeded.drew()
            self.moves_shared = self.moves_shared or moves_shared
            if saved is not None:
                _random_state.restore(saved)


class _SeededCall:
    """Callable that seeds each sample, and detects draws if ``watch`` is True."""

    def __init__(self, epoch_seed: int, watch: bool) -> None:
        self._epoch_seed = epoch_seed
        self._watch = watch
        self._mark: _random_state.Mark | None = None
        self._drew = not watch
        self._moved_shared = False

    def __call__(self, index: Any) -> None:
        self._compare_states()
        _random_state.seed_all(mix(self._epoch_seed, index))
        if self._watch:
            self._mark = _random_state.mark()

    def _compare_states(self) -> None:
        if self._mark is not None:
            now = _random_state.mark()
            self._drew |= now != self._mark
            self._moved_shared |= now[:2] != self._mark[:2]

    def drew(self) -> tuple[bool, bool]:
        """Return two booleans: if any generator drew a random number, and if the generator of Python or NumPy did."""
        self._compare_states()
        return self._drew, self._moved_shared
