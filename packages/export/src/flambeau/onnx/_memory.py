"""Values of tensors during a trace with in-place changes.

Note [Changes in place]
An ONNX file has values and no memory. A tensor that is changed in place gets a new value: the call is recorded as the
out-of-place function of the same name. If the tensor is a view, its base also gets a new value, computed from the old
value and the changed part; other views of the base are recomputed when they are next read. Parameters and other tensors
that existed before the trace are restored at its end.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from flambeau import Tensor, arange
from flambeau._tracing._decompositions import put_at

from ._values import Value

_SHARED = (
    "a tensor of shape {} was changed in place through another that shares its memory without being a view of it: "
    "change the tensor itself, or clone() it first"
)


@dataclass
class View:
    """Relation of a view to its base."""

    base: Tensor
    again: Callable[[Tensor], Tensor]  # function that applies the view operation to another tensor


@dataclass
class _KnownTensor:
    tensor: Tensor  # the reference keeps the tensor alive, because its id is the key
    value: Value
    version: int  # version of the memory when the value was set
    view: View | None


def _address(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr() if tensor.numel() else 0


def shares_memory(a: Tensor, b: Tensor) -> bool:
    return a is not b and _address(a) == _address(b) != 0


class Memory:
    """Current `Value` of each tensor during a trace.

    Args:
        constant: function that creates the value of a tensor from outside the trace.
        tracing: the context in which operators are recorded.
        writes: if True, in-place changes of floating-point tensors are executed; if False, only values change.
    """

    def __init__(
        self, constant: Callable[[Tensor], Value], tracing: AbstractContextManager[Any], writes: bool = True
    ) -> None:
        self._writes = writes
        self._constant = constant
        self._tracing = tracing
        self._known: dict[int, _KnownTensor] = {}
        self._versions: dict[int, int] = {}  # number of changes, by memory address
        self._found: set[int] = set()  # memory that existed before the trace
        self._before: list[tuple[Tensor, Tensor]] = []  # changed tensors in that memory, with copies

    def contains(self, tensor: Tensor) -> bool:
        return id(tensor) in self._known

    def set(self, tensor: Tensor, value: Value, view: View | None = None) -> None:
        """Set the value of a tensor."""
        self._known[id(tensor)] = _KnownTensor(tensor, value, self._version(tensor), view)

    def find(self, tensor: Tensor, value: Value) -> None:
        """Register a tensor that existed before the trace, with its value."""
        if self._version(tensor):
            raise NotImplementedError(_SHARED.format(list(tensor.shape)))
        self._found.add(_address(tensor))
        self.set(tensor, value)

    def value(self, tensor: Tensor) -> Value:
        """Return the current value of a tensor."""
        if not self.contains(tensor):
            self.find(tensor, self._constant(tensor))
        known = self._known[id(tensor)]
        if known.version != self._version(tensor):
            if known.view is None:
                raise NotImplementedError(_SHARED.format(list(tensor.shape)))
            with self._tracing:
                again = known.view.again(known.view.base)
            self.set(tensor, self.value(again), known.view)
        return self._known[id(tensor)].value

    def change(self, tensor: Tensor, to: Tensor) -> None:
        """Record that ``tensor`` gets the elements of ``to`` in place. If ``tensor`` is a view, update its base."""
        self.value(tensor)
        if not self._writes and tensor.is_floating_point():
            self._assign(tensor, to)
            return
        address = _address(tensor)
        for known in self._known.values():
            if _address(known.tensor) == address and known.value.tensor is known.tensor:
                known.value.tensor = known.tensor.clone()  # later reads must see the current elements
        if address in self._found:
            self._before.append((tensor, tensor.clone()))
        self._assign(tensor, to)
        tensor.copy_(to)

    def set_back(self) -> None:
        """Restore the elements of memory that existed before the trace."""
        for tensor, copy in reversed(self._before):
            tensor.copy_(copy)
        self._before.clear()
        self._known.clear()

    def _version(self, tensor: Tensor) -> int:
        return self._versions.get(_address(tensor), 0)

    def _assign(self, tensor: Tensor, to: Tensor) -> None:
        # Both are read before the change, because ``to`` and ``tensor`` may share memory.
        value, view = self.value(to), self._known[id(tensor)].view
        if view is None:
            self._versions[_address(tensor)] = self._version(tensor) + 1
        else:
            in_order = tensor.numel() == view.base.numel() and _in_order(view)
            with self._tracing:
                whole = to.reshape(view.base.shape) if in_order else _scatter_into_base(view, to)
            self._assign(view.base, whole)
        self.set(tensor, value, view)


def _scatter_into_base(view: View, part: Tensor) -> Tensor:
    positions = arange(view.base.numel(), device=view.base.device).reshape(view.base.shape)
    return put_at(view.base, view.again(positions), part)


def _in_order(view: View) -> bool:
    positions = arange(view.base.numel(), device=view.base.device).reshape(view.base.shape)
    return bool((view.again(positions).reshape(-1) == positions.reshape(-1)).all())
