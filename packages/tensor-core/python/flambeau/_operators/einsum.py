"""Einstein summation by permutations, batched matrix products and sums."""

from flambeau import _core
from flambeau._core import Tensor
from flambeau._operator import operator


@operator()
def einsum(equation: str, *operands: Tensor) -> Tensor:
    """Sums of products by Einstein's convention, e.g. ``einsum('ij,jk->ik', a, b)``; operands are contracted in order.

    Raises RuntimeError for an equation that does not fit its operands. Gradient: every operand.

    >>> flambeau.einsum("ij,j->i", flambeau.tensor([[1.0, 2.0], [3.0, 4.0]]), flambeau.tensor([1.0, -1.0]))
    tensor([-1., -1.])
    """
    return contract(equation, list(operands))


def contract(equation: str, operands: list[Tensor]) -> Tensor:
    """Contracts the operands pairwise from the left."""
    inputs, output = _parse(equation, operands)
    terms = [_diagonals(t, labels) for t, labels in zip(operands, inputs, strict=True)]
    value, labels = terms[0]
    for i, (other, other_labels) in enumerate(terms[1:], 1):
        later = set(output).union(*(lab for _, lab in terms[i + 1 :]))
        value, labels = _product(value, labels, other, other_labels, later)
    extra = [k for k, c in enumerate(labels) if c not in output]
    if extra:
        value = value.sum(extra)
        labels = [c for c in labels if c in output]
    return value.permute([labels.index(c) for c in output])


def _parse(equation: str, operands: list[Tensor]) -> tuple[list[list[str]], list[str]]:
    left, arrow, right = equation.replace(" ", "").partition("->")
    parts = left.split(",")
    if len(parts) != len(operands):
        raise RuntimeError(f"einsum(): {equation!r} names {len(parts)} operands, but {len(operands)} were given")
    width = 0
    for part, t in zip(parts, operands, strict=True):
        if "..." in part:
            width = max(width, t.dim() - len(part.replace("...", "")))
    dots = [f"<{i}>" for i in range(width)]
    inputs = []
    for part, t in zip(parts, operands, strict=True):
        before, ellipsis, after = part.partition("...")
        own = t.dim() - len(before) - len(after)
        if own < 0 or (own and not ellipsis):
            raise RuntimeError(f"einsum(): the subscripts {part!r} do not match the operand of shape {list(t.shape)}")
        inputs.append([*before, *dots[width - own :], *after] if ellipsis else list(before))
    if arrow:
        before, ellipsis, after = right.partition("...")
        output = [*before, *dots, *after] if ellipsis else list(before)
    else:
        every = [c for labels in inputs for c in labels]
        output = dots + sorted(c for c in set(every) if every.count(c) == 1 and c not in dots)
    known = {c for labels in inputs for c in labels}
    for c in output:
        if c not in known or output.count(c) > 1:
            raise RuntimeError(f"einsum(): the output subscript {c!r} must occur once, and in an input: {equation!r}")
    return inputs, output


def _diagonals(t: Tensor, labels: list[str]) -> tuple[Tensor, list[str]]:
    labels = list(labels)
    for c in sorted(set(labels)):
        while labels.count(c) > 1:
            first = labels.index(c)
            second = labels.index(c, first + 1)
            if t.size(first) != t.size(second):
                raise RuntimeError(f"einsum(): subscript {c!r} has sizes {t.size(first)} and {t.size(second)}")
            t = t.diagonal(0, first, second)
            labels = [x for k, x in enumerate(labels) if k not in (first, second)] + [c]
    return t, labels


def _product(
    a: Tensor, a_labels: list[str], b: Tensor, b_labels: list[str], keep: set[str]
) -> tuple[Tensor, list[str]]:
    a, a_labels = _sum_out(a, a_labels, keep.union(b_labels))
    b, b_labels = _sum_out(b, b_labels, keep.union(a_labels))
    sizes: dict[str, int] = {}
    for t, labels in ((a, a_labels), (b, b_labels)):
        for c, n in zip(labels, t.shape, strict=True):
            if sizes.get(c, 1) not in (1, n) and n != 1:
                raise RuntimeError(f"einsum(): subscript {c!r} has sizes {sizes[c]} and {n}")
            sizes[c] = max(n, sizes.get(c, 1)) if n != 0 else 0
    both = [c for c in a_labels if c in b_labels]
    batch = [c for c in both if c in keep]
    inner = [c for c in both if c not in keep]
    rows = [c for c in a_labels if c not in both]
    columns = [c for c in b_labels if c not in both]

    def arranged(t: Tensor, labels: list[str], groups: list[list[str]]) -> Tensor:
        order = [c for group in groups for c in group]
        t = t.permute([labels.index(c) for c in order]).expand([sizes[c] for c in order])
        return t.reshape([_count(sizes, group) for group in groups])

    out = _core.bmm(arranged(a, a_labels, [batch, rows, inner]), arranged(b, b_labels, [batch, inner, columns]))
    labels = batch + rows + columns
    return out.reshape([sizes[c] for c in labels]), labels


def _sum_out(t: Tensor, labels: list[str], keep: set[str]) -> tuple[Tensor, list[str]]:
    gone = [k for k, c in enumerate(labels) if c not in keep]
    return (t.sum(gone), [c for c in labels if c in keep]) if gone else (t, labels)


def _count(sizes: dict[str, int], group: list[str]) -> int:
    n = 1
    for c in group:
        n *= sizes[c]
    return n
