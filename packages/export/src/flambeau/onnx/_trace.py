"""Recorder for ONNX, which replaces in-place changes with new values. See Note [Tracing]."""

from __future__ import annotations

import functools
import mmap
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import flambeau
from flambeau import Tensor, _core
from flambeau._tracing._calls import bound, draws, own_name
from flambeau._tracing._decompositions import IN_PLACE
from flambeau._tracing._recorder import Call, Recorder
from flambeau._tracing._structure import leaves, replaced, source_location
from flambeau.nn import functional

from ._counts import Counts
from ._dynamic import DynamicInt
from ._graph import CONVERTERS
from ._memory import Memory, View, shares_memory
from ._values import Value

_LAZY_ZERO_BYTES = 2**16  # size in bytes from which lazily allocated zeros are faster
COUNTED = {"nonzero", "_nms"}
_NOT_EXPORTED = {"unique", "unique_consecutive", "bincount"}  # the sizes of their results also depend on elements
# Expensive operators whose results have shapes that do not depend on elements, and are never views.
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
_COSTLY |= {"mean", "sum", "pad", "roll", "cat", "stack", "flip", "clone", "index_copy"}


class Trace(Recorder):
    """Recorder of a program for ONNX.

    Args:
        inputs: the input tensors.
        run: index of this trace; selects the row counts (Note [Counts]).
        shapes_only: if True, costly operators return zeros of the right shape instead of computing elements.

    Attributes:
        counted: True if the size of a result depends on elements. Note [Counts]
        reads: True if Python read elements that depend on the inputs.
    """

    fixed_as = "the file contains it as a constant, and might not generalize to other inputs"

    def __init__(self, inputs: Iterable[Tensor], run: int = 0, shapes_only: bool = False) -> None:
        super().__init__()
        self.counted = self.reads = False
        self._shapes_only = shapes_only
        self._counts = Counts(run)
        self.values: list[Value] = []
        self.memory = Memory(self._found, self, writes=not shapes_only)
        for i, tensor in enumerate(inputs):
            self.memory.find(tensor, self._new(tensor, True, input=i))

    # --- values ---

    def _new(self, tensor: Tensor, varies: bool = False, **more: Any) -> Value:
        value = Value(f"%{len(self.values)}", varies, tensor=tensor, **more)
        self.values.append(value)
        return value

    def _found(self, tensor: Tensor) -> Value:
        """Return the value of a tensor that no operator created: a constant, or the result of an extension module."""
        call = self._extension_call_of(tensor)
        if call is None:
            return self._new(tensor)
        self.calls.append(call)
        call.results.append(self._new(tensor, True, call=call))
        return self.values[-1]

    def known(self, tensor: Tensor) -> Value | None:
        return self.memory.value(tensor) if self.memory.contains(tensor) else None

    def value(self, tensor: Tensor) -> Value:
        return self.memory.value(tensor)

    def size(self, tensor: Tensor, dim: int) -> DynamicInt:
        """Return the size of a dimension as an int that records its origin. Note [Traced sizes]."""
        return DynamicInt.of(tensor.shape[dim], "size", self.value(tensor), dim)

    def end(self, keep_constants: bool) -> None:
        """Restore changed tensors and free the elements of values.

        Args:
            keep_constants: if True, keep the elements of values that do not depend on inputs.
        """
        self.memory.set_back()
        for value in self.values:
            if value.varies or not keep_constants:
                value.tensor = flambeau.empty(value.tensor.shape, dtype=value.tensor.dtype, device="meta")

    # --- calls ---

    def has(self, name: str) -> bool:
        return name in CONVERTERS

    def opened(self, func: Any, name: str, args: Any, kwargs: Any) -> Callable[..., Any] | None:
        if self._selects_by_mask(name, args, kwargs):
            return functools.partial(_by_positions, name)
        return super().opened(func, name, args, kwargs)

    def device_of(self, arguments: Any) -> AbstractContextManager[Any]:
        """Create tensors of decompositions on the device of the first tensor argument."""
        tensors = leaves(arguments, Tensor)
        return tensors[0].device if tensors else nullcontext()

    def _selects_by_mask(self, name: str, args: Any, kwargs: Any) -> bool:
        """Return True if a call, other than nonzero(), selects elements by a mask."""
        if name in ("where", "nonzero"):
            return len(args) == 1 and self.varies(args) and (name == "where" or bool(kwargs.get("as_tuple")))
        masks = leaves(args[1], Tensor) if name in ("__getitem__", "masked_select") and len(args) == 2 else []
        return any(t.dtype == flambeau.bool and t.ndim for t in masks)

    def operator(self, func: Any, name: str, args: Any, kwargs: Any) -> Any:
        """Call an operator and record it, unless its results are arguments.

        `Counts` chooses the sizes of results that depend on elements.
        """
        result = _zeros_like_result(func, args, kwargs) if self._shapes_only and name in _COSTLY else None
        if result is None:
            result = func(*args, **kwargs)
        if name in _NOT_EXPORTED and self.varies([args, kwargs]):
            raise NotImplementedError(
                f"{name} cannot be exported, because the size of its result depends on elements of the inputs; compute "
                "this part outside of the exported program"
            )
        if name in COUNTED and self.varies([args, kwargs]):
            self.counted = True
            result = self._counts.resized(result)
        operands = leaves([args, kwargs], Tensor)
        if all(any(t is g for g in operands) for t in leaves(result, Tensor)):
            return result  # for example contiguous() of a contiguous tensor
        again = functools.partial(_repeat_call, func, args, kwargs)
        call = Call(
            name,
            bound(func, args, kwargs),
            source_location(),
            lasting=draws(func),
            called=self.opening or own_name(func),
        )
        return self._record(call, result, again)

    def decomposes(self, definition: Any) -> bool:
        if definition._mutated:
            changed = ", ".join(map(repr, definition._mutated))
            raise NotImplementedError(
                f"{definition._qualname} changes {changed} in place, which an ONNX file cannot express"
            )
        return definition._decomposition is not None and definition._onnx is None

    def custom_call(self, definition: Any, arguments: dict[str, Any]) -> Any:
        result = (
            _zeros_like_custom_results(definition, arguments)
            if self._shapes_only and definition._fake
            else definition(**arguments)
        )
        again = functools.partial(_repeat_call, definition, (), arguments)
        return self._record(Call(definition._qualname, arguments, source_location()), result, again)

    def _record(self, call: Call, result: Any, again: Callable[..., Any]) -> Any:
        """Record a call. ``again`` recomputes the results with another tensor in place of an argument."""
        operands = leaves(call.arguments, Tensor)
        call.arguments = {key: replaced(argument, Tensor, self.value) for key, argument in call.arguments.items()}
        varies = any(value.varies for value in leaves(call.arguments, Value))
        self.calls.append(call)
        for i, tensor in enumerate(leaves(result, Tensor)):
            call.results.append(self._new(tensor, varies, call=call))
            if not self.memory.contains(tensor):
                base = next((t for t in operands if shares_memory(t, tensor)), None)
                view = None if base is None else View(base, functools.partial(again, base, i))
                self.memory.set(tensor, call.results[i], view)
        return result

    def read(self, name: str, arguments: Any) -> None:
        self.reads = self.reads or self.varies(arguments)
        super().read(name, arguments)

    # --- changes in place ---

    def in_place(self, func: Any, name: str, args: Any, kwargs: Any) -> Any:
        with self, self.device_of(args):
            new = _out_of_place(name)(*args, **kwargs)
        if new.shape == args[0].shape:
            self._change(args[0], new)
            return args[0]
        tensor: Tensor = func(*args, **kwargs)  # an invalid shape raises an error
        self.memory.set(tensor, self.value(new))
        return tensor

    def write(self, tensor: Tensor, result: Tensor) -> None:
        if tensor.shape == result.shape:
            self._change(tensor, result)
        else:
            self.memory.set(tensor.resize_(result.shape).copy_(result), self.value(result))

    def alias(self, tensor: Tensor, of: Tensor) -> None:
        self.memory.set(tensor, self.value(of), View(of, lambda other: other))

    def _change(self, tensor: Tensor, new: Tensor) -> None:
        if new.dtype != tensor.dtype:
            with self:
                new = new.to(tensor.dtype)
        self.memory.change(tensor, new)


