"""Random numbers that samplers and loaders draw: seeds, permutations and choices."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np

from ._tensors import HAS_TENSORS, PyTorchDraws, draw_integer, draw_long, draws_as_pytorch

_SEEDS = 2**63 - 1


@runtime_checkable
class TensorGenerator(Protocol):
    """The part of the interface of ``flambeau.Generator`` that this package uses."""

    def initial_seed(self) -> int: ...


Generator: TypeAlias = int | np.random.Generator | TensorGenerator | None

_NOT_A_GENERATOR = (
    "generator must be None, an int (a seed){or_generators}, got {found}. For a reproducible order write generator=0."
)


def keep_generator(generator: Generator) -> np.random.Generator | TensorGenerator | None:
    """Check the ``generator`` argument of a sampler or loader, and return it. Replace a seed with a new generator.

    Raises: TypeError for other types.
    """
    if isinstance(generator, int | np.integer) and not isinstance(generator, bool):
        return np.random.default_rng(generator)
    if generator is None or isinstance(generator, np.random.Generator):
        return generator
    if HAS_TENSORS and isinstance(generator, TensorGenerator):
        return generator
    of_numpy = "a numpy.random.Generator"
    or_generators = f", {of_numpy} or a flambeau.Generator" if HAS_TENSORS else f" or {of_numpy}"
    raise TypeError(_NOT_A_GENERATOR.format(or_generators=or_generators, found=type(generator).__name__))


class Draws(Protocol):
    """Interface of a source of permutations and choices: a NumPy generator, or PyTorchDraws."""

    def permutation(self, size: int) -> np.ndarray: ...

    def integers(self, high: int, size: int) -> np.ndarray: ...


def begin_draw(generator: np.random.Generator | TensorGenerator | None, direct: bool = False) -> Any:
    """Return a source of random numbers for one epoch, a :class:`Draws`.

    A NumPy generator is returned unchanged. A ``flambeau.Generator`` draws one number, which seeds a new NumPy
    generator. If ``generator`` is None, flambeau's default generator (see ``flambeau.manual_seed``) or, without
    tensor-core, NumPy's global state (see ``numpy.random.seed``) draws this number.

    A ``flambeau.Generator`` that produces the same numbers as PyTorch is used directly. If flambeau's default generator
    produces these numbers, it seeds a new generator for the epoch, as in PyTorch's ``RandomSampler``. If ``direct`` is
    True, it is used directly instead.
    """
    if isinstance(generator, np.random.Generator):
        return generator
    if draws_as_pytorch(generator):
        return PyTorchDraws(generator) if direct or generator is not None else PyTorchDraws.seeded(draw_long(None))
    return np.random.default_rng(draw_seed(generator))


def choose(draws: Any, weights: np.ndarray, size: int, replace: bool) -> np.ndarray:
    """Draw ``size`` indices with probabilities that are proportional to ``weights``."""
    if isinstance(draws, PyTorchDraws):
        return draws.choice(weights, size, replace)
    drawn: np.ndarray = draws.choice(len(weights), size, replace=replace, p=weights / weights.sum())
    return drawn


def draw_seed(generator: np.random.Generator | TensorGenerator | None) -> int:
    """Draw a seed for an epoch."""
    if isinstance(generator, np.random.Generator):
        return int(generator.integers(_SEEDS))
    if draws_as_pytorch(generator):
        return draw_long(generator)
    if HAS_TENSORS:
        return draw_integer(_SEEDS, generator)
    return int(np.random.randint(_SEEDS, dtype=np.int64))
