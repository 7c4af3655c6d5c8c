"""Building blocks of the derivatives: adjoints, triangles, symmetric parts."""

from typing import Any

from flambeau import _core
from flambeau._core import Tensor
from flambeau._operator import recorded


def adjoint(t: Tensor) -> Tensor:
    """Return the conjugate transpose of every matrix. For real matrices, the result is a view."""
    return t.mT.conj() if t.dtype.is_complex else t.mT


def conjugate(t: Tensor) -> Tensor:
    """Return the complex conjugate. A real tensor is returned unchanged."""
    return t.conj() if t.dtype.is_complex else t


def constant(result: Tensor, *inputs: Tensor) -> Tensor:
    """Record a result that does not depend on the values of the inputs. Its gradients are zero."""

    def derivative(grads: Any, saved: Any, needs: Any) -> tuple[Tensor, ...]:
        return tuple(_core.zeros(shape, dtype=dtype) for shape, dtype in kinds)

    kinds = [(t.shape, t.dtype) for t in inputs]
    return recorded("LinalgConstant", result, inputs=inputs, derivative=derivative)


def symmetric_part(t: Tensor) -> Tensor:
    """Return ``(t + t^H) / 2``."""
    return (t + adjoint(t)) * 0.5


def triangle(t: Tensor, upper: bool, strict: bool = False) -> Tensor:
    """Return the upper or lower triangle, without the diagonal if ``strict``."""
    return t.triu(int(strict)) if upper else t.tril(-int(strict))
