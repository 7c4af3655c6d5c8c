"""Quasirandom sequences: points that fill a cube evenly. This module requires SciPy."""

from __future__ import annotations

import warnings
from typing import Any, Self

import numpy as np

import flambeau
from flambeau._core import Tensor, dtype

__all__ = ["SobolEngine"]

_NO_SCIPY = "flambeau.quasirandom requires SciPy, which is not installed: pip install scipy"
_UNBALANCED = (
    "The balance properties of Sobol' points require n to be a power of 2. {before} points have been previously "
    "generated, then: n={before}+2**{m}={total}. If you still want to do this, please use 'SobolEngine.draw()' instead."
)


class _ScramblingBits(np.random.RandomState):
    """Generator for SciPy's scrambling that draws its integers from a flambeau generator.

    Args:
        generator: the flambeau generator. None means the default generator.
    """

    def __init__(self, generator: Any) -> None:
        super().__init__(0)
        self._source = generator

    def randint(self, low: Any, high: Any = None, size: Any = None, dtype: Any = int) -> Any:
        low, high = (0, low) if high is None else (low, high)
        return flambeau.randint(low, high, size, generator=self._source).numpy().astype(dtype)


class SobolEngine:
    """Generator of scrambled or unscrambled Sobol sequences in the unit cube.

    The points of a Sobol sequence cover the cube more evenly than independent random points.

    Args:
        dimension: dimension of the cube, from 1 to 21201.
        scramble: if True, randomise the sequence in a way that preserves its even coverage.
        seed: seed of the scrambling. If None, the default generator draws the numbers.
    Raises: ValueError if ``dimension`` is out of range; ImportError if SciPy is not installed.
    Source: Joe, Kuo 2008, "Constructing Sobol sequences with better two-dimensional projections"; Owen 1998,
        "Scrambling Sobol' and Niederreiter-Xing points".

    >>> flambeau.quasirandom.SobolEngine(2).draw(3)
    tensor([[0.0000, 0.0000],
            [0.5000, 0.5000],
            [0.7500, 0.2500]])
    """

    MAXBIT = 30
    MAXDIM = 21201

    def __init__(self, dimension: int, scramble: bool = False, seed: int | None = None) -> None:
        if not 1 <= dimension <= self.MAXDIM:
            raise ValueError(
                f"Supported range of dimensionality for SobolEngine is [1, {self.MAXDIM}], got {dimension}"
            )
        try:
            from scipy.stats.qmc import Sobol  # type: ignore[import-untyped, unused-ignore]
        except ModuleNotFoundError as error:
            raise ImportError(_NO_SCIPY, name=error.name) from None
        self.dimension, self.scramble, self.seed = dimension, scramble, seed
        generator = None if seed is None else flambeau.Generator().manual_seed(seed)
        self._sequence: Any = Sobol(dimension, scramble=scramble, bits=self.MAXBIT, seed=_ScramblingBits(generator))

    @property
    def num_generated(self) -> int:
        """The number of points that were drawn or skipped."""
        return int(self._sequence.num_generated)

    def draw(self, n: int = 1, out: Tensor | None = None, dtype: dtype | None = None) -> Tensor:
        """Return the next ``n`` points.

        Args:
            n: number of points.
            out: tensor that receives the points. It is resized if needed.
            dtype: dtype of the points. None means the default dtype.
        Returns: a tensor of shape ``(n, dimension)``.
        """
        with warnings.catch_warnings():  # SciPy warns if n is not a power of 2; draw_base2 checks this
            warnings.simplefilter("ignore", UserWarning)
            points = self._sequence.random(n)
        drawn = flambeau.from_numpy(points).to(flambeau.get_default_dtype() if dtype is None else dtype)
        return drawn if out is None else out.resize_(drawn.shape).copy_(drawn)

    def draw_base2(self, m: int, out: Tensor | None = None, dtype: dtype | None = None) -> Tensor:
        """Return the next ``2**m`` points. Raise ValueError if the total number of points is not a power of 2."""
        total = self.num_generated + 2**m
        if total & (total - 1):
            raise ValueError(_UNBALANCED.format(before=self.num_generated, m=m, total=total))
        return self.draw(2**m, out, dtype)

    def reset(self) -> Self:
        """Restart the sequence."""
        self._sequence.reset()
        return self

    def fast_forward(self, n: int) -> Self:
        """Skip ``n`` points."""
        self._sequence.fast_forward(n)
        return self

    def __repr__(self) -> str:
        scramble = ", scramble=True" if self.scramble else ""
        seed = "" if self.seed is None else f", seed={self.seed}"
        return f"SobolEngine(dimension={self.dimension}{scramble}{seed})"
