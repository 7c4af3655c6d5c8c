"""What the tensors of a trace are worth where they change in place.

Note [Changes in place]
A file of the ONNX format has values and no memory. A tensor that is changed in place has another value from then on:
the call is noted as the function of the same name. Where the tensor is a view, what it is a view of gets another value
as well, made of its former one and the part; other views of that are computed again when they are next read. Parameters
and whatever else was there before the trace are set back at its end.
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
    """How a tensor came from another whose memory it shows."""

    base: Tensor
    again: Callable[[Tensor], Tensor]  # the same view of another tensor


@dataclass
class _Known:
    tensor: Tensor  # held, since its id is what it is known by
    value: Value
    version: int  # of its memory, when it had that value
    view: View | None


def _address(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr() if tensor.numel() else 0


def shares_memory(a: Tensor, b: Tensor) -> bool:
    return a is not b and _address(a) == _address(b) != 0


class Memory:
    """The values of tensor objects.

    Args:
        constant: makes the value of a tensor that nothing in the trace has computed.
        tracing: the context in which operators are noted.
        writes: whether changes of floating-point tensors change their elements, or only their values.
    """

    def __init__(
        self, constant: Callable[[Tensor], Value], tracing: AbstractContextManager[Any], writes: bool = True
    ) -> None:
        self._writes = writes
        self._constant = constant
        self._tracing = tracing
        self._known: dict[int, _Known] = {}
        self._versions: dict[int, int] = {}  # of each memory that was changed, by its address
        self._found: set[int] = set()  # the memory that was there before
        self._before: list[tuple[Tensor, Tensor]] = []  # tensors over such memory that were changed, and a copy

    def knows(self, tensor: Tensor) -> bool:
        return id(tensor) in self._known

    def set(self, tensor: Tensor, value: Value, view: View | None = None) -> None:
        """The tensor has this value from now on."""
        self._known[id(tensor)] = _Known(tensor, value, self._version(tensor), view)

    def find(self, tensor: Tensor, value: Value) -> None:
        """The tensor was there before the trace."""
        if self._version(tensor):
            raise NotImplementedError(_SHARED.format(tuple(tensor.shape)))
        self._found.add(_address(tensor))
        self.set(tensor, value)

    def value(self, tensor: Tensor) -> Value:
        """What the tensor is worth now."""
        if not self.knows(tensor):
            self.find(tensor, self._constant(tensor))
        known = self._known[id(tensor)]
        if known.version != self._version(tensor):
            if known.view is None:
                raise NotImplementedError(_SHARED.format(tuple(tensor.shape)))
            with self._tracing:
                again = known.view.again(known.view.base)
            self.set(tensor, self.value(again), known.view)
        return self._known[id(tensor)].value

    def change(self, tensor: Tensor, to: Tensor) -> None:
        """The tensor gets the elements of another, in place; what it is a view of, too."""
        self.value(tensor)
        if not self._writes and tensor.is_floating_point():
            self._assign(tensor, to)
            return
        address = _address(tensor)
        for known in self._known.values():
            if _address(known.tensor) == address and known.value.tensor is known.tensor:
                known.value.tensor = known.tensor.clone()  # an element read later is to be the one of now
        if address in self._found:
            self._before.append((tensor, tensor.clone()))
        self._assign(tensor, to)
        tensor.copy_(to)

    def set_back(self) -> None:
        """Give the memory that was there before the elements it had."""
        for tensor, copy in reversed(self._before):
            tensor.copy_(copy)
        self._before.clear()
        self._known.clear()

    def _version(self, tensor: Tensor) -> int:
        return self._versions.get(_address(tensor), 0)

    def _assign(self, tensor: Tensor, to: Tensor) -> None:
        value, view = self.value(to), self._known[id(tensor)].view  # before it changes: they may share memory
        if view is None:
            self._versions[_address(tensor)] = self._version(tensor) + 1
        else:
            in_order = tensor.numel() == view.base.numel() and _in_order(view)
            with self._tracing:
                whole = to.reshape(view.base.shape) if in_order else _put_back(view, to)
            self._assign(view.base, whole)
        self.set(tensor, value, view)


def _put_back(view: View, part: Tensor) -> Tensor:
    places = arange(view.base.numel(), device=view.base.device).reshape(view.base.shape)
    return put_at(view.base, view.again(places), part)


def _in_order(view: View) -> bool:
    places = arange(view.base.numel(), device=view.base.device).reshape(view.base.shape)
    return bool((view.again(places).reshape(-1) == places.reshape(-1)).all())
