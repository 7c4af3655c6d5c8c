"""Invariants of the parts of sparse tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, Self, TypeVar

from flambeau._core import Tensor
from flambeau.sparse._compressed import CompressedTensor
from flambeau.sparse._coo import flat_keys

P = ParamSpec("P")
T = TypeVar("T")

_enabled = False


def wanted(given: bool | None) -> bool:
    """Return the value of ``check_invariants``. None means the global setting."""
    return _enabled if given is None else given


class check_sparse_tensor_invariants:
    """Context manager and decorator that makes constructors also verify the order of indices.

    ``enable()`` and ``disable()`` change the global setting. Constructors always verify that the parts match and that
    indices are in range, unless ``check_invariants=False``.

    >>> with flambeau.sparse.check_sparse_tensor_invariants():
    ...     flambeau.sparse_csr_tensor([0, 2], [1, 0], [1.0, 2.0], (1, 2))
    Traceback (most recent call last):
    RuntimeError: `col_indices[..., crow_indices[..., i - 1]:crow_indices[..., i]] for all i = 1, ..., nrows are \
sorted and distinct along the last dimension values` is not satisfied.
    """

    @staticmethod
    def is_enabled() -> bool:
        """Return True if the checks are enabled."""
        return _enabled

    @staticmethod
    def enable() -> None:
        """Enable the checks for the whole process."""
        global _enabled
        _enabled = True

    @staticmethod
    def disable() -> None:
        """Disable the checks for the whole process."""
        global _enabled
        _enabled = False

    def __init__(self, enable: bool = True) -> None:
        self.state = enable
        self.saved_state: bool | None = None

    def __enter__(self) -> Self:
        global _enabled
        if self.saved_state is not None:
            raise RuntimeError("This context manager instance is already activated. Use a different instance")
        self.saved_state, _enabled = _enabled, self.state
        return self

    def __exit__(self, *_: object) -> None:
        global _enabled
        _enabled, self.saved_state = bool(self.saved_state), None

    def __call__(self, function: Callable[P, T]) -> Callable[P, T]:
        from functools import wraps

        @wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> T:
            with type(self)(self.state):
                return function(*args, **kwargs)

        return checked


def check_coo_parts(indices: Tensor, values: Tensor, size: tuple[int, ...] | None) -> None:
    """Raise RuntimeError if the sizes of the parts do not match."""
    sparse_dim, dense_dim = indices.shape[0], values.ndim - 1
    if size is not None and len(size) != sparse_dim + dense_dim:
        raise RuntimeError(
            f"'len(size) == sparse_dim + dense_dim' is not satisfied: len(size) = {len(size)}, sparse_dim = "
            f"{sparse_dim}, dense_dim = {dense_dim}"
        )
    if indices.shape[1] != values.shape[0]:
        raise RuntimeError(
            "indices and values must have same nnz, but got nnz from indices: "
            f"{indices.shape[1]}, nnz from values: {values.shape[0]}"
        )
    if size is not None and tuple(values.shape[1:]) != size[sparse_dim:]:
        expected = [values.shape[0], *size[sparse_dim:]]
        raise RuntimeError(f"values has incorrect size, expected {expected}, got {list(values.shape)}")


def check_coo_range(indices: Tensor, size: tuple[int, ...]) -> None:
    """Raise RuntimeError for an index that is out of range."""
    if indices.is_meta or indices.numel() == 0:
        return
    least, largest = indices.amin(1).tolist(), indices.amax(1).tolist()
    for dim, (low, high) in enumerate(zip(least, largest, strict=True)):
        if low < 0:
            raise RuntimeError(f"found negative index {low} for dim {dim}")
        if high >= size[dim]:
            raise RuntimeError(
                f"size is inconsistent with indices: for dim {dim}, size is {size[dim]} but found index {high}"
            )


def check_coalesced(indices: Tensor, size: tuple[int, ...]) -> None:
    """Raise RuntimeError unless the indices are sorted and unique."""
    keys = flat_keys(indices, size[: indices.shape[0]])
    if not bool((keys[1:] > keys[:-1]).all()):
        raise RuntimeError("cannot set is_coalesced to true if indices correspond to uncoalesced COO tensor")


def _names(kind: type[CompressedTensor]) -> tuple[str, str, str, str]:
    return ("crow", "col", "row", "ncols") if kind.compressed_dim == 0 else ("ccol", "row", "column", "nrows")


def check_compressed_parts(
    offsets: Tensor, indices: Tensor, values: Tensor, size: Any, kind: type[CompressedTensor]
) -> None:
    """Raise RuntimeError if the sizes of the parts do not match."""
    compressed, plain, _, _ = _names(kind)
    if offsets.ndim == 0 or offsets.shape[0] == 0:
        raise RuntimeError(f"compressed_indices must have dimensionality >= 1 but got {offsets.ndim}")
    if indices.ndim == 0 or values.ndim == 0:
        raise RuntimeError(f"{plain}_indices and values must have one dimension at least")
    if offsets.dtype is not indices.dtype:
        raise RuntimeError(
            f"{compressed}_indices and {plain}_indices must have the same dtype, bot got {offsets.dtype} and "
            f"{indices.dtype}, respectively"
        )
    if indices.shape[0] != values.shape[0]:
        raise RuntimeError(
            f"number of elements of {plain}_indices must be that of values, got {indices.shape[0]} and "
            f"{values.shape[0]}"
        )
    if size is None:
        return
    if len(size) != 1 + values.ndim:
        raise RuntimeError(f"size must have {1 + values.ndim} dimensions, got {list(size)}")
    if tuple(size[2:]) != tuple(values.shape[1:]):
        raise RuntimeError(
            f"values must have sizes {[indices.shape[0], *size[2:]]} after {list(size)}, got {list(values.shape)}"
        )
    if offsets.shape[0] != size[kind.compressed_dim] + 1:
        raise RuntimeError(
            f"{compressed}_indices.shape[-1] must be equal to the number of {_names(kind)[2]}s + 1 "
            f"({size[kind.compressed_dim] + 1}), but got {offsets.shape[0]}"
        )


def check_compressed_values(
    offsets: Tensor, indices: Tensor, size: tuple[int, ...], kind: type[CompressedTensor], order: bool
) -> None:
    """Raise RuntimeError for invalid offsets, for an index out of range, or with ``order`` for unsorted indices."""
    compressed, plain, _, limit = _names(kind)
    if offsets.is_meta:
        return
    if int(offsets[0]) != 0:
        raise RuntimeError(f"`{compressed}_indices[..., 0] == 0` is not satisfied.")
    if int(offsets[-1]) != indices.shape[0]:
        raise RuntimeError(f"`{compressed}_indices[..., -1] == nnz` is not satisfied.")
    across = size[1 - kind.compressed_dim]
    if bool((offsets[1:] < offsets[:-1]).any()):
        raise RuntimeError(
            f"`0 <= {compressed}_indices[..., 1:] - {compressed}_indices[..., :-1] <= {limit}` is not satisfied."
        )
    if indices.numel() and (int(indices.amin()) < 0 or int(indices.amax()) >= across):
        raise RuntimeError(f"`0 <= {plain}_indices < {limit}` is not satisfied.")
    if order and indices.shape[0] > 1:
        rises = indices[1:] > indices[:-1]
        begins = offsets[1:-1]
        begins = begins[(begins > 0) & (begins < indices.shape[0])].long() - 1
        if not bool(rises.index_fill(0, begins, True).all()):
            count = "nrows" if kind.compressed_dim == 0 else "ncols"
            raise RuntimeError(
                f"`{plain}_indices[..., {compressed}_indices[..., i - 1]:{compressed}_indices[..., i]] for all i = 1, "
                f"..., {count} are sorted and distinct along the last dimension values` is not satisfied."
            )
