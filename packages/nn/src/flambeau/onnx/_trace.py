"""Running a program while noting the operators that it calls."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import flambeau
from flambeau import Tensor, _core
from flambeau.jit import TracerWarning
from flambeau.jit._structure import leaves, place, replaced
from flambeau.nn import functional
from flambeau.overrides import TorchFunctionMode

from . import _decomposed_layers as _decomposed_layers  # registers them
from ._decompositions import DECOMPOSITIONS, IN_PLACE
from ._memory import Memory, View, shares_memory
from ._values import Call, Value

# What gives Python something to decide on.
_READS = {"item", "tolist", "numpy", "equal", "allclose", "is_nonzero", "__array__", "__contains__"}
_READS |= {"__bool__", "__int__", "__float__", "__index__", "__complex__"}
# Other names of operators: those of the rows, and of others.
_NAMES: dict[str, str] = {alias: row["name"] for row in _core.pointwise_rows() for alias in row["aliases"]}
_NAMES |= {
    "subtract": "sub",
    "divide": "div",
    "clip": "clamp",
    "expit": "sigmoid",
    "ger": "outer",
    "row_stack": "vstack",
}
_NAMES |= {"native_channel_shuffle": "channel_shuffle", "vdot": "dot", "adjoint": "mT"}
_WITHOUT_EFFECT = {"requires_grad_", "detach_", "retain_grad", "register_hook", "share_memory_"}


class Trace(TorchFunctionMode):
    """The calls of what is run within it.

    Args:
        inputs: the tensors that the program is given.
    """

    def __init__(self, inputs: Iterable[Tensor]) -> None:
        self.calls: list[Call] = []
        self.values: list[Value] = []
        self.memory = Memory(self._new, self)
        for i, tensor in enumerate(inputs):
            self.memory.find(tensor, self._new(tensor, input=i, varies=True))

    def _new(self, tensor: Tensor, **more: Any) -> Value:
        value = Value(len(self.values), tensor, **more)
        self.values.append(value)
        return value

    def end(self, keep_constants: bool) -> None:
        """Set back what was changed, and let go of elements: of all values, or of those that no input has a part in."""
        self.memory.set_back()
        for value in self.values:
            if value.varies or not keep_constants:
                value.tensor = flambeau.empty(value.tensor.shape, dtype=value.tensor.dtype, device="meta")

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = _name_of(func)
        if name in _WITHOUT_EFFECT:
            return func(*args, **kwargs)
        if name == "__iter__":
            with self:
                return iter(args[0].unbind(0))
        if kwargs.get("out") is not None:
            return self._written_out(func, args, kwargs)
        if name in IN_PLACE or (name.endswith("_") and not name.endswith("__")):
            with self, _device_of(args):
                new = _not_in_place(name)(*args, **kwargs)
            same = new.shape == args[0].shape
            return self._changed(args[0], new) if same else self._reshaped(func, args, kwargs, new)
        if name in DECOMPOSITIONS:
            with self, _device_of([*args, *kwargs.values()]):
                return DECOMPOSITIONS[name](*args, **kwargs)
        result = func(*args, **kwargs)
        if tensors := leaves(result, Tensor):
            self._note(name, func, args, kwargs, tensors)
        elif name in _READS:
            self._warn_of(name, [*args, *kwargs.values()])
        return result

    def _changed(self, tensor: Tensor, new: Tensor) -> Tensor:
        if new.dtype != tensor.dtype:
            with self:
                new = new.to(tensor.dtype)
        self.memory.change(tensor, new)
        return tensor

    def _reshaped(self, func: Any, args: Any, kwargs: Any, new: Tensor) -> Tensor:
        """The tensor takes another shape; where it cannot, ``func`` raises."""
        tensor: Tensor = func(*args, **kwargs)
        self.memory.set(tensor, self.memory.value(new))
        return tensor

    def _written_out(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        out = kwargs["out"]
        with self:
            new = func(*args, **{name: value for name, value in kwargs.items() if name != "out"})
        for tensor, result in zip(leaves(out, Tensor), leaves(new, Tensor), strict=True):
            if tensor.shape == result.shape:
                self._changed(tensor, result)
            else:
                self.memory.set(tensor.resize_(result.shape).copy_(result), self.memory.value(result))
        return out

    def _note(self, name: str, func: Any, args: Any, kwargs: Any, results: list[Tensor]) -> None:
        arguments = {key: replaced(a, Tensor, self.memory.value) for key, a in _bound(func, args, kwargs).items()}
        if all(any(t is given for given in leaves([*args, *kwargs.values()], Tensor)) for t in results):
            return  # such as contiguous() of what is contiguous
        call = Call(name, arguments, place())
        varies = any(value.varies for value in leaves(arguments, Value))
        self.calls.append(call)
        for i, tensor in enumerate(results):
            call.results.append(self._new(tensor, call=call, varies=varies))
            if not self.memory.knows(tensor):
                self.memory.set(tensor, call.results[i], _view(func, args, kwargs, i, tensor))

    def _warn_of(self, name: str, arguments: list[Any]) -> None:
        if any(self.memory.value(t).varies for t in leaves(arguments, Tensor)):
            warnings.warn(
                f"{place()}: {name} gives Python a value that depends on the inputs; in the file it is the constant "
                "that it was for these, and what the program does with it is fixed as well",
                TracerWarning,
                stacklevel=2,
            )


def _device_of(arguments: Any) -> AbstractContextManager[Any]:
    """The context in which tensors are made where the first of these is."""
    tensors = leaves(arguments, Tensor)
    return tensors[0].device if tensors else nullcontext()


def _name_of(func: Any) -> str:
    name: str = func.__self__.__name__ if func.__name__ == "__get__" else func.__name__
    in_place = name.endswith("_") and not name.endswith("__")
    return _NAMES.get(name, name) if not in_place else _NAMES.get(name[:-1], name[:-1]) + "_"


def _not_in_place(name: str) -> Callable[..., Any]:
    """The function that computes what an operator leaves in its first argument."""
    if name in IN_PLACE:
        return IN_PLACE[name]
    found: Callable[..., Any] | None = None
    for holder in (Tensor, flambeau, functional):
        found = found or getattr(holder, name[:-1], None)
    if found is None:
        raise NotImplementedError(f"flambeau.onnx has no function for {name}, which changes a tensor in place")
    return found


def _view(func: Any, args: Any, kwargs: Any, position: int, result: Tensor) -> View | None:
    """How a result shows the memory of one of the arguments, if it does."""
    base = next((t for t in leaves([*args, *kwargs.values()], Tensor) if shares_memory(t, result)), None)
    if base is None:
        return None

    def again(other: Tensor) -> Tensor:
        replace = functools.partial(replaced, kind=Tensor, by=lambda t: other if t is base else t)
        made: Tensor = leaves(func(*replace(args), **replace(kwargs)), Tensor)[position]
        return made

    return View(base, again)


_signature = functools.lru_cache(None)(inspect.signature)


def _bound(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments by the names of the parameters, defaults included."""
    if func.__name__ == "__get__":
        return {"input": args[0]}
    bound = _signature(func).bind(*args, **kwargs)
    bound.apply_defaults()
    return bound.arguments
