"""Conversion of the device and dtype of a module's tensors."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, Self

import flambeau
from flambeau import Tensor, __future__, empty_like, no_grad
from flambeau.utils import swap_tensors

from ..parameter import Parameter, is_lazy
from ._tree import Tree

NO_DATA = (
    "Cannot copy out of meta tensor; no data! Please use flambeau.nn.Module.to_empty() instead of "
    "flambeau.nn.Module.to() when moving module from meta to a different device."
)


class Convertible(Tree):
    """The part of `Module` that converts the values of all its tensors."""

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Replace the value and gradient of each parameter, and each buffer, with the result of ``fn``."""
        for module in self._modules.values() if recurse else ():
            if module is not None:
                module._apply(fn)
        with no_grad():
            for name, parameter in self._parameters.items():
                if parameter is not None:
                    self._parameters[name] = _convert_parameter(parameter, fn, f"{type(self).__name__}.{name}")
            for name, buffer in self._buffers.items():
                if buffer is not None and is_lazy(buffer):
                    buffer.data = fn(buffer.data)
                elif buffer is not None:
                    self._buffers[name] = fn(buffer)
        return self

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Move to a device, convert to a floating or complex dtype, or both.

        The argument may also be a tensor, whose device and dtype are used. Parameters stay the same objects, so an
        optimizer keeps working. Integers and booleans keep their dtype.
        ``memory_format`` applies to parameters and buffers with four or five dimensions.

        Raises: TypeError for a dtype that is neither floating nor complex.

        >>> nn.Linear(2, 1).to(fb.float64).weight.dtype == fb.float64
        True
        """
        memory_format = kwargs.pop("memory_format", None)
        device, dtype = _parse_to(*args, **kwargs)

        def convert(tensor: Tensor) -> Tensor:
            wanted: dict[str, Any] = {} if device is None else {"device": device}
            if tensor.is_meta and device is not None and flambeau.device(device).type != "meta":
                raise NotImplementedError(NO_DATA)
            if dtype is not None and (tensor.is_floating_point() or tensor.is_complex()):
                wanted["dtype"] = dtype
            if memory_format is not None and tensor.ndim in (4, 5):
                wanted["memory_format"] = memory_format
            return tensor.to(**wanted) if wanted else tensor

        return self._apply(convert)

    def type(self, dst_type: Any) -> Self:
        """Convert every parameter and buffer to one dtype."""
        return self._apply(lambda tensor: tensor.to(dst_type))

    def float(self) -> Self:
        """Convert floating parameters and buffers to float32."""
        return self._apply(lambda tensor: tensor.float() if tensor.is_floating_point() else tensor)

    def double(self) -> Self:
        """Convert floating parameters and buffers to float64."""
        return self._apply(lambda tensor: tensor.double() if tensor.is_floating_point() else tensor)

    def half(self) -> Self:
        """Convert floating parameters and buffers to float16."""
        return self._apply(lambda tensor: tensor.half() if tensor.is_floating_point() else tensor)

    def bfloat16(self) -> Self:
        """Convert floating parameters and buffers to bfloat16."""
        return self._apply(lambda tensor: tensor.bfloat16() if tensor.is_floating_point() else tensor)

    def cpu(self) -> Self:
        """Move to the CPU."""
        return Convertible.to(self, device="cpu")  # not self.to: an override may call cpu()

    def cuda(self, device: int | str | None = None) -> Self:
        """Move to a GPU, the current one by default."""
        name = "cuda" if device is None else f"cuda:{device}" if isinstance(device, int) else device
        return Convertible.to(self, device=name)

    def to_empty(self, *, device: Any, recurse: bool = True) -> Self:
        """Move to a device without copying the values; the new values are not initialised."""
        return self._apply(lambda tensor: empty_like(tensor, device=device), recurse)

    def share_memory(self) -> Self:
        """Move every parameter and buffer to memory that other processes can share.

        Raises: RuntimeError for a lazy module that has not seen an input.
        """
        if any(map(is_lazy, itertools.chain(self.parameters(), self.buffers()))):
            raise RuntimeError(
                "Can't share memory on an uninitialized parameter or buffer. Call `forward` to initialize the "
                "parameters before calling `module.share_memory()`."
            )
        return self._apply(lambda tensor: tensor.share_memory_())


def _convert_parameter(parameter: Parameter, fn: Callable[[Tensor], Tensor], path: str) -> Parameter:
    """Return the converted parameter. It is a new object only if `flambeau.__future__` requests that."""
    lazy = is_lazy(parameter)
    value = fn(parameter.data if lazy else parameter.detach())
    if not lazy and (__future__.get_swap_module_params_on_conversion() or _is_wrapper(value)):
        return _swap_parameter(parameter, value, fn, path)
    gradient = None if parameter.grad is None else fn(parameter.grad)
    if not lazy and __future__.get_overwrite_module_params_on_conversion():
        parameter = Parameter(value, parameter.requires_grad)
    else:
        parameter.grad = None
        parameter.data = value
    parameter.grad = gradient
    return parameter


def _is_wrapper(value: Tensor) -> bool:
    """Return True if the elements of ``value`` are in other tensors, so that ``parameter.data = value`` loses them."""
    if type(value) is Tensor:
        return False
    from flambeau.utils._python_dispatch import is_traceable_wrapper_subclass

    return is_traceable_wrapper_subclass(value)


def _swap_parameter(parameter: Parameter, value: Tensor, fn: Callable[[Tensor], Tensor], path: str) -> Parameter:
    gradient, parameter.grad = parameter.grad, None
    try:
        swap_tensors(parameter, Parameter(value, parameter.requires_grad))
    except Exception as error:
        parameter.grad = gradient
        raise RuntimeError(f"_apply(): Couldn't swap {path}") from error
    if gradient is not None:
        try:
            swap_tensors(gradient, fn(gradient).requires_grad_(gradient.requires_grad))
        except Exception as error:
            raise RuntimeError(f"_apply(): Couldn't swap {path}.grad") from error
        parameter.grad = gradient
    return parameter


def _parse_to(*args: Any, device: Any = None, dtype: Any = None, non_blocking: bool = False) -> tuple[Any, Any]:
    """Return the device and the dtype that the arguments of ``Module.to`` specify."""
    for argument in args:
        if isinstance(argument, Tensor):
            device, dtype = argument.device, argument.dtype
        elif isinstance(argument, flambeau.dtype):
            dtype = argument
        elif not isinstance(argument, bool) and argument is not None:
            device = argument
    if dtype is not None and not (dtype.is_floating_point or dtype.is_complex):
        raise TypeError(f"nn.Module.to only accepts floating point or complex dtypes, but got desired dtype={dtype}")
    return device, dtype
