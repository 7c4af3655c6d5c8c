"""Random number generation on GPUs, which uses the default generator of the CPU.

A program draws the same numbers on a GPU as on the CPU, unless ``flambeau.random.use_pytorch_streams`` selects
PyTorch's numbers for the CPU. Seeding here is the same as ``flambeau.manual_seed``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flambeau import random
from flambeau._core import Generator, Tensor

from ._devices import device_count, index_of, is_available, require_gpu


def manual_seed(seed: int) -> None:
    """Seed the default generator. Without a GPU, only check the seed, as in PyTorch."""
    Generator().manual_seed(seed)
    if is_available():
        random.manual_seed(seed)


manual_seed_all = manual_seed


def seed() -> None:
    """Seed the default generator from the system's entropy. Does nothing without a GPU."""
    if is_available():
        random.seed()


seed_all = seed


def initial_seed() -> int:
    """Return the seed of the default generator."""
    require_gpu()
    return random.initial_seed()


def get_rng_state(device: Any = "cuda") -> Tensor:
    """Return the state of the default generator as a uint8 tensor on the CPU."""
    index_of(device)
    return random.default_generator._get_counters()


def set_rng_state(new_state: Tensor, device: Any = "cuda") -> None:
    """Set the state of the default generator."""
    index_of(device)
    random.default_generator._set_counters(new_state)


def get_rng_state_all() -> list[Tensor]:
    """Return the state of the default generator, once for each GPU."""
    return [random.default_generator._get_counters() for _ in range(device_count())]


def set_rng_state_all(new_states: Iterable[Tensor]) -> None:
    """Set the state of the default generator to the last of these states."""
    for state in new_states:
        require_gpu()
        random.default_generator._set_counters(state)
