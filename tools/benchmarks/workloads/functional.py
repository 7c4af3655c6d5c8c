"""Function transforms: gradients, Jacobians, Hessians, and their products with vectors."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from ..workload import Code, Library, Workload

FUNCTIONAL = "transforms of functions"


def smooth(x: Any) -> Any:
    """Return a scalar function of a vector with a dense Hessian."""
    return (x.sin() * x.sum()).exp().sum()


def rosenbrock(x: Any) -> Any:
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def transform(run: Callable[[Any, Any], Any], size: int) -> Callable[[Library], Code]:
    """Return a function that creates the call ``run(func, x)`` for a vector ``x`` of ``size`` elements."""

    def prepare(library: Library) -> Code:
        func, x = import_module(f"{library.name}.func"), library.normal(size, scale=0.1)
        return Code(lambda: run(func, x))

    return prepare


ROWS = (
    Workload(FUNCTIONAL, "func.grad, 20 variables", transform(lambda f, x: f.grad(smooth)(x), 20), at_most=0.2),
    Workload(
        FUNCTIONAL, "func.vjp, 20 variables", transform(lambda f, x: f.vjp(lambda x: x.exp(), x)[1](x), 20), at_most=0.2
    ),
    Workload(FUNCTIONAL, "func.jvp, 20 variables", transform(lambda f, x: f.jvp(smooth, (x,), (x,)), 20)),
    Workload(FUNCTIONAL, "func.jacrev, 20 by 20", transform(lambda f, x: f.jacrev(lambda x: x.exp() * x.sum())(x), 20)),
    Workload(FUNCTIONAL, "func.jacfwd, 20 by 20", transform(lambda f, x: f.jacfwd(lambda x: x.exp() * x.sum())(x), 20)),
    Workload(FUNCTIONAL, "func.hessian, 20 variables", transform(lambda f, x: f.hessian(smooth)(x), 20), at_most=0.3),
    Workload(
        FUNCTIONAL, "func.hessian of Rosenbrock, 20", transform(lambda f, x: f.hessian(rosenbrock)(x), 20), at_most=0.3
    ),
    Workload(FUNCTIONAL, "func.jvp of func.grad, 20", transform(lambda f, x: f.jvp(f.grad(smooth), (x,), (x,)), 20)),
)
