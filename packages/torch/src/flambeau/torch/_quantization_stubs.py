"""Modules that mark where a model would be quantised. Without quantisation they compute in floating point.

flambeau has no quantised tensors. Models that contain these modules can be built, trained and loaded.
"""

from __future__ import annotations

from typing import Any

from flambeau import Tensor, cat, nn

__all__ = ["DeQuantStub", "FloatFunctional", "QuantStub"]


class _Stub(nn.Module):
    def __init__(self, qconfig: Any = None) -> None:
        super().__init__()
        if qconfig:
            self.qconfig = qconfig

    def forward(self, x: Tensor) -> Tensor:
        return x


class QuantStub(_Stub):
    """Identity that marks where a model's input would be quantised."""


class DeQuantStub(_Stub):
    """Identity that marks where a model's output would be converted back to floating point."""


class FloatFunctional(nn.Module):
    """Arithmetic as methods of a module. Each result passes through the module ``activation_post_process``."""

    def __init__(self) -> None:
        super().__init__()
        self.activation_post_process = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError("FloatFunctional is not intended to use the 'forward'. Please use the underlying operation")

    def _processed(self, result: Tensor) -> Tensor:
        processed: Tensor = self.activation_post_process(result)
        return processed

    def add(self, x: Tensor, y: Tensor) -> Tensor:
        """Return ``x + y``."""
        return self._processed(x + y)

    def add_scalar(self, x: Tensor, y: float) -> Tensor:
        """Return ``x + y`` without further processing."""
        return x + y

    def mul(self, x: Tensor, y: Tensor) -> Tensor:
        """Return ``x * y``."""
        return self._processed(x * y)

    def mul_scalar(self, x: Tensor, y: float) -> Tensor:
        """Return ``x * y`` without further processing."""
        return x * y

    def cat(self, x: list[Tensor], dim: int = 0) -> Tensor:
        """Concatenate tensors."""
        return self._processed(cat(x, dim))

    def add_relu(self, x: Tensor, y: Tensor) -> Tensor:
        """Return ``relu(x + y)``."""
        return self._processed((x + y).relu())

    def matmul(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the matrix product."""
        return self._processed(x @ y)
