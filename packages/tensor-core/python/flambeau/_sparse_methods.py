"""Methods of Tensor for sparse layouts: conversions, and methods that only sparse tensors support."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flambeau import _core
from flambeau._core import Tensor

_LAYOUTS = {
    _core.strided: "Strided",
    _core.sparse_coo: "Sparse",
    _core.sparse_csr: "SparseCsr",
    _core.sparse_csc: "SparseCsc",
    _core.sparse_bsr: "SparseBsr",
    _core.sparse_bsc: "SparseBsc",
}

# Methods that only tensors of one layout have, and the name of that layout.
_OF_LAYOUT = {
    **dict.fromkeys(("coalesce", "is_coalesced", "indices", "_indices"), "sparse coordinate tensor"),
    **dict.fromkeys(("values", "_values", "_nnz"), "sparse tensor"),
    **dict.fromkeys(("crow_indices", "col_indices"), "sparse row compressed tensor"),
    **dict.fromkeys(("ccol_indices", "row_indices"), "sparse column compressed tensor"),
}

# Methods that flambeau.sparse implements for tensors of every layout.
_CONVERSIONS = ("to_sparse", "to_sparse_coo", "to_sparse_csr", "to_sparse_csc", "to_sparse_bsr", "to_sparse_bsc")
_SPARSE_ONLY = ("sparse_mask", "sparse_resize_", "sparse_resize_and_clear_", "smm", "sspaddmm", "resize_as_sparse_")


def _unsupported_method(name: str, what: str) -> Callable[[Tensor], Any]:
    def method(self: Tensor) -> Any:
        own = getattr(type(self), name)
        if self.layout is not _core.strided and own is not method:  # called as Tensor.name(tensor)
            return own(self)
        raise RuntimeError(f"{name} expected {what} layout but got {_LAYOUTS.get(self.layout, self.layout)}")

    method.__name__, method.__doc__ = name, f"Supported only by a {what}. Other tensors raise RuntimeError."
    return method


def _sparse_method(name: str) -> Callable[..., Any]:
    def method(self: Tensor, *args: Any, **kwargs: Any) -> Any:
        from flambeau.sparse._tensor import IMPLEMENTATIONS

        return IMPLEMENTATIONS[name](self, *args, **kwargs)

    method.__name__, method.__doc__ = name, "See flambeau.sparse."
    return method


def to_dense(self: Tensor, dtype: Any = None, *, masked_grad: bool | None = None) -> Tensor:
    """Return a strided tensor with the same elements, or ``self`` if it is strided.

    Gradient: defined. The gradient of a sparse tensor is the gradient of its values.

    >>> import flambeau
    >>> flambeau.sparse_coo_tensor([[1]], [2.0], (3,)).to_dense()
    tensor([0., 2., 0.])
    """
    if self.layout is _core.strided:
        return self if dtype is None else self.to(dtype)
    result: Tensor = _sparse_method("to_dense")(self, dtype, masked_grad=masked_grad)
    return result


def sparse_dim(self: Tensor) -> int:
    """Return the number of sparse dimensions, which is 0 for a strided tensor."""
    own: Any = type(self).sparse_dim
    return 0 if own is sparse_dim else own(self)


def dense_dim(self: Tensor) -> int:
    """Return the number of dense dimensions, which is ``ndim`` for a strided tensor."""
    own: Any = type(self).dense_dim
    return self.ndim if own is dense_dim else own(self)


def install() -> None:
    """Add the methods for sparse layouts, such as ``to_dense`` and ``coalesce``, to the Tensor class."""
    for name, what in _OF_LAYOUT.items():
        setattr(Tensor, name, _unsupported_method(name, what))
    for name in (*_CONVERSIONS, *_SPARSE_ONLY):
        setattr(Tensor, name, _sparse_method(name))
    for function in (to_dense, sparse_dim, dense_dim):
        setattr(Tensor, function.__name__, function)
