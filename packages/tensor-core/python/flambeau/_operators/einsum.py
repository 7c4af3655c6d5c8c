"""Einstein summation. Each equation and its shapes are compiled once into permutations, sums and matrix products."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from flambeau import _core
from flambeau._contraction import Labels, best_order
from flambeau._core import Tensor
from flambeau._operator import operator

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_Step = Callable[[list[Tensor]], None]


@operator()
def einsum(equation: Any, *operands: Any) -> Tensor:
    """Sum products of elements by Einstein's convention: ``einsum("ij,jk->ik", a, b)`` is the matrix product.

    A subscript that is not in the output is summed over. A subscript that occurs twice in an operand selects its
    diagonal. "..." stands for dimensions without a subscript, which are broadcast. Sizes of 1 are also broadcast.
    Without "->", the output has the subscripts that occur once, in alphabetical order. More than two operands are
    contracted in the order with the fewest multiplications (for many operands, in an order close to it).

    Args:
        equation, operands: the equation with letters as subscripts, and the tensors. Alternatively, alternating tensors
            and lists of subscripts (numbers from 0 to 51), followed by an optional list for the output.
    Returns: a tensor with the dtype of the operands. The sum of a single integer operand is int64, as in `sum`.
    Raises: RuntimeError if the equation does not match the operands.
    Gradient: defined for every operand, to any order.

    >>> flambeau.einsum("ij,j->i", flambeau.tensor([[1.0, 2.0], [3.0, 4.0]]), flambeau.tensor([1.0, -1.0]))
    tensor([-1., -1.])
    """
    if not isinstance(equation, str):
        equation, operands = _from_lists(equation, operands)
    steps = _plan(equation, tuple([t.shape if isinstance(t, Tensor) else _not_a_tensor(t) for t in operands]))
    tensors: list[Tensor] = list(operands)
    for step in steps:
        step(tensors)
    return tensors[0]


def _not_a_tensor(operand: object) -> NoReturn:
    raise TypeError(f"einsum(): expected Tensor operands, but got {type(operand).__name__}")


def _from_lists(first: Any, rest: tuple[Any, ...]) -> tuple[str, tuple[Tensor, ...]]:
    if rest and all(isinstance(s, int) or s is Ellipsis for s in rest):
        rest = (list(rest),)  # the subscripts of a single operand
    arguments = (first, *rest)
    if any(isinstance(each, str) for each in rest):
        raise TypeError("einsum(): the equation comes first: einsum('ij,jk->ik', a, b)")
    if not isinstance(first, Tensor) or len(arguments) < 2:
        raise ValueError(
            "einsum(): must specify the equation string and at least one operand, or at least one operand and its "
            "subscripts list"
        )
    output = "->" + _letters(arguments[-1]) if len(arguments) % 2 else ""
    pairs = len(arguments) // 2
    inputs = ",".join(_letters(subscripts) for subscripts in arguments[1 : 2 * pairs : 2])
    return inputs + output, tuple(arguments[: 2 * pairs : 2])


def _letters(subscripts: Sequence[Any]) -> str:
    text = ""
    for s in subscripts:
        if s is not Ellipsis and not 0 <= s < len(_LETTERS):
            raise RuntimeError(f"einsum(): subscript {s} in a subscripts list is not within the valid range [0, 52)")
        text += "..." if s is Ellipsis else _LETTERS[s]
    return text


# Parsing of the equation


def _read(equation: str, shapes: tuple[Sequence[int], ...]) -> tuple[list[Labels], Labels, dict[str, int]]:
    """Return the labels of each operand, the labels of the output, and the size of each label.

    The dimensions of "..." have the labels "000", "001" etc.
    """
    if not shapes:
        raise ValueError("einsum(): must provide at least one operand")
    left, arrow, right = equation.replace(" ", "").partition("->")
    parts = left.split(",")
    if len(parts) != len(shapes):
        what = "fewer operands were provided" if len(parts) > len(shapes) else "more operands were provided"
        raise RuntimeError(
            f"einsum(): {what} than specified in the equation {equation!r}: got {len(shapes)}, expected {len(parts)}"
        )
    width = (
        max(len(s) - len(p.replace("...", "")) for p, s in zip(parts, shapes, strict=True) if "..." in p)
        if ("..." in left)
        else 0
    )
    dots = tuple(f"{i:03}" for i in range(max(width, 0)))
    inputs = [_split(p, len(s), dots) for p, s in zip(parts, shapes, strict=True)]
    every = [c for labels in inputs for c in labels]
    if arrow:
        output = _split(right, None, dots)
    else:
        output = dots + tuple(sorted(c for c in set(every) if every.count(c) == 1 and c not in dots))
    for c in output:
        if output.count(c) > 1:
            raise RuntimeError(f"einsum(): output subscript {c} appears more than once in the output: {equation!r}")
        if c not in every and c not in dots:
            raise RuntimeError(
                f"einsum(): output subscript {c} does not appear in the equation for any input operand: {equation!r}"
            )
    return inputs, output, _sizes(inputs, shapes)


def _split(part: str, dims: int | None, dots: Labels) -> Labels:
    before, ellipsis, after = part.partition("...")
    for c in before + after:
        if c not in _LETTERS:
            raise RuntimeError(f"einsum(): invalid subscript given {c!r}, subscripts must be in [a-zA-Z]")
    if dims is None:
        return (*before, *dots, *after) if ellipsis else tuple(before)
    ellipsis_dims = dims - len(before) - len(after)
    if ellipsis_dims < 0 or (ellipsis_dims and not ellipsis):
        raise RuntimeError(
            f"einsum(): the number of subscripts in the equation ({len(before) + len(after)}) does not match the "
            f"number of dimensions ({dims}) for operand {part!r}"
        )
    return (*before, *dots[len(dots) - ellipsis_dims :], *after) if ellipsis else tuple(before)


def _sizes(inputs: list[Labels], shapes: tuple[Sequence[int], ...]) -> dict[str, int]:
    """Return the size of each subscript. Raise RuntimeError if operands do not match."""
    sizes: dict[str, int] = {}
    for position, (labels, shape) in enumerate(zip(inputs, shapes, strict=True)):
        of_operand: dict[str, int] = {}
        for c, n in zip(labels, shape, strict=True):
            if of_operand.setdefault(c, n) != n:
                raise RuntimeError(
                    f"einsum(): subscript {c} is repeated for operand {position} but the sizes don't match, "
                    f"{n} != {of_operand[c]}"
                )
            known = sizes.get(c, 1)
            if n != known and n != 1 and known != 1:
                raise RuntimeError(
                    f"einsum(): operands do not broadcast with remapped shapes: subscript {c} has size {n} for operand "
                    f"{position} which does not broadcast with previously seen size {known}"
                )
            sizes[c] = n if known == 1 else known
    return sizes


# Compilation of the steps


@functools.lru_cache(maxsize=1024)
def _plan(equation: str, shapes: tuple[Sequence[int], ...]) -> tuple[_Step, ...]:
    return plan(*_read(equation, shapes), shapes)


def plan(
    inputs: list[Labels],
    output: Labels,
    sizes: dict[str, int],
    shapes: Sequence[Sequence[int]],
    lengths: dict[str, Any] | None = None,
) -> tuple[_Step, ...]:
    """Return the steps of a parsed contraction. If ``lengths`` is given, the steps reshape to these sizes."""
    steps: list[_Step] = []
    # The sum over a dimension of size 1 is its element. Only the sum of a single operand may change the dtype.
    unsummed = {c for c, n in sizes.items() if n == 1 and c not in output and len(inputs) > 1}
    terms = [_simplify(k, labels, shapes[k], sizes, unsummed, steps) for k, labels in enumerate(inputs)]
    for i, j in best_order(terms, output, sizes) if len(terms) > 1 else ():
        later = set(output).union(*(t for k, t in enumerate(terms) if k not in (i, j)))
        a, b = (_sum_unused_labels(k, terms[k], later.union(terms[i + j - k]), steps) for k in (i, j))
        last = len(terms) == 2
        if last and _prefers_swap(a, b, output):
            a, b, i, j = b, a, j, i
        labels, step = _pair_step(i, j, a, b, later, lengths or sizes, output if last else ())
        steps.append(step)
        terms = [t for k, t in enumerate(terms) if k not in (i, j)] + [labels]
    labels = _sum_unused_labels(0, terms[0], set(output), steps, promoted=len(inputs) == 1)
    _finish(labels, output, sizes, steps)
    return tuple(steps)


def _simplify(
    k: int, labels: Labels, shape: Sequence[int], sizes: dict[str, int], unsummed: set[str], steps: list[_Step]
) -> Labels:
    """Append steps that take the diagonals of operand k and drop dimensions of size 1, and return its new labels.

    A dimension of size 1 is dropped if another operand has a larger size for the same label, and if its label is in
    ``unsummed``.
    """
    small = [d for d, c in enumerate(labels) if shape[d] == 1 and (sizes[c] != 1 or c in unsummed)]
    if small:
        steps.append(_operand_step(k, lambda t: t.squeeze(small)))
        labels = tuple(c for d, c in enumerate(labels) if d not in small)
    for c in sorted(set(labels)):
        while labels.count(c) > 1:
            first = labels.index(c)
            second = labels.index(c, first + 1)
            steps.append(_operand_step(k, functools.partial(_diagonal, first, second)))
            labels = (*(x for d, x in enumerate(labels) if d not in (first, second)), c)
    return labels


def _diagonal(first: int, second: int, t: Tensor) -> Tensor:
    return t.diagonal(0, first, second)


def _operand_step(k: int, change: Callable[[Tensor], Tensor]) -> _Step:
    def step(tensors: list[Tensor]) -> None:
        tensors[k] = change(tensors[k])

    return step


def _sum_unused_labels(k: int, labels: Labels, keep: set[str], steps: list[_Step], promoted: bool = False) -> Labels:
    """Append a step that sums operand k over the labels that are not in ``keep``, and return the labels that remain.

    Integers keep their dtype, or become int64 if ``promoted``.
    """
    gone = [d for d, c in enumerate(labels) if c not in keep]
    if gone:
        steps.append(_operand_step(k, lambda t: t.sum(gone, dtype=None if promoted else t.dtype)))
    return tuple(c for c in labels if c in keep)


def _prefers_swap(a: Labels, b: Labels, output: Labels) -> bool:
    """Return True if only the product in the order b, a ends with the last dimension of the output in memory."""
    return bool(output) and output[-1] in a and output[-1] not in b


def _pair_step(
    i: int, j: int, a: Labels, b: Labels, keep: set[str], sizes: dict[str, int], output: Labels
) -> tuple[Labels, _Step]:
    """Return the labels of the product of the operands i and j, and the step that computes it.

    The step removes the operands from the list of tensors and appends the product.
    """
    both = [c for c in a if c in b]
    inner = tuple(c for c in both if c not in keep)
    if not inner:
        return _product_step(i, j, a, b, output)
    batch = tuple(c for c in (output or a) if c in both and c in keep)
    batch += tuple(c for c in both if c in keep and c not in batch)
    rows, columns = tuple(c for c in a if c not in both), tuple(c for c in b if c not in both)
    if batch and not rows and not columns:
        return _dot_step(i, j, a, b, batch, len(inner))
    left = _matrix_form(a, (batch, rows, inner), sizes)
    right = _matrix_form(b, (batch, inner, columns), sizes)
    labels = batch + rows + columns
    shape = [sizes[c] for c in labels]
    flat = len(rows) == len(columns) == 1 and len(batch) <= 1
    product = _core.bmm if batch else _core.mm

    def step(tensors: list[Tensor]) -> None:
        x, y = tensors[i], tensors[j]
        for k in (i, j) if i > j else (j, i):
            del tensors[k]
        out = product(left(x) if left else x, right(y) if right else y)
        tensors.append(out if flat else out.reshape(shape))

    return labels, step


def _dot_step(i: int, j: int, a: Labels, b: Labels, batch: Labels, count: int) -> tuple[Labels, _Step]:
    """Return the labels of dot products of the operands i and j, and the step that computes them.

    The step multiplies the operands and sums over the last ``count`` dimensions of the product.
    """
    labels, multiply = _product_step(i, j, a, b, batch)

    def step(tensors: list[Tensor]) -> None:
        multiply(tensors)
        t = tensors[-1]
        tensors[-1] = t.sum(list(range(t.dim() - count, t.dim())), dtype=t.dtype)

    return labels[: len(labels) - count], step


def _matrix_form(
    labels: Labels, groups: tuple[Labels, Labels, Labels], sizes: dict[str, int]
) -> Callable[[Tensor], Tensor] | None:
    """Return a function that permutes and reshapes a tensor to matrices, or None if the tensor needs no change.

    The three groups of labels become the batch dimension, the rows and the columns. Without labels in the first group,
    the result is one matrix.
    """
    order = tuple(c for group in groups for c in group)
    counts = [_count(sizes, group) for group in groups]
    shape = counts if groups[0] else counts[1:]
    permutation = [labels.index(c) for c in order]
    in_order = permutation == sorted(permutation)
    as_it_is = all(len(group) == 1 for group in (groups if groups[0] else groups[1:]))
    if as_it_is:
        return None if in_order else lambda t: t.permute(permutation)
    return (lambda t: t.reshape(shape)) if in_order else lambda t: t.permute(permutation).reshape(shape)


def _product_step(i: int, j: int, a: Labels, b: Labels, wanted: Labels) -> tuple[Labels, _Step]:
    """Return the labels of the elementwise product of the operands i and j, and the step that computes it.

    The dimensions in ``wanted`` come first, in that order.
    """
    every = set(a) | set(b)
    labels = tuple(dict.fromkeys((*(c for c in wanted if c in every), *a, *b)))
    left, right = _aligned_form(a, labels), _aligned_form(b, labels)

    def step(tensors: list[Tensor]) -> None:
        x, y = tensors[i], tensors[j]
        for k in (i, j) if i > j else (j, i):
            del tensors[k]
        tensors.append((left(x) if left else x) * (right(y) if right else y))

    return labels, step


def _aligned_form(labels: Labels, target: Labels) -> Callable[[Tensor], Tensor] | None:
    """Return a function that permutes dimensions to the order of ``target`` and inserts missing ones with size 1."""
    permutation = [labels.index(c) for c in target if c in labels]
    first = next((d for d, c in enumerate(target) if c in labels), len(target))
    missing = [d - first for d, c in enumerate(target) if c not in labels and d > first]

    def change(t: Tensor) -> Tensor:
        if not ordered:
            t = t.permute(permutation)
        for d in missing:
            t = t.unsqueeze(d)
        return t

    ordered = permutation == sorted(permutation)
    return None if ordered and not missing else change


def _finish(labels: Labels, output: Labels, sizes: dict[str, int], steps: list[_Step]) -> None:
    if labels != output:
        permutation = [labels.index(c) for c in output]
        steps.append(_operand_step(0, lambda t: t.permute(permutation)))
    if not steps:  # return a view, because the result must not be the operand itself
        steps.append(_operand_step(0, lambda t: t.permute(list(range(len(output))))))


def _count(sizes: dict[str, int], group: Labels) -> int:
    n = 1
    for c in group:
        n *= sizes[c]
    return n
