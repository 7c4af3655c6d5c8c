"""Layers that reshape their input."""

from __future__ import annotations

from collections.abc import Sequence

from flambeau import Tensor

from ._inputs import check_no_input
from .module import Module


class Flatten(Module):
    """Flatten the dimensions from ``start_dim`` to ``end_dim`` into one; by default all dimensions except the batch.

    >>> tuple(nn.Flatten()(fb.zeros(32, 1, 5, 5)).shape)
    (32, 25)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        check_no_input(self, start_dim=start_dim, end_dim=end_dim)
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Tensor) -> Tensor:
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Split the dimension ``dim`` into dimensions of the sizes ``unflattened_size``, one of which may be -1.

    >>> tuple(nn.Unflatten(1, (1, 5, 5))(fb.zeros(32, 25)).shape)
    (32, 1, 5, 5)
    """

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        super().__init__()
        check_no_input(self, dim=dim)
        self.dim = dim
        self.unflattened_size = tuple(unflattened_size)

    def forward(self, input: Tensor) -> Tensor:
        dim = self.dim + input.ndim if self.dim < 0 else self.dim
        if not 0 <= dim < input.ndim:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [{-input.ndim}, {input.ndim - 1}], "
                f"but got {self.dim})"
            )
        shape = tuple(input.shape)
        return input.reshape(*shape[:dim], *self._split(shape[dim]), *shape[dim + 1 :])

    def _split(self, size: int) -> tuple[int, ...]:
        """Return the sizes that replace a dimension of ``size``, with -1 replaced by the inferred size."""
        known = 1
        for part in self.unflattened_size:
            known *= part if part != -1 else 1
        free = self.unflattened_size.count(-1)
        fits = (known > 0 and size % known == 0) if free == 1 else known == size
        if free > 1 or not fits:
            raise RuntimeError(
                f"unflatten: Provided sizes {self.unflattened_size} don't multiply up to the size of dim "
                f"{self.dim} ({size}) in the input tensor"
            )
        return tuple(size // known if part == -1 else part for part in self.unflattened_size)

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
