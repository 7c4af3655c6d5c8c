"""Sizes that are known when a file is run: polynomials of its dynamic dimensions.

Note [Dynamic dimensions]
Python sees numbers where a tensor's shape is read, and computes with them: ``x.view(len(x), -1)`` is the call
``view(8, -1)``, and nothing in it tells that 8 came from the input. So a program with dynamic dimensions is traced
several times, with other sizes each time, and the traces are laid side by side: a number that is the same in all of
them is a constant, and one that differs is the polynomial through what was seen, linear in each dimension, which a
trace at sizes of its own confirms. Where some coefficients are fractions, as those of ``size // 2``, further traces at
odd sizes tell whether rounding down is right; a program that does not run at these, or takes another way, is not meant
for them. A size that is no polynomial of the inputs', such as that of what a convolution gives, is measured when the
file is run: it is one more dimension, of which others are made.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor, lcm, prod

Monomial = tuple[str, ...]  # the dimensions multiplied, in alphabetical order


@dataclass(frozen=True)
class Size:
    """A polynomial of dimensions with rational coefficients, whole at every size that it is meant for."""

    terms: Mapping[Monomial, Fraction]

    def at(self, sizes: Mapping[str, int]) -> Fraction:
        """Its value where the dimensions have these sizes."""
        return sum((c * prod(sizes[name] for name in names) for names, c in self.terms.items()), Fraction(0))

    @property
    def denominator(self) -> int:
        return lcm(*(c.denominator for c in self.terms.values()))

    def __str__(self) -> str:
        texts = ["*".join([*([str(c)] if c != 1 or not names else []), *names]) for names, c in self.terms.items()]
        return " + ".join(texts)


def plus(a: int | Size, b: int | Size) -> int | Size:
    """The sum of two sizes."""
    if isinstance(a, int) and isinstance(b, int):
        return a + b
    terms: dict[Monomial, Fraction] = {}
    for x in (a, b):
        for names, c in (x.terms if isinstance(x, Size) else {(): Fraction(x)}).items():
            terms[names] = terms.get(names, Fraction(0)) + c
    return Size(terms)


class Samples:
    """The sizes at which a program is traced, and what a number is that was seen at them.

    Args:
        first: each dimension's size in the first trace.

    Attributes:
        traced: the sizes of each trace.
        odd: further sizes, that a program need not run at.
        measured: sizes that tensors inside of the program have and that are no polynomial of these, in each trace.
    """

    def __init__(self, first: Mapping[str, int]) -> None:
        self._first = dict(first)
        # Products of more than three dimensions are not told from sums of smaller ones.
        self._doubled = [s for n in range(min(len(first), 3) + 1) for s in itertools.combinations(sorted(first), n)]
        self.traced = [
            {name: size * (2 if name in doubled else 1) for name, size in first.items()} for doubled in self._doubled
        ]
        if first:
            self.traced.append({name: 3 * size for name, size in first.items()})
        self.measured: dict[str, Sequence[int]] = {}
        self.odd = [{name: a * size + b for name, size in first.items()} for a, b in ((3, 1), (4, 3)) if first]

    def through(self, seen: Sequence[int]) -> int | Size | None:
        """What has these values, one for each trace; None where that is no such polynomial."""
        if all(value == seen[0] for value in seen):
            return seen[0]
        terms: dict[Monomial, Fraction] = {}
        for names in self._doubled:
            parts = [s for s in self._doubled if set(s) <= set(names)]
            weight = sum((-1) ** (len(names) - len(s)) * seen[self._doubled.index(s)] for s in parts)
            self._add(terms, names, Fraction(weight))
        found = Size({names: c for names, c in sorted(terms.items()) if c})
        checked = zip(self.traced, seen, strict=True)
        if all(floor(found.at(sizes)) == value for sizes, value in checked):
            return found
        return self._made_of_measured(seen)

    def _made_of_measured(self, seen: Sequence[int]) -> Size | None:
        """A multiple of a measured size and a constant, or of a product in which there is a measured size."""
        for name, sizes in self.measured.items():
            steps = zip(itertools.pairwise(seen), itertools.pairwise(sizes), strict=True)
            slopes = {Fraction(b - a, d - c) if c != d else None for (a, b), (c, d) in steps if (a, c) != (b, d)}
            if len(slopes) == 1 and (slope := slopes.pop()) is not None:
                rest = seen[0] - slope * sizes[0]
                return Size({(name,): slope, **({(): rest} if rest else {})})
        every = {name: [sizes[name] for sizes in self.traced] for name in self._first} | self.measured
        for n in (1, 2, 3):
            for names in itertools.combinations_with_replacement(sorted(every), n):
                products = [prod(sizes) for sizes in zip(*(every[name] for name in names), strict=True)]
                ratios = {Fraction(value, max(product, 1)) for value, product in zip(seen, products, strict=True)}
                if len(ratios) == 1 and not self.measured.keys().isdisjoint(names):
                    return Size({names: ratios.pop()})
        return None

    def _add(self, terms: dict[Monomial, Fraction], names: Monomial, weight: Fraction) -> None:
        """Adds weight times the product of ``size / first size - 1`` of these dimensions."""
        for n in range(len(names) + 1):
            for chosen in itertools.combinations(names, n):
                scale = Fraction((-1) ** (len(names) - n), prod(self._first[name] for name in chosen))
                terms[chosen] = terms.get(chosen, Fraction(0)) + weight * scale
