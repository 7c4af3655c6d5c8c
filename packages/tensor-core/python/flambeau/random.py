"""Functions for the default random generator: seeds, states, and a context manager that restores its state."""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

from flambeau._core import (
    Generator,
    Tensor,
    _random_position,
    _repeat_random_numbers,
    _restore_random_position,
    _use_pytorch_streams,
    default_generator,
)

__all__ = [
    "default_generator",
    "fork_rng",
    "get_rng_state",
    "initial_seed",
    "manual_seed",
    "seed",
    "set_rng_state",
    "use_pytorch_streams",
]


def use_pytorch_streams(enabled: bool = True) -> None:
    """Enable or disable PyTorch's random number streams on the CPU.

    When enabled, the CPU generators draw the numbers that PyTorch 2.13 draws from the same seed.

    flambeau's own generators are counter-based (Philox), so that each thread can compute its part of the numbers.
    PyTorch's CPU generator is sequential (MT19937), and its operators consume numbers in memory order. While PyTorch's
    streams are enabled, ``manual_seed(0)`` followed by ``rand``, ``randn``, ``randperm``, dropout, initialisers, data
    loader samplers and so on gives PyTorch's values. They are bitwise equal if both libraries use the same arithmetic,
    and equal up to rounding otherwise. The state of a generator then has 5056 bytes, as in PyTorch. On GPUs, numbers
    still come from flambeau's Philox streams, which differ from PyTorch's.

    The setting applies to generators that are created or seeded afterwards. A change restarts the default generator
    from its seed. A call that does not change the setting has no effect. ``flambeau.torch.install()`` enables the
    setting.

    Args:
        enabled: True for PyTorch's numbers, False for flambeau's numbers.
    Raises: TypeError if ``enabled`` is not a bool.
    Source: Matsumoto and Nishimura 1998, doi:10.1145/272991.272995; the values match PyTorch's builds for processors
        with AVX2.

    >>> import flambeau
    >>> flambeau.random.use_pytorch_streams()
    >>> generator = flambeau.manual_seed(0)
    >>> flambeau.rand(3)
    tensor([0.4963, 0.7682, 0.0885])
    >>> flambeau.random.use_pytorch_streams(False)
    """
    if not isinstance(enabled, bool):
        raise TypeError(f"use_pytorch_streams: enabled must be a bool, got {enabled!r}")
    _use_pytorch_streams(enabled)


def manual_seed(seed: int) -> Generator:
    """Seed the default generator and return it.

    A process that does not call this function draws different numbers in each run.

    Args:
        seed: an integer from -2**63 to 2**64 - 1. Negative values wrap around.
    Raises: ValueError if ``seed`` is out of range.

    >>> import flambeau
    >>> a = flambeau.manual_seed(0) and flambeau.rand(2)
    >>> b = flambeau.manual_seed(0) and flambeau.rand(2)
    >>> flambeau.equal(a, b)
    True
    """
    try:
        number = int(seed)
    except (TypeError, ValueError, OverflowError) as error:
        raise type(error)(
            f"manual_seed: seed must be an int, got {seed!r} of type {type(seed).__name__}; "
            "flambeau.seed() draws one from the system's entropy"
        ) from None
    return default_generator.manual_seed(number)


def seed() -> int:
    """Seed the default generator from the system's entropy and return the seed.

    >>> fb.seed() == fb.initial_seed()
    True
    """
    return default_generator.seed()


def initial_seed() -> int:
    """Return the seed of the default generator. Without a call that sets it, the seed comes from the system's entropy.

    >>> _ = fb.manual_seed(7)
    >>> fb.initial_seed()
    7
    """
    return default_generator.initial_seed()


def get_rng_state() -> Tensor:
    """Return the state of the default generator as a uint8 tensor.

    >>> state = fb.get_rng_state()
    >>> x = fb.rand(3)
    >>> fb.set_rng_state(state)
    >>> fb.equal(fb.rand(3), x)
    True
    """
    return default_generator.get_state()


def set_rng_state(new_state: Tensor) -> None:
    """Set the state of the default generator. See `get_rng_state`."""
    default_generator.set_state(new_state)


@contextlib.contextmanager
def fork_rng(
    devices: Iterable[Any] | None = None,
    enabled: bool = True,
    _caller: str = "fork_rng",
    _devices_kw: str = "devices",
    device_type: str = "cuda",
) -> Iterator[None]:
    """Restore the state of the default generator at the end of the ``with`` block if ``enabled``.

    This also restores the random numbers of all GPUs, because GPUs use the default generator. ``devices`` and
    ``device_type`` are accepted for compatibility with PyTorch.

    >>> _ = fb.manual_seed(0)
    >>> with fb.random.fork_rng():
    ...     _ = fb.manual_seed(42)
    ...     x = fb.rand(3)
    >>> fb.initial_seed()
    0
    """
    state, counters = get_rng_state(), default_generator._get_counters()
    try:
        yield
    finally:
        if enabled:
            set_rng_state(state)
            default_generator._set_counters(counters)


@contextlib.contextmanager
def _repeated_random_numbers(position: Any) -> Iterator[None]:
    """Draw the random numbers that followed ``position`` again within a block, including the numbers of CUDA graphs.

    ``position`` is a result of ``_random_position()``. The end of the block restores the position before the block.
    """
    former = _random_position()
    _repeat_random_numbers(position)
    try:
        yield
    finally:
        _restore_random_position(former)
