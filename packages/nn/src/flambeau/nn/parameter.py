"""Tensors that a module registers when they are assigned to one of its attributes."""

from __future__ import annotations

from typing import Any, Self

from flambeau import Tensor, empty
from flambeau.overrides import _disabled_torch_function_impl

__all__ = ["Buffer", "Parameter"]


class Parameter(Tensor):
    """A tensor that a module trains: assigned to a module's attribute, it joins ``module.parameters()``.

    It shares storage with ``data`` and carries no history.

    Args:
        data: any floating tensor; an empty one if None.
        requires_grad: False freezes the parameter.
    Raises: RuntimeError if ``data`` is not floating and ``requires_grad`` is True.

    >>> nn.Parameter(fb.tensor([1.0, 2.0]))
    Parameter containing:
    tensor([1., 2.], requires_grad=True)
    """

    __torch_function__ = _disabled_torch_function_impl  # what is computed from a parameter is a plain tensor

    def __new__(cls, data: Tensor | None = None, requires_grad: bool = True) -> Self:
        parameter: Self = Tensor._make_subclass(cls, empty(0) if data is None else data, requires_grad)
        return parameter

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return type(self)(self.detach().clone(), self.requires_grad)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return _rebuild_parameter, (type(self), self.detach(), self.requires_grad)

    def __repr__(self) -> str:
        plain = self.detach().requires_grad_(self.requires_grad)
        return f"Parameter containing:\n{plain!r}"


def _rebuild_parameter(kind: type[Parameter], data: Tensor, requires_grad: bool) -> Parameter:
    return kind(data, requires_grad)


class Buffer(Tensor):
    """A tensor that belongs to a module's state but is not trained, such as a running mean.

    Assigned to a module's attribute, it joins ``module.buffers()``; ``persistent=False`` keeps it out of
    ``state_dict()``.

    >>> layer = nn.Identity()
    >>> layer.scale = nn.Buffer(fb.ones(2))
    >>> list(layer.state_dict())
    ['scale']
    """

    persistent: bool
    __torch_function__ = _disabled_torch_function_impl

    def __new__(cls, data: Tensor | None = None, *, persistent: bool = True) -> Self:
        source = empty(0) if data is None else data
        buffer: Self = Tensor._make_subclass(cls, source.detach(), source.requires_grad)
        buffer.persistent = persistent
        return buffer

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return type(self)(self.detach().clone(), persistent=self.persistent)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return _rebuild_buffer, (type(self), self.detach(), self.persistent)


def _rebuild_buffer(kind: type[Buffer], data: Tensor, persistent: bool) -> Buffer:
    return kind(data, persistent=persistent)
