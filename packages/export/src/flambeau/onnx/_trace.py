"""Running a program while noting the operators that it calls."""

from __future__ import annotations

import functools
import inspect
import mmap
import warnings
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import flambeau
from flambeau import Tensor, _core
from flambeau.jit import TracerWarning
from flambeau.jit._extension_watch import ExtensionWatcher
from flambeau.jit._numbers import Sizes
from flambeau.jit._structure import Place, holds_batches, leaves, place, replaced
from flambeau.nn import functional
from flambeau.overrides import TorchFunctionMode

from . import _decomposed_layers as _decomposed_layers  # registers them
from ._counts import Counts
from ._decompositions import DECOMPOSITIONS, IN_PLACE
from ._dynamic import DynamicInt
from ._memory import Memory, View, shares_memory
from ._values import Call, Value

# What gives Python something to decide on.
_READS = {"item", "tolist", "numpy", "equal", "allclose", "is_nonzero", "__array__", "__contains__"}
_READS |= {"__dlpack__", "to_dlpack", "__bool__", "__int__", "__float__", "__index__", "__complex__"}
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
_PAGES = 2**16  # bytes from which a mapping of its own pays
COUNTED = {"nonzero", "_nms"}
# Operators whose results never share memory with their arguments, and that do not look at elements.
_COSTLY = {row["name"] for row in _core.pointwise_rows()}
_COSTLY |= {
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "linear",
    "matmul",
}
_COSTLY |= {"mm", "bmm", "addmm", "baddbmm", "einsum", "scaled_dot_product_attention", "batch_norm", "layer_norm"}
_COSTLY |= {"group_norm", "instance_norm", "softmax", "gelu", "interpolate", "avg_pool2d", "adaptive_avg_pool2d"}
_COSTLY |= {"mean", "sum", "pad", "roll", "cat", "stack", "flip", "clone"}
_WITHOUT_EFFECT = {"requires_grad_", "detach_", "retain_grad", "register_hook", "share_memory_"}