def _by_positions(name: str, input: Tensor, key: Any = None, **_: Any) -> Tensor | tuple[Tensor, ...]:
    """Decompose indexing by boolean masks: convert the masks to indices and index by the indices."""
    if name in ("where", "nonzero"):
        return tuple(input.nonzero().unbind(1))
    if name == "masked_select":
        input, key = flambeau.broadcast_tensors(input, key)
    keys: list[Any] = []
    for part in key if isinstance(key, tuple) else (key,):
        is_mask = isinstance(part, Tensor) and part.dtype == flambeau.bool and part.ndim
        keys += part.nonzero().unbind(1) if is_mask else [part]
    return input[tuple(keys)]


def _zeros_like_result(func: Any, args: Any, kwargs: Any) -> Tensor | None:
    """Return zeros with the shape of a call's floating-point result, None for other dtypes or if it needs elements."""
    on_meta = [replaced(x, Tensor, lambda t: t.to("meta")) for x in (args, kwargs)]
    try:
        shaped = func(*on_meta[0], **on_meta[1])
    except (NotImplementedError, RuntimeError):
        return None  # the operator needs elements, or the call is invalid and the real call raises the error
    if not isinstance(shaped, Tensor) or not shaped.is_floating_point() or not shaped.is_contiguous():
        return None
    if any(shaped is t for t in leaves(on_meta, Tensor)):
        return None
    return _zeros(shaped, next(t.device for t in leaves([args, kwargs], Tensor)))


def _zeros_like_custom_results(definition: Any, arguments: dict[str, Any]) -> Any:
    """Return zeros with the shapes of the results of a `flambeau.library` operator with a fake implementation."""
    shaped = definition(**replaced(arguments, Tensor, lambda t: t.to("meta")))
    device = next((t.device for t in leaves(arguments, Tensor)), flambeau.device("cpu"))
    return replaced(shaped, Tensor, lambda t: _zeros(t, device))


def _zeros(like: Tensor, device: Any) -> Tensor:
    count = like.numel() * like.element_size()
    if count < _LAZY_ZERO_BYTES or device.type != "cpu":
        return flambeau.zeros(like.shape, dtype=like.dtype, device=device)
    pages = mmap.mmap(-1, count)  # lazily allocated zeros
    return _core._frombuffer(pages, dtype=like.dtype).reshape(like.shape)


def _out_of_place(name: str) -> Callable[..., Any]:
    """Return the out-of-place function of an in-place operator."""
    holders = (Tensor, flambeau, functional)
    function = IN_PLACE.get(name) or next((f for h in holders if (f := getattr(h, name[:-1], None)) is not None), None)
    if function is None:
        raise NotImplementedError(
            f"flambeau.onnx cannot export the in-place operator {name}: there is no out-of-place form of it"
        )
    return function


def _repeat_call(func: Any, args: Any, kwargs: Any, base: Tensor, position: int, other: Tensor) -> Tensor:
    """Repeat a call with ``other`` in place of the argument ``base``, and return its result number ``position``."""
    replace = functools.partial(replaced, kind=Tensor, by=lambda t: other if t is base else t)
    result: Tensor = leaves(func(*replace(args), **replace(kwargs)), Tensor)[position]
    return result
