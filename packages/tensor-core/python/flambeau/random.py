"""The default generator: seeds, states, and a scope that leaves it as it was."""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

from flambeau._core import (
    Generator,
    Tensor,
    _draw_again,
    _go_on,
    _random_place,
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
    """Draw the numbers on the CPU that PyTorch 2.13 draws from the same seed, or flambeau's own again.

    flambeau's generators are counter-based (Philox): each thread computes its part of the numbers. PyTorch's CPU
    generator is sequential (MT19937), and its operators take numbers in the order of memory. While this is enabled,
    ``manual_seed(0)`` followed by ``rand``, ``randn``, ``randperm``, dropout, initialisers, samplers of data loaders
    and so on gives PyTorch's values: bit for bit where both compute them alike, else within a rounding. The state of
    a generator then has PyTorch's 5056 bytes. Numbers on GPUs stay those of Philox, which differ from PyTorch's.

    It holds for generators that are made or seeded afterwards. A change starts the default generator anew from its
    seed; a call that changes nothing does nothing. ``flambeau.torch.install()`` enables it.

    Args:
        enabled: True for PyTorch's numbers, False for flambeau's.
    Source: Matsumoto and Nishimura 1998, doi:10.1145/272991.272995; the values are those that PyTorch's builds for
        processors with AVX2 give.

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

    A process that does not call this draws other numbers each time it runs.

    Args:
        seed: between -2**63 and 2**64 - 1; negative ones wrap. ValueError beyond.

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
    """Seed the default generator from the system's entropy and return the seed."""
    return default_generator.seed()


def initial_seed() -> int:
    """Return the default generator's seed, which is drawn from the system's entropy unless a program sets it."""
    return default_generator.initial_seed()


def get_rng_state() -> Tensor:
    """The default generator's state, a uint8 tensor."""
    return default_generator.get_state()


def set_rng_state(new_state: Tensor) -> None:
    """Restores the default generator's state."""
    default_generator.set_state(new_state)


@contextlib.contextmanager
def fork_rng(
    devices: Iterable[Any] | None = None,
    enabled: bool = True,
    _caller: str = "fork_rng",
    _devices_kw: str = "devices",
    device_type: str = "cuda",
) -> Iterator[None]:
    """Restores the default generator's state at the end of the ``with`` block, where ``enabled``.

    ``devices`` and ``device_type`` name GPUs whose generators are restored as well: theirs is the default generator.
    """
    state, counters = get_rng_state(), default_generator._get_counters()
    try:
        yield
    finally:
        if enabled:
            set_rng_state(state)
            default_generator._set_counters(counters)


@contextlib.contextmanager
def _drawing_again(place: Any) -> Iterator[None]:
    """Draws the numbers that followed a ``_random_place()``, also those of a CUDA graph, and goes on as before then."""
    former = _random_place()
    _draw_again(place)
    try:
        yield
    finally:
        _go_on(former)
