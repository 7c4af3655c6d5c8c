"""What derivatives are written in: adjoints, triangles, symmetric parts."""

from typing import Any

from flambeau import _core
from flambeau._core import Tensor
from flambeau._operator import recorded


def adjoint(t: Tensor) -> Tensor:
    """The conjugate transpose of every matrix, as a view where there is nothing to conjugate."""
    return t.mT.conj() if t.dtype.is_complex else t.mT


def conjugate(t: Tensor) -> Tensor:
    """The complex conjugate; real numbers as they are."""
    return t.conj() if t.dtype.is_complex else t


def constant(result: Tensor, *inputs: Tensor) -> Tensor:
    """A result that does not depend on the inputs' values, with gradients of zeros."""

    def derivative(grads: Any, saved: Any, needs: Any) -> tuple[Tensor, ...]:
        return tuple(_core.zeros(shape, dtype=dtype) for shape, dtype in kinds)

    kinds = [(t.shape, t.dtype) for t in inputs]
    return recorded("LinalgConstant", result, inputs=inputs, derivative=derivative)


def symmetric_part(t: Tensor) -> Tensor:
    """``(t + t^H) / 2``."""
    return (t + adjoint(t)) * 0.5


def triangle(t: Tensor, upper: bool, strict: bool = False) -> Tensor:
    """The upper or lower part, without the diagonal where ``strict``."""
    return t.triu(int(strict)) if upper else t.tril(-int(strict))
