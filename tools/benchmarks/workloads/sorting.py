"""Sorting, selecting, searching, counting."""

from __future__ import annotations

from collections.abc import Callable

from ..workload import Code, Library, Workload, expression

GROUP = "sorting"
MILLION = (1_000_000,)
MATRIX = (1000, 1000)


def over_integers(statement: str, high: int) -> Callable[[Library], Code]:
    """Return a function that prepares ``statement`` with a million integers ``i`` below ``high``."""
    return lambda library: Code(statement, {"fb": library.fb, "i": library.integers(high, *MILLION)})


ROWS = (
    Workload(GROUP, "sort of 10^6", expression("fb.sort(x)[0]", x=MILLION), at_most=0.3),
    Workload(GROUP, "sort of 1000x1000 over 1", expression("fb.sort(x, 1)[0]", x=MATRIX)),
    Workload(GROUP, "sort of 1000x1000 over 0", expression("fb.sort(x, 0)[0]", x=MATRIX)),
    Workload(GROUP, "sort of 10^6 int64", over_integers("fb.sort(i)[0]", 10**9)),
    Workload(GROUP, "argsort of 10^6", expression("fb.argsort(x)", x=MILLION)),
    Workload(GROUP, "topk 100 of 10^6", expression("fb.topk(x, 100)[0]", x=MILLION)),
    Workload(GROUP, "topk 10 of 1000x1000", expression("fb.topk(x, 10)[0]", x=MATRIX)),
    Workload(GROUP, "sort of 50000x8 over 1", expression("fb.sort(x, 1)[0]", x=(50_000, 8))),
    Workload(GROUP, "topk 2 of 50000x8", expression("fb.topk(x, 2)[0]", x=(50_000, 8))),
    Workload(GROUP, "topk 5 of 256x1000", expression("fb.topk(x, 5)[0]", x=(256, 1000))),
    Workload(GROUP, "kthvalue of 10^6", expression("fb.kthvalue(x, 1000)[0]", x=MILLION)),
    Workload(GROUP, "median of 10^6", expression("fb.median(x)", x=MILLION)),
    Workload(GROUP, "quantile of 10^6", expression("fb.quantile(x, 0.9)", x=MILLION)),
    Workload(GROUP, "unique of 10^6", over_integers("fb.unique(i)", 10_000)),
    Workload(
        GROUP,
        "searchsorted 10^6 in 10^6",
        expression("fb.searchsorted(s, x)", s=MILLION, x=MILLION, compare=False),
    ),
    Workload(GROUP, "bucketize 10^6 in 100", expression("fb.bucketize(x, b)", x=MILLION, b=(100,), compare=False)),
    Workload(GROUP, "histc of 10^6", expression("fb.histc(x, 100)", x=MILLION)),
    Workload(GROUP, "bincount of 10^6", over_integers("fb.bincount(i)", 1000)),
    Workload(GROUP, "isin, 10^6 in 1000", over_integers("fb.isin(i, i[:1000])", 10**6)),
    Workload(GROUP, "cummax of 1000x1000", expression("fb.cummax(x, 1)[0]", x=MATRIX)),
)
