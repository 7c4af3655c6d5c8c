"""The base class of every layer and model."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Self

import flambeau
from flambeau import Tensor, no_grad

from . import _state_dict
from ._hooks import Hook, Hooks, RemovableHandle, call_with_hooks
from ._layer_path import add_layer_path
from ._state_dict import IncompatibleKeys
from ._tree import Tree
from .parameter import Parameter

FORWARD_MISSING = """\
Module [{name}] is missing the required "forward" function:

    class {name}(nn.Module):
        def forward(self, input):
            return ..."""


class Module(Tree):
    """A computation with parameters: subclass it, assign layers in ``__init__``, compute in ``forward``.

    Parameters, buffers and modules assigned to attributes are registered, so that ``parameters()``, ``state_dict()``,
    ``to()`` and ``train()`` reach them through any depth. An exception raised in ``forward`` carries the layer's path
    as a note: ``in Model.encoder.2.fc1 (Linear(in_features=64, out_features=10, bias=True))``.

    >>> class Scale(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.factor = nn.Parameter(fb.tensor(2.0))
    ...
    ...     def forward(self, input):
    ...         return input * self.factor
    >>> [name for name, _ in Scale().named_parameters()]
    ['factor']
    """

    training: bool = True
    _hooks: Hooks | None = None

    def __init__(self) -> None:
        super().__init__()
        object.__setattr__(self, "training", True)
        object.__setattr__(self, "_hooks", None)

    # Calling

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output; every subclass defines it. Call the module itself, which also runs the hooks."""
        raise NotImplementedError(FORWARD_MISSING.format(name=type(self).__name__))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            if self._hooks is None:
                return self.forward(*args, **kwargs) if kwargs else self.forward(*args)
            return call_with_hooks(self, self._hooks, args, kwargs)
        except Exception as error:
            add_layer_path(error, self)
            raise

    def _own_hooks(self) -> Hooks:
        if self._hooks is None:
            object.__setattr__(self, "_hooks", Hooks())
        return self._hooks  # type: ignore[return-value]

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, args)`` before ``forward``; a value it returns replaces the arguments.

        With ``with_kwargs`` it is called as ``hook(module, args, kwargs)`` and may return both.
        """
        return Hooks.add(self._own_hooks().forward_pre, Hook(hook, with_kwargs), prepend)

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, args, output)`` after ``forward``; a value it returns replaces the output.

        With ``with_kwargs`` it is called as ``hook(module, args, kwargs, output)``; with ``always_call`` also when
        ``forward`` raises.
        """
        return Hooks.add(self._own_hooks().forward, Hook(hook, with_kwargs, always_call), prepend)

    def register_full_backward_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(module, grad_output)`` before the gradients pass the module; a returned tuple replaces them."""
        return Hooks.add(self._own_hooks().backward_pre, Hook(hook), prepend)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(module, grad_input, grad_output)`` once the gradients of the inputs are there.

        Both are tuples, with None for what is no tensor or needs no gradient; a returned tuple replaces ``grad_input``.
        """
        return Hooks.add(self._own_hooks().backward, Hook(hook), prepend)

    # State

    def state_dict(
        self, *, destination: dict[str, Any] | None = None, prefix: str = "", keep_vars: bool = False
    ) -> dict[str, Any]:
        """Return parameters and persistent buffers by path. The tensors share storage with the module's.

        Args:
            destination: a dictionary to fill instead of a fresh one.
            prefix: goes in front of every key.
            keep_vars: True returns the parameters themselves instead of detached tensors.

        >>> list(nn.Linear(2, 3).state_dict())
        ['weight', 'bias']
        """
        destination = OrderedDict() if destination is None else destination
        for name, tensor in _state_dict.own_state(self):
            destination[prefix + name] = tensor if keep_vars else tensor.detach()
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        return destination

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> IncompatibleKeys:
        """Copy the values of ``state_dict`` into this module and its submodules.

        Args:
            state_dict: tensors by path, as ``state_dict()`` returns them.
            strict: False tolerates missing and unexpected keys, which are returned.
            assign: True puts the given tensors in place instead of copying their values.
        Returns: the missing and the unexpected keys.
        Raises: RuntimeError that names every missing, unexpected and misshapen key; the module is then unchanged.

        >>> nn.Linear(2, 3).load_state_dict(nn.Linear(2, 3).state_dict())
        <All keys matched successfully>
        """
        return _state_dict.load(self, state_dict, strict, assign)

    # Modes

    def train(self, mode: bool = True) -> Self:
        """Set training mode, which dropout and batch normalisation depend on, in the whole tree."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self) -> Self:
        """Set evaluation mode in the whole tree."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Freeze (False) or thaw (True) all parameters."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients of all parameters; with ``set_to_none=False`` fill them with zeros instead."""
        for parameter in self.parameters():
            if set_to_none:
                parameter.grad = None
            elif parameter.grad is not None:
                parameter.grad = parameter.grad.detach().zero_()

    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Call ``fn`` with every module of the tree, children first: the place for an initialisation of one's own."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    # Conversion

    def _apply(self, fn: Callable[[Tensor], Tensor]) -> Self:
        """Replace the value of every parameter, its gradient, and every buffer by ``fn`` of it."""
        for module in self._modules.values():
            if module is not None:
                module._apply(fn)
        with no_grad():
            for parameter in self._parameters.values():
                if parameter is not None:
                    _convert_parameter(parameter, fn)
            for name, buffer in self._buffers.items():
                if buffer is not None:
                    setattr(self, name, fn(buffer))
        return self

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Move to a device, convert to a floating or complex dtype, or both; a tensor stands for its own of both.

        Parameters stay the same objects, so an optimizer keeps working; integers and booleans keep their dtype.

        Raises: TypeError for a dtype that is neither floating nor complex.

        >>> nn.Linear(2, 1).to(fb.float64).weight.dtype == fb.float64
        True
        """
        device, dtype = _parse_to(*args, **kwargs)

        def convert(tensor: Tensor) -> Tensor:
            wanted: dict[str, Any] = {} if device is None else {"device": device}
            if dtype is not None and (tensor.is_floating_point() or tensor.is_complex()):
                wanted["dtype"] = dtype
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
        """Move to the processor's memory."""
        return self.to(device="cpu")

    def cuda(self, device: int | str | None = None) -> Self:
        """Move to a GPU, the current one by default."""
        return self.to(device="cuda" if device is None else f"cuda:{device}" if isinstance(device, int) else device)

    # Representation

    def extra_repr(self) -> str:
        """Return what ``repr`` shows between the parentheses: a subclass's sizes and options."""
        return ""

    def _get_name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        if len(lines) <= 1 and not self._modules:
            return f"{self._get_name()}({extra})"
        lines += [f"({name}): {indent(repr(module))}" for name, module in self._modules.items()]
        return f"{self._get_name()}(\n  " + "\n  ".join(lines) + "\n)"

    def __dir__(self) -> list[str]:
        return sorted(name for name in super().__dir__() if not name[0].isdigit())


def indent(text: str) -> str:
    """Indent every line but the first by two spaces; blank lines stay blank."""
    first, *rest = text.split("\n")
    return "\n".join([first, *("  " + line if line.strip() else "" for line in rest)])


def _convert_parameter(parameter: Parameter, fn: Callable[[Tensor], Tensor]) -> None:
    gradient = parameter.grad
    value, gradient = fn(parameter.detach()), None if gradient is None else fn(gradient)
    parameter.grad = None
    parameter.data = value
    parameter.grad = gradient


def _parse_to(*args: Any, device: Any = None, dtype: Any = None, non_blocking: bool = False) -> tuple[Any, Any]:
    """Sort the arguments of ``Module.to`` into a device and a dtype."""
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
