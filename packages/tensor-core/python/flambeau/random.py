"""The default generator: seeds, states, and a scope that leaves it as it was."""

import contextlib
from collections.abc import Iterator

from flambeau import _core
from flambeau._core import Tensor, default_generator

__all__ = [
    "default_generator",
    "fork_rng",
    "get_rng_state",
    "initial_seed",
    "manual_seed",
    "seed",
    "set_rng_state",
]


def manual_seed(seed: int) -> _core.Generator:
    """Seeds the default generator and returns it.

    >>> import flambeau
    >>> a = flambeau.manual_seed(0) and flambeau.rand(2)
    >>> b = flambeau.manual_seed(0) and flambeau.rand(2)
    >>> flambeau.equal(a, b)
    True
    """
    return default_generator.manual_seed(int(seed))


def seed() -> int:
    """Seeds the default generator from the system's entropy and returns the seed."""
    return default_generator.seed()


def initial_seed() -> int:
    """The default generator's seed."""
    return default_generator.initial_seed()


def get_rng_state() -> Tensor:
    """The default generator's state, a uint8 tensor."""
    return default_generator.get_state()


def set_rng_state(new_state: Tensor) -> None:
    """Restores the default generator's state."""
    default_generator.set_state(new_state)


@contextlib.contextmanager
def fork_rng(enabled: bool = True) -> Iterator[None]:
    """Restores the default generator's state at the end of the ``with`` block."""
    state = get_rng_state()
    try:
        yield
    finally:
        if enabled:
            set_rng_state(state)
