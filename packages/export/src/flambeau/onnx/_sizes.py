"""Sizes that are known at run time: polynomials of dynamic dimensions.

Note [Dynamic dimensions]
Python sees ints when it reads a tensor's shape, and computes with them: ``x.view(len(x), -1)`` is the call
``view(8, -1)``, which does not show that 8 came from the input. So a program with dynamic dimensions is traced several
times with different sizes, and the traces are compared. A number that is equal in all traces is a constant. A number
that differs is replaced with a polynomial of the dimensions that interpolates its values and is linear in each
dimension. Traces with one dimension three times as large confirm the polynomial. If some coefficients are fractions, as
for ``size // 2``, further traces with odd sizes check if rounding down is correct. If the program fails with odd sizes
or calls other operators, odd sizes are not supported. A size that is not a polynomial of the inputs' sizes, such as the
output size of a convolution, is measured when the file runs: it becomes another dimension, from which other sizes are
computed.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor, lcm, prod

Monomial = tuple[str, ...]  # factors in alphabetical order
# Smaller sizes, such as the size of a batch, grow little in the traces with odd sizes, so that these need less memory.
_SMALL = 8


@dataclass(frozen=True)
class Size:
    """Polynomial of dimensions with rational coefficients. Its value is an integer for all supported sizes."""

    terms: Mapping[Monomial, Fraction]

    def at(self, sizes: Mapping[str, int]) -> Fraction:
        """Return the value of the polynomial for the dimensions' ``sizes``."""
        return sum((c * prod(sizes[name] for name in names) for names, c in self.terms.items()), Fraction(0))

    @property
    def denominator(self) -> int:
        return lcm(*(c.denominator for c in self.terms.values()))

    def __str__(self) -> str:
        texts = ["*".join([*([str(c)] if c != 1 or not names else []), *names]) for names, c in self.terms.items()]
        return " + ".join(texts)


def plus(a: int | Size, b: int | Size) -> int | Size:
    """Return the sum of two sizes."""
    if isinstance(a, int) and isinstance(b, int):
        return a + b
    terms: dict[Monomial, Fraction] = {}
    for x in (a, b):
        for names, c in (x.terms if isinstance(x, Size) else {(): Fraction(x)}).items():
            terms[names] = terms.get(names, Fraction(0)) + c
    return Size(terms)


def times(a: int | Size, b: int | Size) -> int | Size:
    """Return the product of two sizes."""
    if isinstance(a, int) and isinstance(b, int):
        return a * b
    terms: dict[Monomial, Fraction] = {}
    for left, c in (a.terms if isinstance(a, Size) else {(): Fraction(a)}).items():
        for right, d in (b.terms if isinstance(b, Size) else {(): Fraction(b)}).items():
            names = tuple(sorted((*left, *right)))
            terms[names] = terms.get(names, Fraction(0)) + c * d
    return Size({names: c for names, c in terms.items() if c})