class Trace(ExtensionWatcher[Call], TorchFunctionMode):
    """The calls of what is run within it.

    Args:
        inputs: the tensors that the program is given.
        run: the number of the run of the program that is traced.
        shapes_only: compute only the shapes of costly operators' results, and set the elements to 0.

    Attributes:
        counted: whether the size of some result depends on elements. Note [Counts]
        reads: whether Python read elements that depend on the inputs.
    """

    def __init__(self, inputs: Iterable[Tensor], run: int = 0, shapes_only: bool = False) -> None:
        super().__init__()
        self.counted = self.reads = False
        self._shapes_only = shapes_only
        self._counts = Counts(run)
        self.calls: list[Call] = []
        self.values: list[Value] = []
        self.memory = Memory(self._found, self, writes=not shapes_only)
        for i, tensor in enumerate(inputs):
            self.memory.find(tensor, self._new(tensor, input=i, varies=True))

    def _new(self, tensor: Tensor, **more: Any) -> Value:
        value = Value(len(self.values), tensor, **more)
        self.values.append(value)
        return value

    def _found(self, tensor: Tensor) -> Value:
        """Return the value of a tensor that no operator made: a constant, unless an extension made it of the inputs."""
        call = self._made_by_extension(tensor)
        if call is None:
            return self._new(tensor)
        self.calls.append(call)
        call.results.append(self._new(tensor, call=call, varies=True))
        return call.results[0]

    def _see_export(self, tensor: Tensor) -> None:
        self._warn_of("the memory of a tensor", [tensor])

    def _depends_on_inputs(self, tensor: Tensor) -> bool:
        known = self.memory.knows(tensor) and self.memory.value(tensor).varies
        return known or self._made_by_extension(tensor) is not None

    def _extension_call(self, name: str, reason: str, place: Place) -> Call | None:
        return Call(f"{name} ({reason})", {}, place, unknown=True)

    def end(self, keep_constants: bool) -> None:
        """Set back what was changed, and let go of elements: of all values, or of those that no input has a part in."""
        self.memory.set_back()
        for value in self.values:
            if value.varies or not keep_constants:
                value.tensor = flambeau.empty(value.tensor.shape, dtype=value.tensor.dtype, device="meta")

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if holds_batches(args, kwargs):
            return NotImplemented  # of func.vmap, whose rules call operators of tensors
        if (definition := getattr(func, "definition", None)) is not None:
            return self._registered(definition, func, args, kwargs)
        name = _name_of(func)
        if name in _WITHOUT_EFFECT:
            return func(*args, **kwargs)
        if name == "__iter__":
            with self:
                return iter(args[0].unbind(0))
        if kwargs.get("out") is not None:
            return self._written_out(func, args, kwargs)
        if name == "apply":
            return self._applied(func, args, kwargs)
        if name in IN_PLACE or (name.endswith("_") and not name.endswith("__")):
            with self, _device_of(args):
                new = _not_in_place(name)(*args, **kwargs)
            same = new.shape == args[0].shape
            return self._changed(args[0], new) if same else self._reshaped(func, args, kwargs, new)
        if name in DECOMPOSITIONS:
            with self, _device_of([*args, *kwargs.values()]):
                return DECOMPOSITIONS[name](*args, **kwargs)
        if self._selects_by_mask(name, args, kwargs):
            with self:
                return _by_positions(name, *args, **kwargs)
        return self._computed(name, func, args, kwargs)

    def _computed(self, name: str, func: Any, args: Any, kwargs: Any) -> Any:
        """Run an operator and note it under its own name."""
        result = _blank(func, args, kwargs) if self._shapes_only and name in _COSTLY else None
        if result is None:
            result = func(*args, **kwargs)
        if name in COUNTED and self._varies([args, kwargs]):
            self.counted = True
            result = self._counts.resized(result)
        if tensors := leaves(result, Tensor):
            self._note(name, func, args, kwargs, tensors)
        elif name in ("shape", "size") and args[0].ndim:
            return self._sizes(args[0], result, *args[1:], **kwargs)
        elif name in _READS:
            self._warn_of(name, [*args, *kwargs.values()])
        return result

    def _registered(self, op: Any, func: Any, args: Any, kwargs: Any) -> Any:
        """Note a call of an operator of `flambeau.library`, with a value for every parameter."""
        if op._mutated:
            raise NotImplementedError(f"{op._qualname} changes {', '.join(op._mutated)} in place: a file has no memory")
        if op._decomposition is not None and op._onnx is None:
            with self:
                result = op._decomposition(*args, **kwargs)
            if result is not NotImplemented:
                return result
        result = func(*args, **kwargs)
        self._note(op._qualname, func, args, kwargs, leaves(result, Tensor))
        return result

    def _applied(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Trace the forward of a `flambeau.autograd.Function`."""
        with self:
            result = func.__wrapped__(*args, **kwargs)
        given = leaves([*args, *kwargs.values()], Tensor)
        for made in leaves(result, Tensor):
            if same := [t for t in given if made is not t and made.is_set_to(t)]:  # an argument that forward returned
                self.memory.set(made, self.memory.value(same[0]), View(same[0], lambda other: other))
        return result

    def _varies(self, arguments: Any) -> bool:
        return any(self.memory.value(t).varies for t in leaves(arguments, Tensor))

    def _selects_by_mask(self, name: str, args: Any, kwargs: Any) -> bool:
        """Return whether a call selects elements by a mask and is not nonzero() itself."""
        if name in ("where", "nonzero"):
            return len(args) == 1 and self._varies(args) and (name == "where" or bool(kwargs.get("as_tuple")))
        masks = leaves(args[1], Tensor) if name in ("__getitem__", "masked_select") and len(args) == 2 else []
        return any(t.dtype == flambeau.bool and t.ndim for t in masks)

    def _sizes(self, tensor: Tensor, sizes: Any, dim: int | None = None) -> DynamicInt | Sizes:
        """Return a shape, or one of its sizes, as numbers that remember their origin. Note [Traced sizes]"""
        value = self.memory.value(tensor)
        if isinstance(sizes, int):
            assert dim is not None
            return DynamicInt.of(sizes, "size", value, dim % tensor.ndim)
        return Sizes(DynamicInt.of(size, "size", value, axis) for axis, size in enumerate(sizes))

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
        if self._varies(arguments):
            self.reads = True
            warnings.warn(
                f"{place()}: {name} gives Python a value that depends on the inputs; in the file it is the constant "
                "that it was for these, and what the program does with it is fixed as well",
                TracerWarning,
                stacklevel=2,
            )


def _by_positions(name: str, input: Tensor, key: Any = None, **_: Any) -> Tensor | tuple[Tensor, ...]:
    """Select by the positions at which masks are True."""
    if name in ("where", "nonzero"):
        return tuple(input.nonzero().unbind(1))
    if name == "masked_select":
        input, key = flambeau.broadcast_tensors(input, key)
    keys: list[Any] = []
    for part in key if isinstance(key, tuple) else (key,):
        is_mask = isinstance(part, Tensor) and part.dtype == flambeau.bool and part.ndim
        keys += part.nonzero().unbind(1) if is_mask else [part]
    return input[tuple(keys)]


def _blank(func: Any, args: Any, kwargs: Any) -> Tensor | None:
    """Return zeros of the shape of an operator's result; None if it is no floating-point tensor or needs elements."""
    given = [replaced(x, Tensor, lambda t: t.to("meta")) for x in (args, kwargs)]
    try:
        shaped = func(*given[0], **given[1])
    except (NotImplementedError, RuntimeError):
        return None  # the operator needs elements, or raises again when it computes
    if not isinstance(shaped, Tensor) or not shaped.is_floating_point() or not shaped.is_contiguous():
        return None
    if any(shaped is t for t in leaves(given, Tensor)):
        return None
    device = next(t.device for t in leaves([args, kwargs], Tensor))
    count = shaped.numel() * shaped.element_size()
    if count < _PAGES or device.type != "cpu":
        return flambeau.zeros(shaped.shape, dtype=shaped.dtype, device=device)
    pages = mmap.mmap(-1, count)  # zeros that occupy no memory until they are read
    return flambeau.frombuffer(pages, dtype=shaped.dtype).reshape(shaped.shape)


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
