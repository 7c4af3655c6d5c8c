"""Recording rules for operators that programs call in another way: sizes, elements, conversions, new tensors."""

from __future__ import annotations

import operator
from typing import Any, NoReturn

import flambeau
from flambeau import Tensor
from flambeau._tracing._calls import run
from flambeau._tracing._numbers import TRACED, Number, plain
from flambeau._tracing._recorder import RULES
from flambeau._tracing._structure import leaves, replaced, source_location

from ._trace import Trace, rule

# --- sizes ---


@rule("numel", "nelement")
def _numel(trace: Trace, func: Any, input: Tensor) -> Number | int:
    return trace.measured("numel", input, None, input.numel()) if trace.varies(input) else input.numel()


@rule("stride")
def _stride(trace: Trace, func: Any, input: Tensor, dim: Any = None) -> Any:
    if dim is None:
        return tuple(_stride(trace, func, input, each) for each in range(input.dim()))
    value = func(input, plain(dim))  # this raises an error if dim is out of range
    at = operator.index(plain(dim)) % max(input.dim(), 1)
    return trace.measured("stride", input, at, value) if trace.varies(input) else value


# --- elements ---


@rule("item")
def _item(trace: Trace, func: Any, input: Tensor) -> Any:
    value = func(input)
    if not trace.varies(input) or isinstance(value, complex):
        return value
    return trace.measured("item", input, None, value)


@rule("__bool__")
def _record_truth(trace: Trace, func: Any, **arguments: Any) -> Any:
    (tensor,) = arguments.values()
    value = func(tensor)
    if trace.varies(tensor):
        trace.decide("ne", "eq", trace.measured("item", tensor, None, value), 0, value)
    return value


def _have_equal_shapes(trace: Trace, input: Tensor, other: Tensor) -> bool:
    """Compare the shapes of two tensors. The program is valid only for inputs with the same outcome."""
    sizes = ((trace.size(input, dim), trace.size(other, dim)) for dim in range(input.dim()))
    return input.dim() == other.dim() and all(one == another for one, another in sizes)


@rule("allclose", "equal")
def _record_comparison(trace: Trace, func: Any, input: Tensor, other: Tensor, **options: Any) -> Any:
    if not trace.varies([input, other]):
        return func(input, other, **options)
    if func.__name__ == "equal" and not _have_equal_shapes(trace, input, other):
        return False
    with trace:
        same = (input == other) if func.__name__ == "equal" else flambeau.isclose(input, other, **options)
        return bool(same.all())


# --- conversions ---


def _converted(trace: Trace, func: Any, tensor: Tensor, result: Tensor, format: Any = None) -> Tensor:
    if result is tensor:
        return result
    dtype = result.dtype if result.dtype != tensor.dtype else None
    device = result.device if result.device != tensor.device else None
    trace.note("to", [tensor, dtype, device, dtype is None and device is None, format], result)
    return result


@rule("to")
def _to(trace: Trace, func: Any, input: Tensor, args: Any, memory_format: Any = None, **options: Any) -> Tensor:
    more = {} if memory_format is None else {"memory_format": memory_format}
    return _converted(trace, func, input, func(input, *args, **options, **more), memory_format)


_AS_TYPE = ("float", "double", "half", "bfloat16", "long", "int", "short", "char", "byte", "bool", "cfloat", "cdouble")


@rule(*_AS_TYPE, "cpu", "cuda", "type_as")
def _as_type(trace: Trace, func: Any, input: Tensor, *args: Any, **arguments: Any) -> Tensor:
    return _converted(trace, func, input, func(input, **arguments), arguments.get("memory_format"))


@rule("data.__get__")
def _data(trace: Trace, func: Any, **arguments: Any) -> Any:
    (tensor,) = arguments.values()
    return trace.note("detach", [tensor], func(tensor))


@rule("T.__get__", "mT.__get__", "H.__get__", "mH.__get__")
def _transposed(trace: Trace, func: Any, **arguments: Any) -> Any:
    (tensor,) = arguments.values()
    name, dims = func.__self__.__name__, list(range(tensor.dim()))
    order = dims[::-1] if name in ("T", "H") else [*dims[:-2], *dims[:-3:-1]]
    result = func(tensor)
    if name in ("H", "mH") and tensor.is_complex():
        return trace.note("adjoint", [tensor], result)
    return trace.note("permute", [tensor, order], result)


