"""Random numbers on GPUs, which are the CPU's: there is one default generator, whatever the device.

A program draws the same numbers on a GPU as on the CPU (unless ``flambeau.random.use_pytorch_streams`` has chosen
PyTorch's for the CPU), and what is seeded here is what ``flambeau.manual_seed`` seeds.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flambeau import random
from flambeau._core import Tensor

from ._devices import demand, device_count, index_of, is_available


def manual_seed(seed: int) -> None:
    """Seeds the default generator; does nothing where there is no GPU, as in PyTorch."""
    if is_available():
        random.manual_seed(seed)


manual_seed_all = manual_seed


def seed() -> None:
    """Seeds the default generator from the system's entropy; does nothing where there is no GPU."""
    if is_available():
        random.seed()


seed_all = seed


def initial_seed() -> int:
    """The default generator's seed."""
    demand()
    return random.initial_seed()


def get_rng_state(device: Any = "cuda") -> Tensor:
    """The default generator's state, a uint8 tensor on the CPU."""
    index_of(device)
    return random.default_generator._get_counters()


def set_rng_state(new_state: Tensor, device: Any = "cuda") -> None:
    """Restores the default generator's state."""
    index_of(device)
    random.default_generator._set_counters(new_state)


def get_rng_state_all() -> list[Tensor]:
    """The default generator's state, once for each GPU."""
    return [random.default_generator._get_counters() for _ in range(device_count())]


def set_rng_state_all(new_states: Iterable[Tensor]) -> None:
    """Restores the default generator's state from the last of these."""
    for state in new_states:
        demand()
        random.default_generator._set_counters(state)
