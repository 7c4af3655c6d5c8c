"""Factories of sparse tensors: functions such as ``zeros`` and ``empty`` with ``layout=``, and copies of data."""

from __future__ import annotations

from typing import Any

import flambeau
from flambeau import _core
from flambeau._core import Tensor
from flambeau.sparse._compressed import CompressedTensor
from flambeau.sparse._conversion import clone, to, to_sparse
from flambeau.sparse._tensor import NOT_IMPLEMENTED, SparseTensor, implements

_ZERO_FACTORIES = ("empty", "zeros", "new_empty", "new_zeros", "zeros_like")


def created(name: str, options: dict[str, Any]) -> Tensor:
    """Implement the factory function ``name``, such as ``zeros``, for a call with a sparse ``layout``.

    Args:
        options: the arguments of the call by name, including defaults.
    """
    if name == "empty_like":
        raise RuntimeError(
            "Could not run 'aten::empty_strided' with arguments from the 'SparseCPU' backend: the result of "
            "empty_like() of a strided tensor is strided; use zeros_like()"
        )
    if name not in _ZERO_FACTORIES:
        raise NotImplementedError(
            f"{name}(): not implemented for the layout {options['layout']}; convert a strided tensor with .to_sparse()"
        )
    if options.get("memory_format") is not None:
        raise RuntimeError("memory format option is only supported by strided tensors")
    like = options.get("input")
    dtype, device = options["dtype"], options["device"]
    if like is not None:
        dtype, device = dtype or like.dtype, like.device if device is None else device
    size = options.get("size", getattr(like, "shape", None))
    return _zeros(size, dtype, device, options["layout"], options["requires_grad"])


def _zeros(size: Any, dtype: Any, device: Any, layout: Any, requires_grad: bool) -> SparseTensor:
    sizes = (size,) if isinstance(size, int) else size
    if layout in (_core.sparse_csr, _core.sparse_csc) and len(sizes) < 2:
        raise RuntimeError(
            f"{_core._library_name()}.empty: Only batched sparse compressed (non-block) tensors are supported, but got "
            f"size {list(sizes)}"
        )
    result = to_sparse(flambeau.sparse_coo_tensor(sizes, dtype=dtype, device=device), layout=layout)
    return result.requires_grad_() if requires_grad else result


@implements("zeros.out", "empty.out")
def zeros_to(
    out: SparseTensor,
    *size: Any,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> SparseTensor:
    """Implement ``zeros`` with a sparse ``out``: remove its elements and set its size. All dimensions become sparse."""
    if dtype not in (None, out.dtype):
        raise RuntimeError(f"dtype {dtype} does not match dtype of out parameter ({out.dtype})")
    sizes = size[0] if len(size) == 1 and not isinstance(size[0], int) else size
    out._take_over(_zeros(sizes, out.dtype, out.device, out.layout, requires_grad))
    return out


@implements("as_tensor")
def as_tensor(data: SparseTensor, dtype: Any = None, device: Any = None) -> Tensor:
    """Convert the dtype or device. Return the tensor itself if no conversion is needed."""
    return to(data, data.device if device is None else device, dtype or data.dtype)


@implements("asarray")
def asarray(
    obj: SparseTensor, *, dtype: Any = None, device: Any = None, copy: bool | None = None, requires_grad: bool = False
) -> Tensor:
    """Convert like `as_tensor`. ``copy=True`` always copies, ``copy=False`` raises ValueError if a copy is needed."""
    result: Any = as_tensor(obj, dtype, device)
    if copy is False and result is not obj:
        raise ValueError(f"asarray(): can't alias a sparse tensor of {obj.dtype} on {obj.device}")
    result = clone(result) if copy and result is obj else result
    return result.detach().requires_grad_() if requires_grad else result  # type: ignore[no-any-return]


@implements("tensor")
def copied(
    data: SparseTensor,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """Copy a tensor without its autograd graph."""
    plain: Any = data.detach()
    result: Any = asarray(plain, dtype=dtype, device=device, copy=True, requires_grad=requires_grad)
    return result.pin_memory() if pin_memory else result  # type: ignore[no-any-return]


@implements("new_tensor")
def new_tensor(tensor: Tensor, data: Any, *, dtype: Any = None, device: Any = None, **options: Any) -> Tensor:
    """Return a tensor of ``data``, by default with ``tensor``'s dtype and device. Numbers give a strided tensor."""
    device = tensor.device if device is None else device
    if isinstance(data, SparseTensor):
        return copied(data, dtype=dtype, device=device, **options)
    return flambeau.tensor(data, dtype=dtype or tensor.dtype, device=device, **options)


def _register_filled(name: str) -> None:
    @implements(name)
    def filled_like(tensor: SparseTensor, *args: Any, **options: Any) -> SparseTensor:
        """Return a tensor with other values at the indices of a compressed tensor."""
        if not isinstance(tensor, CompressedTensor):
            raise NotImplementedError(NOT_IMPLEMENTED.format(name=name, layout=tensor.layout))
        return tensor._like(getattr(flambeau, name)(tensor._val, *args, **options))


for _name in ("full_like", "ones_like", "rand_like", "randn_like"):
    _register_filled(_name)
