"""The namespace ``flambeau.ops``, and registration functions that take an operator or its name."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from flambeau._suggestions import unknown_attribute
from flambeau.library._aten import Aten, aten
from flambeau.library._custom_op import CustomOpDef, registry
from flambeau.library._custom_overload import packet_of
from flambeau.library._library import definition_of
from flambeau.library._overloads import OpOverloadPacket
from flambeau.library._own_operators import OwnOperators, own
from flambeau.library._registration import load_library

if TYPE_CHECKING:
    from flambeau.autograd.profiler import record_function

F = TypeVar("F", bound=Callable[..., Any])


class _Namespace:
    def __init__(self, name: str) -> None:
        self._name = self.name = name

    def __getattr__(self, name: str) -> OpOverloadPacket:
        packet = packet_of(f"{self._name}::{name}")
        if packet is None:
            raise unknown_attribute(self, name, f"'_OpNamespace' '{self._name}'")
        return packet

    def __dir__(self) -> list[str]:
        names = (qualname.split("::") for qualname in registry)
        return sorted({name.partition(".")[0] for namespace, name in names if namespace == self._name})


class _ProfilerNamespace(_Namespace):
    """PyTorch's operators that begin and end a named range in a profile. See `record_function`."""

    def _record_function_enter_new(self, name: str, args: str | None = None) -> record_function:
        """Begin a named range. Return a handle, which ends the range."""
        from flambeau.autograd.profiler import record_function

        return record_function(name, args).__enter__()

    _record_function_enter = _record_function_enter_new

    def _record_function_exit(self, handle: record_function) -> None:
        """End the range that returned ``handle`` when it began."""
        handle.__exit__(None, None, None)


class _Operators:
    """Type of ``flambeau.ops``. Its attributes are namespaces of operators: ``aten`` and the custom namespaces."""

    def __getattr__(self, name: str) -> _Namespace | Aten | OwnOperators:
        if name == "aten":
            return aten
        if name == "flambeau":
            return own
        if name == "profiler":
            return _ProfilerNamespace(name)
        if name.startswith("_"):
            raise AttributeError(f"flambeau.ops has no attribute '{name}'")
        return _Namespace(name)

    def load_library(self, path: str) -> None:
        """Load a C++ library that registers operators with TORCH_LIBRARY.

        ``torch.utils.cpp_extension`` builds such libraries under the alias ``torch``.

        Raises: OSError if the library cannot be loaded, for example because it was built against PyTorch.
        """
        load_library(os.fspath(path))

    def __dir__(self) -> list[str]:
        return sorted({"aten", *(qualname.partition("::")[0] for qualname in registry)})


ops = _Operators()


def register_autograd(
    op: str | CustomOpDef,
    backward: Callable[..., Any],
    /,
    *,
    setup_context: Callable[..., Any] | None = None,
    lib: Any = None,
) -> None:
    """Register the derivative of an operator, like `CustomOpDef.register_autograd`.

    Args:
        op: the operator or its name.
        backward: function ``(ctx, *grads)`` that returns the gradients of the arguments.
        setup_context: function ``(ctx, inputs, output)`` that saves values for ``backward``.
        lib: accepted for compatibility with PyTorch; no effect.

    >>> @fb.library.custom_op("example::squared", mutates_args=())
    ... def squared(x: fb.Tensor) -> fb.Tensor:
    ...     return x * x
    >>> def save(ctx, inputs, output):
    ...     ctx.save_for_backward(inputs[0])
    >>> def backward(ctx, grad):
    ...     return 2 * ctx.saved_tensors[0] * grad
    >>> fb.library.register_autograd(squared, backward, setup_context=save)
    >>> x = fb.tensor(3.0, requires_grad=True)
    >>> fb.autograd.grad(squared(x), x)
    (tensor(6.),)
    """
    definition_of(op).register_autograd(backward, setup_context=setup_context)


@overload
def register_fake(op: str | CustomOpDef, func: None = None, /, *, lib: Any = None) -> Callable[[F], F]: ...


@overload
def register_fake(op: str | CustomOpDef, func: F, /, *, lib: Any = None) -> F: ...


def register_fake(op: str | CustomOpDef, func: Callable[..., Any] | None = None, /, *, lib: Any = None) -> Any:
    """Register the fake implementation of an operator, like `CustomOpDef.register_fake`.

    Args:
        op: the operator or its name.
        func: function that returns a tensor with the shape and dtype of the result. If None, return a decorator.
        lib: accepted for compatibility with PyTorch; no effect.

    >>> @fb.library.custom_op("example::gram", mutates_args=())
    ... def gram(x: fb.Tensor) -> fb.Tensor:
    ...     return x @ x.T
    >>> @fb.library.register_fake(gram)
    ... def fake(x):
    ...     return x.new_empty(x.shape[0], x.shape[0])
    >>> gram(fb.ones(3, 5, device="meta")).shape
    flambeau.Size([3, 3])
    """
    return definition_of(op).register_fake if func is None else definition_of(op).register_fake(func)