class Samples:
    """Sizes for the traces, and the interpolation of numbers from their values in the traces.

    Args:
        first: size of each dimension in the first trace.

    Attributes:
        traced: for each trace, the sizes of the dimensions.
        odd: further sizes for traces, mostly odd, which a program may reject.
        measured: sizes of intermediate values that are not polynomials of the dimensions, with their values in all
            traces.
        computed: the measured sizes that an ONNX operator computes from another size and a number.
        recorded: sizes whose computation the program showed, by their values in all traces. They are preferred to
            polynomials, which may have the same values in the traces by chance.
    """

    def __init__(self, first: Mapping[str, int]) -> None:
        self._first = dict(first)
        # Sets of at most three dimensions; for each set, one trace doubles the sizes of all its dimensions. The traces
        # therefore cannot distinguish a product of four dimensions from a sum of smaller products.
        self._doubled = [s for n in range(min(len(first), 3) + 1) for s in itertools.combinations(sorted(first), n)]
        self.traced = [
            {name: size * (2 if name in doubled else 1) for name, size in first.items()} for doubled in self._doubled
        ]
        self.traced += [{**first, name: 3 * size} for name, size in first.items()]
        self.measured: dict[str, Sequence[int]] = {}
        self._found: dict[tuple[int, ...], int | Size | None] = {}  # key: number of measured sizes, values
        self.computed: dict[str, tuple[str, Size, int]] = {}
        self.recorded: dict[tuple[int, ...], Size] = {}
        self.odd = [
            {
                name: by * size + size * part // 9 + more + 2 * k * part if size >= _SMALL else size + more
                for k, (name, size) in enumerate(first.items())
            }
            for by, part, more in ((1, 0, 1), (1, 1, 5), (1, 3, 3), (2, 0, 3))
            if first
        ]
        # Halves, quarters, ... of these sizes are alternately odd and even, as after each stage of a network.
        self.odd += [
            {
                name: size // 64 * 64 + 64 + bits[k % 2] if size >= _SMALL else size + 1
                for k, (name, size) in enumerate(first.items())
            }
            for bits in ((0b010101, 0b101010), (0b101010, 0b010101))
            if first
        ]

    def through(self, seen: Sequence[int]) -> int | Size | None:
        """Return the constant or symbolic size with the values ``seen`` in the traces; None if it does not exist.

        Unlike `of_tensor`, this also finds functions of measured sizes.
        """
        if all(value == seen[0] for value in seen):
            return seen[0]
        if recorded := self.recorded.get(tuple(seen)):
            return recorded
        key = (len(self.measured), *seen)
        if key not in self._found:
            self._found[key] = self.of_tensor(seen) or self._from_measured_sizes(seen)
        return self._found[key]

    def of_tensor(self, seen: Sequence[int]) -> int | Size | None:
        """Return the constant, polynomial or measured size with the values ``seen``; None if it does not exist."""
        if all(value == seen[0] for value in seen):
            return seen[0]
        terms: dict[Monomial, Fraction] = {}
        for names in self._doubled:
            parts = [s for s in self._doubled if set(s) <= set(names)]
            weight = sum((-1) ** (len(names) - len(s)) * seen[self._doubled.index(s)] for s in parts)
            self._add(terms, names, Fraction(weight))
        size = Size({names: c for names, c in sorted(terms.items()) if c})
        checked = zip(self.traced, seen, strict=True)
        if all(floor(size.at(sizes)) == value for sizes, value in checked):
            return size
        same = next((name for name, sizes in self.measured.items() if list(sizes) == list(seen)), None)
        return None if same is None else Size({(same,): Fraction(1)})

    def computed_size(self, operator: str, size: int | Size, number: int, seen: Sequence[int]) -> int | Size:
        """Return a new dimension that ``operator`` computes from a size and a number; ``seen`` are its values."""
        if isinstance(size, int):
            return seen[0]
        name = f"{operator}({size}, {number})"
        self.computed[name] = (operator, size, number)
        self.measured[name] = list(seen)
        return Size({(name,): Fraction(1)})

    def _from_measured_sizes(self, seen: Sequence[int]) -> int | Size | None:
        """Return a function of measured sizes that has the values ``seen`` in the traces; None if it does not exist.

        The function is linear in one measured size, a multiple of a product that contains a measured size, or the
        minimum of a measured size and a constant.
        """
        for name, sizes in self.measured.items():
            steps = zip(itertools.pairwise(seen), itertools.pairwise(sizes), strict=True)
            slopes = {Fraction(b - a, d - c) if c != d else None for (a, b), (c, d) in steps if (a, c) != (b, d)}
            if len(slopes) == 1 and (slope := slopes.pop()) is not None:
                rest = seen[0] - slope * sizes[0]
                return Size({(name,): slope, **({(): rest} if rest else {})})
        every = {name: [sizes[name] for sizes in self.traced] for name in self._first} | self.measured
        for n in (1, 2, 3):
            for names in itertools.combinations_with_replacement(sorted(every), n):
                products = zip(*(every[name] for name in names), strict=True)
                first = prod(next(products))
                others = zip(seen[1:], map(prod, products), strict=True)
                if not first or self.measured.keys().isdisjoint(names):
                    continue
                if all(first * value == seen[0] * product for value, product in others):
                    return Size({names: Fraction(seen[0], first)})
        return self._minimum_of_measured(seen)

    def _minimum_of_measured(self, seen: Sequence[int]) -> int | Size | None:
        """Return the minimum of a measured size and a constant with the values ``seen``; None if it does not exist."""
        bound = max(seen)
        for name, sizes in list(self.measured.items()):
            if all(value == min(size, bound) for value, size in zip(seen, sizes, strict=True)):
                return self.computed_size("Min", Size({(name,): Fraction(1)}), bound, seen)
        return None

    def _add(self, terms: dict[Monomial, Fraction], names: Monomial, weight: Fraction) -> None:
        """Add ``weight`` times the product of ``size / first size - 1`` over the dimensions ``names`` to ``terms``."""
        for n in range(len(names) + 1):
            for chosen in itertools.combinations(names, n):
                scale = Fraction((-1) ** (len(names) - n), prod(self._first[name] for name in chosen))
                terms[chosen] = terms.get(chosen, Fraction(0)) + weight * scale