@rule("real.__get__", "imag.__get__")
def _part(trace: Trace, func: Any, **arguments: Any) -> Any:
    (tensor,) = arguments.values()
    result = func(tensor)
    return result if result is tensor else trace.note(func.__self__.__name__, [tensor], result)


@rule("data.__set__")
def _set_data(trace: Trace, func: Any, **arguments: Any) -> NoReturn:
    raise NotImplementedError(
        f"{source_location()}: a traced program cannot assign to Tensor.data; write x.copy_(y) instead of x.data = y"
    )


# --- new tensors ---


@rule("tensor", "as_tensor", "asarray", "from_numpy", "frombuffer", "new_tensor", "from_dlpack")
def _record_creation(trace: Trace, func: Any, **arguments: Any) -> Any:
    """Record the creation of a tensor from Python data as a copy of a constant, since it may be changed in place."""
    name, numbers = func.__name__, leaves(arguments, Number)
    positional = [arguments.pop(key) for key in list(arguments)[: 2 if name == "new_tensor" else 1]]
    result = run(func, positional, arguments)
    data = positional[-1]
    tensors = leaves(data, Tensor)
    if isinstance(data, list | tuple) and trace.varies(tensors) and all(isinstance(t, Tensor) for t in data):
        with trace:
            return flambeau.stack([t.detach().to(result) for t in data])
    if len(tensors) == 1 and trace.varies(tensors):
        with trace:
            same = tensors[0] if name in ("as_tensor", "asarray") else tensors[0].detach()
            return same.to(result.dtype, copy=result is not tensors[0])
    listed = data if isinstance(data, list | tuple) else [data]
    if numbers and not result.requires_grad and all(isinstance(x, int | float) for x in listed):
        with trace:
            items = [flambeau.full([], x, dtype=result.dtype, device=result.device) for x in listed]
            return flambeau.stack(items) if isinstance(data, list | tuple) else items[0]
    if numbers or trace.varies(tensors):
        trace.warn_of_constant(name)
    return trace.note("clone", [result.detach().clone(), None], result)


# --- operators with other arguments in programs ---


@rule("split")
def _split(trace: Trace, func: Any, **arguments: Any) -> Any:
    tensor, sizes, dim = arguments.values()
    result = func(tensor, replaced(sizes, TRACED, plain), plain(dim))
    name = "split_with_sizes" if isinstance(sizes, tuple | list) else "split"
    return trace.note(name, [tensor, sizes, dim], result)


@rule("tensor_split", "hsplit", "vsplit", "dsplit")
def _sections(trace: Trace, func: Any, input: Tensor, indices_or_sections: Any, dim: int | None = None) -> Any:
    where = indices_or_sections
    dims = {"hsplit": 0 if input.dim() == 1 else 1, "vsplit": 0, "dsplit": 2}
    axis = dims.get(func.__name__, dim or 0)
    result = func(input, replaced(where, TRACED, plain), *([] if dim is None else [dim]))
    where = where.tolist() if isinstance(where, Tensor) else where
    return trace.note("tensor_split", [input, where, axis], result)


@rule("nn_interpolate")
def _interpolate(trace: Trace, func: Any, **arguments: Any) -> Any:
    result = func(**replaced(arguments, TRACED, plain))
    return trace.note("nn_interpolate", list(arguments.values()), result)


@rule("where")
def _where(trace: Trace, func: Any, **arguments: Any) -> Any:
    """Record ``where(condition, input, other)`` or the method call ``input.where(condition, other)``."""
    result = func(*replaced(tuple(arguments.values()), TRACED, plain))
    return trace.note("where", [arguments[name] for name in ("condition", "input", "other")], result)


@rule("apply")
def _record_function(trace: Trace, func: Any, **arguments: Any) -> Any:
    result = RULES["apply"](trace, func, **arguments)
    inputs = [t for t in arguments.values() if isinstance(t, Tensor)]
    if trace.varies(inputs) or any(t.requires_grad for t in inputs):
        trace.effect("without_derivative", [inputs, "a custom function"])
    return result


@rule("_recorded")
def _record_without_derivative(trace: Trace, func: Any, **arguments: Any) -> Any:
    """Record an operator whose derivative is written in Python. The program's backward pass raises an error."""
    result = func(**arguments)
    inputs = [t for t in arguments["inputs"] if isinstance(t, Tensor)]
    if trace.varies(inputs) or any(t.requires_grad for t in inputs):
        trace.effect("without_derivative", [inputs, arguments["name"]])
    return result