@overload
def register_kernel(
    op: str | CustomOpDef, device_types: Any, func: None = None, /, *, lib: Any = None
) -> Callable[[F], F]: ...


@overload
def register_kernel(op: str | CustomOpDef, device_types: Any, func: F, /, *, lib: Any = None) -> F: ...


def register_kernel(
    op: str | CustomOpDef, device_types: Any, func: Callable[..., Any] | None = None, /, *, lib: Any = None
) -> Any:
    """Register the kernel of an operator for device types, like `CustomOpDef.register_kernel`.

    Args:
        op: the operator or its name.
        device_types: a device type such as ``"cuda"`` or a sequence of them; None for all.
        func: the kernel. If None, return a decorator.
        lib: accepted for compatibility with PyTorch; no effect.

    >>> @fb.library.custom_op("example::doubled", mutates_args=(), device_types="cuda")
    ... def doubled(x: fb.Tensor) -> fb.Tensor:
    ...     return x + x
    >>> @fb.library.register_kernel(doubled, "cpu")
    ... def doubled_on_cpu(x):
    ...     return 2 * x
    >>> doubled(fb.ones(2))
    tensor([2., 2.])
    """
    return definition_of(op).register_kernel(device_types, func)


@overload
def register_vmap(op: str | CustomOpDef, func: None = None, /, *, lib: Any = None) -> Callable[[F], F]: ...


@overload
def register_vmap(op: str | CustomOpDef, func: F, /, *, lib: Any = None) -> F: ...


def register_vmap(op: str | CustomOpDef, func: Callable[..., Any] | None = None, /, *, lib: Any = None) -> Any:
    """Register the batching rule of an operator, like `CustomOpDef.register_vmap`.

    Args:
        op: the operator or its name.
        func: function ``(info, in_dims, *args) -> (result, out_dims)``. If None, return a decorator.
        lib: accepted for compatibility with PyTorch; no effect.

    >>> @fb.library.custom_op("example::total", mutates_args=())
    ... def total(x: fb.Tensor) -> fb.Tensor:
    ...     return x.sum()
    >>> @fb.library.register_vmap(total)
    ... def batched(info, in_dims, x):
    ...     return x.movedim(in_dims[0], 0).flatten(1).sum(1), 0
    >>> fb.func.vmap(total)(fb.ones(2, 3))
    tensor([3., 3.])
    """
    return definition_of(op).register_vmap(func)


@overload
def register_torch_dispatch(
    op: str | CustomOpDef, torch_dispatch_class: type, func: None = None, /, *, lib: Any = None
) -> Callable[[F], F]: ...


@overload
def register_torch_dispatch(op: str | CustomOpDef, torch_dispatch_class: type, func: F, /, *, lib: Any = None) -> F: ...


def register_torch_dispatch(
    op: str | CustomOpDef, torch_dispatch_class: type, func: Callable[..., Any] | None = None, /, *, lib: Any = None
) -> Any:
    """Register a function that replaces the ``__torch_dispatch__`` of a mode or class for one operator.

    Args:
        op: the operator or its name.
        torch_dispatch_class: subclass of ``TorchDispatchMode`` or of Tensor.
        func: function ``(mode_or_class, func, types, args, kwargs)``. If None, return a decorator.
        lib: accepted for compatibility with PyTorch; no effect.

    >>> from flambeau.utils._python_dispatch import TorchDispatchMode
    >>> class Traced(TorchDispatchMode):
    ...     def __torch_dispatch__(self, func, types, args=(), kwargs=None):
    ...         return func(*args, **(kwargs or {}))
    >>> @fb.library.custom_op("example::copied", mutates_args=())
    ... def copied(x: fb.Tensor) -> fb.Tensor:
    ...     return x.clone()
    >>> @fb.library.register_torch_dispatch(copied, Traced)
    ... def traced(mode, func, types, args, kwargs):
    ...     return fb.zeros(1)
    >>> with Traced():
    ...     copied(fb.ones(2))
    tensor([0.])
    """
    return definition_of(op).register_torch_dispatch(torch_dispatch_class, func)


def register_autocast(op: str | CustomOpDef, device_type: str, cast_inputs: Any, /, *, lib: Any = None) -> None:
    """Set the dtype to which autocast casts the arguments of an operator.

    In an autocast region of the device type, calls cast the floating tensors on this device to ``cast_inputs``, except
    float64 tensors, and run the operator without autocast. Tensors in lists and tuples are cast as well.

    Args:
        op: the operator or its name.
        device_type: ``"cpu"`` or ``"cuda"``.
        cast_inputs: the dtype.
        lib: accepted for compatibility with PyTorch; no effect.
    Raises: ValueError if autocast does not support the device type.

    >>> @fb.library.custom_op("example::doubled", mutates_args=())
    ... def doubled(x: fb.Tensor) -> fb.Tensor:
    ...     return x * 2
    >>> fb.library.register_autocast("example::doubled", "cpu", fb.bfloat16)
    >>> with fb.autocast("cpu"):
    ...     doubled(fb.ones(2)).dtype
    flambeau.bfloat16
    """
    definition_of(op).register_autocast(device_type, cast_inputs)
