"""Masks, and identity elements of the masked operations."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import flambeau
from flambeau import Tensor

_REDUCTIONS = {
    *("sum", "prod", "amax", "amin", "argmax", "argmin", "mean", "median", "norm", "var", "std", "logsumexp"),
}
_NORMALIZATIONS = {"softmax", "log_softmax", "softmin", "normalize", "cumsum", "cumprod"}


def _input_mask(input: Tensor, *args: Any, mask: Tensor | None = None, **kwargs: Any) -> Tensor:
    """Return a mask with the dtype bool and the shape and layout of the input.

    Args:
        input: the tensor that is masked.
        args, kwargs: other arguments of a masked operation, which are ignored.
        mask: True for the elements to include; it is broadcast to the shape of the input.
    Raises: ValueError without a mask, IndexError for a mask with more dimensions than the input.
    """
    if mask is None:
        raise ValueError("_input_mask requires explicit mask")
    if mask.ndim > input.ndim:
        raise IndexError(
            "_input_mask expected broadcastable mask (got mask dimensionality higher than of the input): "
            f"{mask.ndim} and {input.ndim}"
        )
    if input.layout is not flambeau.strided:
        from ._sparse import input_mask

        return input_mask(input, mask)
    dense = mask if mask.layout is flambeau.strided else mask.to_dense()
    return flambeau.broadcast_to(dense, input.shape).to(flambeau.bool)


def _output_mask(op: Callable[..., Any], input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Return a mask of the result elements that depend on at least one included element.

    Args:
        op: a function of this module.
        input, args, kwargs: arguments of ``op``, including a mask.
    """
    name = getattr(op, "__name__", None)
    if name in _NORMALIZATIONS:
        return _input_mask(input, mask=kwargs.get("mask"))
    if name not in _REDUCTIONS:
        raise ValueError(f"_output_mask expected masked operation (got {op!r})")
    if name == "norm":
        args = args[1:]  # skip the argument ``ord``
    dims = _canonical_dim(args[0] if args else kwargs.get("dim"), input.ndim)
    mask = _input_mask(input, mask=kwargs.get("mask")).to_dense()
    return mask.sum(dims, keepdim=bool(kwargs.get("keepdim"))) > 0


def single_dim(dim: int | Sequence[int] | None, ndim: int) -> int:
    """Return the dimension for a function of one dimension. If several are given, it is the first, as in PyTorch."""
    return (_canonical_dim(dim, ndim) or (0,))[0]


def _canonical_dim(dim: int | Sequence[int] | None, ndim: int) -> tuple[int, ...]:
    """Return dimensions as sorted non-negative numbers. None and an empty tuple mean all dimensions."""
    if dim is None or dim == ():
        return tuple(range(ndim))
    count = max(ndim, 1)
    dims: list[int] = []
    for each in dim if isinstance(dim, Sequence) else (dim,):
        if not -count <= each < count:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [{-count}, {count - 1}], but got {each})"
            )
        if each % count in dims:
            raise RuntimeError(f"dim={each} appears multiple times in the list of dims")
        dims.append(each % count)
    return tuple(sorted(dims))


def _reduction_identity(op_name: str, input: Tensor, *args: Any) -> Tensor | None:
    """Return the identity element of an operation, which does not change a result, or None if it does not exist.

    Args:
        op_name: name of a function of this module.
        input: a tensor with the dtype and the device of the value.
        args: for ``norm``, the order.
    """
    name = op_name.rpartition(".")[2]
    if name in ("mean", "var", "std"):
        return None
    value, dtype = _identity(name, input, *args), input.dtype
    if name == "median" and not input.is_floating_point():
        dtype = flambeau.float32
    return flambeau.tensor(value, dtype=dtype, device=input.device)


def _identity(name: str, input: Tensor, order: float | None = 2) -> float:
    fixed = {"sum": 0, "cumsum": 0, "prod": 1, "cumprod": 1, "median": math.nan}
    if name in fixed:
        return fixed[name]
    if name == "norm":
        return math.inf if order == -math.inf else 0
    least, most = _value_bounds(name, input)
    if name in ("amax", "argmax", "logaddexp", "logsumexp"):
        return least
    if name in ("amin", "argmin"):
        return most
    raise NotImplementedError(f"identity of {name} on {input.dtype} input")


def _value_bounds(name: str, input: Tensor) -> tuple[float, float]:
    if input.is_floating_point() or (name == "logsumexp" and input.is_complex()):
        return -math.inf, math.inf
    if input.dtype is flambeau.bool or input.is_complex():
        raise NotImplementedError(f"identity of {name} on {input.dtype} input")
    info = flambeau.iinfo(input.dtype)
    return info.min, info.max


def filled(name: str, input: Tensor, mask: Tensor | None, *args: Any) -> Tensor:
    """Return the input with masked-out elements replaced by the identity element of an operation."""
    if input.layout is not flambeau.strided:
        raise ValueError(f"masked {name} expects strided tensor (got {input.layout} tensor)")
    if mask is None:
        return input
    identity: Any = _reduction_identity(name, input, *args)
    return flambeau.where(_input_mask(input, mask=mask), input, identity)
