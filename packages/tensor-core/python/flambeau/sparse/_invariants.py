"""The setting that selects the checks of sparse tensors, and the invariants of COO tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, Self, TypeVar

from flambeau._core import Tensor
from flambeau.sparse._coo import flat_keys

P = ParamSpec("P")
T = TypeVar("T")

_enabled = False


def check_enabled(given: bool | None) -> bool:
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
            raise RuntimeError(
                "This context manager instance is already activated. Use a different context manager instance for "
                "context nesting"
            )
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
