"""Sequences of points that fill a cube evenly. Their numbers come from SciPy, which has to be installed."""

from __future__ import annotations

import warnings
from typing import Any, Self

import flambeau
from flambeau._core import Tensor, dtype

__all__ = ["SobolEngine"]

_NO_SCIPY = "flambeau.quasirandom takes the numbers of the Sobol sequence from SciPy: pip install scipy"
_UNBALANCED = (
    "The balance properties of Sobol' points require n to be a power of 2. {before} points have been previously "
    "generated, then: n={before}+2**{m}={total}. If you still want to do this, please use 'SobolEngine.draw()' instead."
)


class SobolEngine:
    """Points of the Sobol sequence in the unit cube, each more even with those before than random ones.

    Args:
        dimension: of the cube, 1 to 21201.
        scramble: randomise the sequence and keep what is even in it.
        seed: of the randomisation; from the default generator if None. The numbers are not those of PyTorch's seeds.
    Raises: ValueError for another dimension; ImportError without SciPy.
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
            raise ValueError(f"Supported range of dimensionality for SobolEngine is [1, {self.MAXDIM}]")
        try:
            from scipy.stats.qmc import Sobol  # type: ignore[import-untyped, unused-ignore]
        except ModuleNotFoundError as error:
            raise ImportError(_NO_SCIPY, name=error.name) from None
        self.dimension, self.scramble, self.seed = dimension, scramble, seed
        drawn = int(flambeau.randint(2**31, (1,)).item()) if scramble and seed is None else seed
        self._sequence: Any = Sobol(dimension, scramble=scramble, bits=self.MAXBIT, seed=drawn)

    @property
    def num_generated(self) -> int:
        """How many points were drawn or passed over."""
        return int(self._sequence.num_generated)

    def draw(self, n: int = 1, out: Tensor | None = None, dtype: dtype | None = None) -> Tensor:
        """The next ``n`` points, ``(n, dimension)``.

        Args:
            n: how many.
            out: where they go.
            dtype: the default dtype if None.
        """
        with warnings.catch_warnings():  # of numbers that are no power of 2, which draw_base2 insists on
            warnings.simplefilter("ignore", UserWarning)
            points = self._sequence.random(n)
        drawn = flambeau.from_numpy(points).to(flambeau.get_default_dtype() if dtype is None else dtype)
        return drawn if out is None else out.resize_(drawn.shape).copy_(drawn)

    def draw_base2(self, m: int, out: Tensor | None = None, dtype: dtype | None = None) -> Tensor:
        """The next ``2**m`` points; ValueError where, with those before, they are no power of 2."""
        total = self.num_generated + 2**m
        if total & (total - 1):
            raise ValueError(_UNBALANCED.format(before=self.num_generated, m=m, total=total))
        return self.draw(2**m, out, dtype)

    def reset(self) -> Self:
        """Begins anew."""
        self._sequence.reset()
        return self

    def fast_forward(self, n: int) -> Self:
        """Passes over ``n`` points."""
        self._sequence.fast_forward(n)
        return self

    def __repr__(self) -> str:
        scramble = ", scramble=True" if self.scramble else ""
        seed = "" if self.seed is None else f", seed={self.seed}"
        return f"SobolEngine(dimension={self.dimension}{scramble}{seed})"
