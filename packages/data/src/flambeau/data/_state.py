"""State of a loader during a pass, from which a program can resume with the next batch."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np

from . import _random, _random_state, _tensors
from .sampler import Slices

State: TypeAlias = dict[str, Any]
_KEYS = {"delivered", "generators", "process", "length"}


def generator_state(generator: Any) -> Mapping[str, Any] | list[Any]:
    """Return the state of a generator, made of Python's built-in types."""
    if isinstance(generator, np.random.Generator):
        return generator.bit_generator.state
    return list(_tensors.state_of(generator))


def _set_generator_state(generator: Any, state: Any) -> None:
    """Set the state of a generator. Raises: ValueError if the state is from a generator of another type."""
    if isinstance(generator, np.random.Generator) != isinstance(state, dict):
        kinds = ("numpy.random.Generator", "flambeau.Generator")
        saved, own = kinds if isinstance(state, dict) else reversed(kinds)
        raise ValueError(f"the state was saved with a {saved}, but this DataLoader has a {own}")
    if isinstance(state, dict):
        generator.bit_generator.state = state
    else:
        _tensors.set_state(generator, state)


class InitialState:
    """Random state at the beginning of a pass.

    Args:
        generators: states of the generators of the loader and its samplers.
        process: states of the global generators, which are used if the loader has no generator.
        seed: seed of the pass if persistent workers already have a seed; None if the pass draws a seed.
    """

    def __init__(self, generators: list[Any], process: Any, seed: int | None = None) -> None:
        self._generators = generators
        self._process = process
        self._seed = seed

    @classmethod
    def capture(cls, generators: list[Any], seed: int | None) -> InitialState:
        return cls([generator_state(generator) for generator in generators], _plain(_random_state.save()), seed)

    def state(self, delivered: int, length: int | None) -> State:
        return {
            "delivered": delivered,
            "length": length,
            "generators": self._generators,
            "process": self._process,
            "seed": self._seed,
        }

    def restart(
        self, begin: Callable[[int | None], tuple[int, Iterator[Any]]], delivered: int
    ) -> tuple[int, Iterator[Any]]:
        """Begin the pass again and skip the delivered batches. The states of the global generators do not change.

        Args:
            begin: function that takes a seed, and returns the seed and the requests of a pass. If the argument is None,
                it draws a seed.
            delivered: number of batches to skip.
        Returns: the seed and the remaining requests.
        """
        saved = _random_state.save()
        try:
            _random_state.restore(_from_plain(self._process))
            epoch_seed, requests = begin(self._seed)
            if isinstance(requests, Slices):
                requests.skip(delivered)
                return epoch_seed, requests
            # Request the first item here, because samplers draw random numbers in the first call of next().
            first = list(itertools.islice(requests, delivered, delivered + 1))
        finally:
            _random_state.restore(saved)
        return epoch_seed, itertools.chain(first, requests)


def between_passes(generators: list[Any], length: int | None) -> State:
    """Return the state of a loader before it begins a pass."""
    return InitialState([generator_state(generator) for generator in generators], None).state(0, length)


def set_generators(generators: list[Any], state: State) -> None:
    for generator, its_state in zip(generators, state["generators"], strict=True):
        _set_generator_state(generator, its_state)


def check(state: Any, generators: list[Any], length: int | None) -> None:
    """Raise TypeError if a value is not a state, and ValueError if it is the state of a different loader."""
    if not isinstance(state, dict) or not state.keys() >= _KEYS:
        raise TypeError(f"load_state_dict expects a result of DataLoader.state_dict(), got {_short_description(state)}")
    if state["length"] != length:
        raise ValueError(
            f"the state was saved by a DataLoader with {_batches(state['length'])}, but this one has {_batches(length)}"
        )
    if len(state["generators"]) != len(generators):
        counts = f"{len(state['generators'])} generators, but this one has {len(generators)}"
        raise ValueError(f"the state was saved by a DataLoader with {counts}")


def _batches(length: int | None) -> str:
    return "an unknown number of batches" if length is None else f"{length} batches"


def _plain(saved: tuple[Any, Any, Any]) -> list[Any]:
    """Convert saved states to Python's built-in types, which any file format can store."""
    python, (name, words, position, has_gauss, gauss), tensors = saved
    version, numbers, gauss_next = python
    tensor_words = None if tensors is None else list(tensors)
    return [[version, list(numbers), gauss_next], [name, words.tolist(), position, has_gauss, gauss], tensor_words]


def _from_plain(plain: Any) -> tuple[Any, Any, Any]:
    (version, numbers, gauss_next), (name, words, position, has_gauss, gauss), tensors = plain
    arrays = (name, np.array(words, dtype=np.uint32), position, has_gauss, gauss)
    return (version, tuple(numbers), gauss_next), arrays, tensors


def _short_description(value: Any) -> str:
    return f"a dict with the keys {sorted(map(str, value))}" if isinstance(value, dict) else type(value).__name__


def generators_of(*owners: Any) -> list[Any]:
    """Return the generators of the given objects, without duplicates."""
    generators = [owner.generator for owner in owners if getattr(owner, "generator", None) is not None]
    known = [g for g in generators if isinstance(g, np.random.Generator | _random.TensorGenerator)]
    return [
        generator for index, generator in enumerate(known) if not any(generator is other for other in known[:index])
    ]
