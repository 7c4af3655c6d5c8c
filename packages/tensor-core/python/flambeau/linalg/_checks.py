"""Argument checks of the linear algebra operators, with PyTorch's error messages."""

from flambeau import _core
from flambeau._core import Tensor

_INEXACT = frozenset(
    getattr(_core, name) for name in ("float32", "float64", "complex64", "complex128") if hasattr(_core, name)
)


def check_dtype(name: str, input: Tensor) -> None:
    """Raise RuntimeError unless the dtype is float32, float64, complex64 or complex128."""
    if input.dtype not in _INEXACT:
        kind = (
            "Low precision dtypes not supported"
            if input.dtype.is_floating_point
            else ("Expected a floating point or complex tensor as input")
        )
        raise RuntimeError(f"linalg.{name}: {kind}. Got {input.dtype}")


def check_matrix(name: str, input: Tensor, argument: str = "A") -> None:
    """Raise RuntimeError unless the input has at least two dimensions and a dtype that `check_dtype` accepts."""
    if input.dim() < 2:
        raise RuntimeError(
            f"linalg.{name}: The input tensor {argument} must have at least 2 dimensions, got shape {list(input.shape)}"
        )
    check_dtype(name, input)


def check_square(name: str, input: Tensor, argument: str = "A") -> None:
    """Raise RuntimeError unless the input is a batch of square matrices with a dtype that `check_dtype` accepts."""
    shape = input.shape
    if len(shape) < 2:
        raise RuntimeError(
            f"linalg.{name}: The input tensor {argument} must have at least 2 dimensions, got shape {list(shape)}"
        )
    if shape[-1] != shape[-2]:
        raise RuntimeError(
            f"linalg.{name}: {argument} must be batches of square matrices, but they are {shape[-2]} by {shape[-1]} "
            "matrices"
        )
    if input.dtype not in _INEXACT:
        check_dtype(name, input)
