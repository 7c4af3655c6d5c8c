"""Reductions, scans and normalisations."""

from __future__ import annotations

from collections.abc import Callable

from ..workload import Code, Library, Workload, expression

GROUP = "reductions"
MILLION = (1000, 1000)
TEN_MILLION = (10, 1000, 1000)
ROWS_OF_SCORES = (4096, 1024)


def cross_entropy(library: Library) -> Code:
    """Return the computation of the loss for a batch of 4096 with 1024 classes, and of its gradient."""
    scores, labels = library.normal(*ROWS_OF_SCORES).requires_grad_(True), library.integers(1024, 4096)
    loss, grad = library.functional.cross_entropy, library.autograd.grad
    return Code(lambda: grad(loss(scores, labels), scores))


def layer_norm(rows: int, features: int, gradient: bool) -> Callable[[Library], Code]:
    """Return a function that prepares layer normalisation with weights and biases, with or without gradients."""

    def prepare(library: Library) -> Code:
        shapes = ((rows, features), (features,), (features,))
        leaves = x, weight, bias = [library.normal(*shape).requires_grad_(gradient) for shape in shapes]
        given, norm, grad = library.normal(rows, features), library.functional.layer_norm, library.autograd.grad
        if gradient:
            return Code(lambda: grad(norm(x, (features,), weight, bias), leaves, given))
        return Code(lambda: norm(x, (features,), weight, bias))

    return prepare


# Reductions that are measured on a million numbers: over all of them, and over the rows of a matrix.
EACH = (
    *("sum", "mean", "prod", "amax", "amin", "max", "min", "var", "std", "norm", "nansum", "nanmean"),
    *("argmax", "argmin", "any", "all", "count_nonzero"),
)

ROWS = (
    *(Workload(GROUP, f"{name} of 10^6", expression(f"fb.{name}(x)", x=MILLION, positive=True), 1.0) for name in EACH),
    *(
        Workload(GROUP, f"{name} of 1000x1000 over 1", expression(f"fb.{name}(x, dim=1)", x=MILLION), 1.0)
        for name in ("sum", "mean", "amax", "amin", "var", "std", "norm", "argmax", "argmin", "any", "count_nonzero")
    ),
    Workload(GROUP, "sum of 10^7", expression("x.sum()", x=TEN_MILLION, positive=True), at_most=1.0),
    Workload(GROUP, "softmax 4096x1024", expression("fb.softmax(x, 1)", x=ROWS_OF_SCORES), at_most=1.0),
    Workload(GROUP, "sum of 1000x1000 over 0", expression("x.sum(0)", x=MILLION, positive=True)),
    Workload(
        GROUP, "sum of 64x16x32x32 over 0, 2, 3", expression("x.sum((0, 2, 3))", x=(64, 16, 32, 32), positive=True)
    ),
    Workload(GROUP, "mean of 10^7", expression("x.mean()", x=TEN_MILLION, positive=True)),
    Workload(GROUP, "max of 10^7", expression("x.max()", x=TEN_MILLION)),
    Workload(GROUP, "max of 1000x1000 over 1", expression("fb.max(x, 1)[0]", x=MILLION)),
    Workload(GROUP, "max of 100000x10 over 0", expression("fb.max(x, 0)[0]", x=(100_000, 10))),
    Workload(GROUP, "softmax 10000x10", expression("fb.softmax(x, 1)", x=(10_000, 10))),
    Workload(GROUP, "softmax 6000x55", expression("fb.softmax(x, 1)", x=(6000, 55))),
    Workload(GROUP, "argmax of 4096x1024 over 1", expression("x.argmax(1)", x=ROWS_OF_SCORES)),
    Workload(GROUP, "prod of 1000x1000 over 1", expression("x.prod(1)", x=MILLION, positive=True)),
    Workload(GROUP, "cumsum of 10^6", expression("x.view(-1).cumsum(0)", x=MILLION, positive=True)),
    Workload(GROUP, "cumsum of 1000x1000 over 0", expression("x.cumsum(0)", x=MILLION, positive=True)),
    Workload(GROUP, "logsumexp 4096x1024", expression("fb.logsumexp(x, 1)", x=ROWS_OF_SCORES)),
    Workload(GROUP, "log_softmax 4096x1024", expression("F.log_softmax(x, 1)", x=ROWS_OF_SCORES)),
    Workload(GROUP, "softmax 1024x4096 over 0", expression("fb.softmax(x, 0)", x=(1024, 4096))),
    Workload(GROUP, "cross_entropy 4096x1024, with gradient", cross_entropy),
    *(
        Workload(GROUP, f"layer_norm {rows}x{features}", layer_norm(rows, features, gradient=False))
        for rows, features in ((100_000, 8), (10_000, 64), (4096, 1024))
    ),
    *(
        Workload(GROUP, f"layer_norm {rows}x{features}, with gradients", layer_norm(rows, features, gradient=True))
        for rows, features in ((100_000, 8), (10_000, 64), (4096, 1024))
    ),
)
