"""Copies, gathers and random numbers, which need hardly any arithmetic."""

from __future__ import annotations

from collections.abc import Callable

from ..workload import Code, Library, Workload, expression

GROUP = "movement"
MILLION = (1000, 1000)
SCORES = (4096, 1024)


def rows_chosen(statement: str, rows: int, columns: int, chosen: int) -> Callable[[Library], Code]:
    """Return a function that prepares ``statement`` with a random matrix ``x`` and ``chosen`` row indices ``i``."""

    def prepare(library: Library) -> Code:
        names = {"fb": library.fb, "x": library.normal(rows, columns), "i": library.integers(rows, chosen)}
        return Code(statement, names)

    return prepare


def numbers_chosen(statement: str) -> Callable[[Library], Code]:
    """Return a function that prepares ``statement`` with 10^5 random numbers ``x`` and 10^5 random indices ``i``."""

    def prepare(library: Library) -> Code:
        names = {"fb": library.fb, "x": library.normal(100_000), "i": library.integers(100_000, 100_000)}
        return Code(statement, names)

    return prepare


def mask_as_numbers(library: Library) -> Code:
    """Return the conversion of a mask to float32."""
    return Code("b.float()", {"b": library.normal(*SCORES) > 0})


def masked(library: Library) -> Code:
    """Return a call of ``where`` with two matrices and an existing mask."""
    names = {"fb": library.fb, **{name: library.normal(*SCORES) for name in "xy"}, "b": library.normal(*SCORES) > 0}
    return Code("fb.where(b, x, y)", names)


ROWS = (
    Workload(GROUP, "clone of 10^7", expression("x.clone()", x=(10, *MILLION))),
    Workload(GROUP, "cat of two 10^6", expression("fb.cat([x, y])", x=MILLION, y=MILLION)),
    Workload(GROUP, "cat of two 1000x1000 along 1", expression("fb.cat([x, y], 1)", x=MILLION, y=MILLION)),
    Workload(GROUP, "stack of two 10^6", expression("fb.stack([x, y])", x=MILLION, y=MILLION)),
    Workload(GROUP, "transpose and copy 4096x1024", expression("x.t().contiguous()", x=SCORES)),
    Workload(
        GROUP, "permute and copy 64x16x32x32", expression("x.permute(0, 2, 3, 1).contiguous()", x=(64, 16, 32, 32))
    ),
    Workload(GROUP, "every second column of 4096x1024", expression("x[:, ::2].contiguous()", x=SCORES)),
    Workload(
        GROUP, "index_select 4096 of 10000x256", rows_chosen("fb.index_select(x, 0, i)", 10_000, 256, 4096), at_most=1.0
    ),
    Workload(GROUP, "x[i], 4096 of 10000x256", rows_chosen("x[i]", 10_000, 256, 4096), at_most=1.0),
    Workload(GROUP, "index_select 10^5 of 10^5", numbers_chosen("fb.index_select(x, 0, i)")),
    Workload(GROUP, "x[i], 10^5 of 10^5", numbers_chosen("x[i]"), at_most=1.0),
    Workload(GROUP, "mask of 4096x1024 to float32", mask_as_numbers, at_most=1.0),
    Workload(GROUP, "masked_fill of 10^6", expression("x.masked_fill(x > 0.0, 1.0)", x=MILLION)),
    Workload(
        GROUP, "dropout of 4096x1024", expression("F.dropout(x, 0.5, True)", x=SCORES, compare=False), at_most=0.1
    ),
    Workload(GROUP, "rand of 10^6", expression("fb.rand(1000, 1000)", compare=False)),
    Workload(GROUP, "randn of 10^6", expression("fb.randn(1000, 1000)", compare=False), at_most=0.5),
    Workload(GROUP, "randperm of 10^6", expression("fb.randperm(1000000)", compare=False)),
    Workload(GROUP, "exponential of 10^6", expression("x.exponential_()", x=MILLION, compare=False)),
    Workload(GROUP, "bernoulli of 10^6", expression("x.bernoulli_(0.3)", x=MILLION, compare=False)),
    Workload(GROUP, "where of 4096x1024", masked, at_most=0.5),
    Workload(GROUP, "flip of 1000x1000", expression("x.flip(1)", x=MILLION)),
    Workload(GROUP, "roll of 1000x1000", expression("x.roll(7, 1)", x=MILLION)),
    Workload(GROUP, "zeros of 10^7", expression("fb.zeros(10, 1000, 1000)")),
    Workload(GROUP, "arange of 10^6", expression("fb.arange(1000000)")),
)
