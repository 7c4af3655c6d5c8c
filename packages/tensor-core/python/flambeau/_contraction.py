"""Optimisation of the contraction order of an einsum."""

import math
from collections.abc import Sequence

Labels = tuple[str, ...]
_MAX_EXHAUSTIVE = 6  # largest number of operands for the exhaustive search


def best_order(terms: Sequence[Labels], output: Labels, sizes: dict[str, int]) -> list[tuple[int, int]]:
    """Return pairs of positions in the list of terms, in the order of contraction.

    The result of a pair is appended to the list. For few operands, the order has the fewest multiplications (dynamic
    programming over subsets: Held, Karp 1962; Pfeifer, Haegeman, Verstraete 2014, arXiv:1304.6112). For more operands,
    the algorithm is greedy: the next pair is the one whose result grows the least compared to its operands.
    """
    if len(terms) == 2:
        return [(0, 1)]
    problem = _Problem(terms, output, sizes)
    return problem.optimal() if len(terms) <= _MAX_EXHAUSTIVE else problem.greedy()


class _Problem:
    """Contraction of several tensors. A bit mask represents each set of labels."""

    def __init__(self, terms: Sequence[Labels], output: Labels, sizes: dict[str, int]) -> None:
        names = {c: 1 << i for i, c in enumerate(sizes)}
        self.weights = [max(1, n) for n in sizes.values()]
        self.terms = [self._bits(t, names) for t in terms]
        self.output = self._bits(output, names)

    @staticmethod
    def _bits(labels: Labels, names: dict[str, int]) -> int:
        total = 0
        for c in labels:
            total |= names[c]
        return total

    def size(self, labels: int) -> int:
        """Return the number of elements of a tensor with these labels."""
        return math.prod(n for i, n in enumerate(self.weights) if labels >> i & 1)

    def optimal(self) -> list[tuple[int, int]]:
        """Search all contraction orders with dynamic programming over subsets."""
        n = len(self.terms)
        everything = (1 << n) - 1
        kept, cost, cut = {}, {}, {}
        for subset in range(1, everything + 1):
            inside = outside = 0
            for i, t in enumerate(self.terms):
                if subset >> i & 1:
                    inside |= t
                else:
                    outside |= t
            kept[subset] = inside & (outside | self.output)
        for subset in sorted(range(1, everything + 1), key=int.bit_count):
            if subset.bit_count() == 1:
                cost[subset] = 0
                continue
            best = -1
            part = (subset - 1) & subset
            while part:
                rest = subset ^ part
                if part < rest:
                    total = cost[part] + cost[rest] + self.size(kept[part] | kept[rest])
                    if best < 0 or total < best:
                        best, cut[subset] = total, part
                part = (part - 1) & subset
            cost[subset] = best
        return self._pairs(cut, everything)

    def _pairs(self, cut: dict[int, int], everything: int) -> list[tuple[int, int]]:
        """Return the order of the pairwise contractions, as positions in the list of the remaining operands."""
        current = [1 << i for i in range(len(self.terms))]
        pairs = []

        def visit(subset: int) -> None:
            if subset not in cut:
                return
            part = cut[subset]
            visit(part)
            visit(subset ^ part)
            i, j = sorted((current.index(part), current.index(subset ^ part)))
            pairs.append((i, j))
            del current[j], current[i]
            current.append(subset)

        visit(everything)
        return pairs

    def greedy(self) -> list[tuple[int, int]]:
        """Return a greedy order: each step takes the pair with the least size(result) - size(left) - size(right)."""
        current, pairs = list(self.terms), []
        while len(current) > 1:
            candidates = []
            for j in range(len(current)):
                for i in range(j):
                    others = self.output
                    for k, t in enumerate(current):
                        if k not in (i, j):
                            others |= t
                    result = (current[i] | current[j]) & others
                    growth = self.size(result) - self.size(current[i]) - self.size(current[j])
                    candidates.append((growth, self.size(current[i] | current[j]), i, j, result))
            _, _, i, j, result = min(candidates)
            pairs.append((i, j))
            del current[j], current[i]
            current.append(result)
        return pairs
