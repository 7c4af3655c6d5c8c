"""The base class of all layers and models, and the registration of global hooks.

`Module` has four parts:

- `Tree` registers parameters, buffers and submodules (``_tree.py``; Note [Registries], Note [Reading through]);
- `Caller` runs ``forward`` and hooks (``_calls.py``; Note [Hooks], Note [Layer paths]);
- `Stateful` saves and loads the state (``_state_dict.py``; Note [Loading in two phases]);
- `Convertible` changes devices and dtypes (``_conversion.py``).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Self

import flambeau
from flambeau.utils.hooks import RemovableHandle, new_handle

from ._calls import Caller
from ._constructors import name_constructor
from ._conversion import Convertible
from ._hooks import ModuleWithHookTables, hooks_everywhere
from ._registry import read_through
from ._state_dict import EXTRA_STATE as _EXTRA_STATE_KEY_SUFFIX, Stateful, _IncompatibleKeys
from ._tree import REGISTRATION_HOOKS

__all__ = [
    "_EXTRA_STATE_KEY_SUFFIX",
    "Module",
    "_IncompatibleKeys",
    "_global_buffer_registration_hooks",
    "_global_module_registration_hooks",
    "_global_parameter_registration_hooks",
    "register_module_backward_hook",
    "register_module_buffer_registration_hook",
    "register_module_forward_hook",
    "register_module_forward_pre_hook",
    "register_module_full_backward_hook",
    "register_module_full_backward_pre_hook",
    "register_module_module_registration_hook",
    "register_module_parameter_registration_hook",
]

# Libraries that register parameters themselves read these names of PyTorch.
_global_parameter_registration_hooks = REGISTRATION_HOOKS["_parameters"]
_global_buffer_registration_hooks = REGISTRATION_HOOKS["_buffers"]
_global_module_registration_hooks = REGISTRATION_HOOKS["_modules"]


class Module(Caller, Stateful, Convertible):
    """Base class of layers and models. A subclass assigns layers in ``__init__`` and computes in ``forward``.

    Parameters, buffers and modules that are assigned to attributes are registered, so that ``parameters()``,
    ``state_dict()``, ``to()`` and ``train()`` find them at any depth. An exception raised in ``forward`` gets a note
    with the path of the layer: ``in Model.encoder.2.fc1 (Linear(in_features=64, out_features=10, bias=True))``.

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

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        name_constructor(cls)
        read_through(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        object.__setattr__(self, "training", True)
        super().__init__(*args, **kwargs)

    # Modes

    def train(self, mode: bool = True) -> Self:
        """Set training mode, or evaluation mode if ``mode`` is False, in this module and all submodules."""
        if not isinstance(mode, bool):
            raise ValueError(f"training mode is expected to be boolean, got {mode!r}")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self) -> Self:
        """Set evaluation mode in this module and all submodules."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Set whether gradients are computed for the parameters of this module and all submodules."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Set the gradients of all parameters to None, or to zeros if ``set_to_none`` is False."""
        for parameter in self.parameters():
            if set_to_none:
                parameter.grad = None
            elif parameter.grad is not None:
                if parameter.grad.requires_grad:
                    parameter.grad.detach_()
                parameter.grad.zero_()

    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Call ``fn`` with all submodules and then with this module, for example for a custom initialisation."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Compile ``forward`` in place. Copies of the module are not compiled.

        The arguments are passed to ``flambeau.compile``.
        """
        vars(self)["forward"] = flambeau.compile(self.forward, *args, **kwargs)

    @property
    def _compiled_call_impl(self) -> Any:
        """The compiled ``forward``, or None."""
        forward = vars(self).get("forward")
        return forward if getattr(forward, "bound_to_original", False) else None

    def _replicate_for_data_parallel(self) -> Self:
        """Return a shallow copy without parameters, which `flambeau.nn.parallel.replicate` adds."""
        replica = object.__new__(type(self))
        vars(replica).update(vars(self), _is_replica=True)
        for kind, entries in (("_parameters", {}), ("_buffers", self._buffers), ("_modules", self._modules)):
            replica._replace_registry(kind, dict(entries))
        return replica

    # Representation

    def extra_repr(self) -> str:
        """Return the text that ``repr`` shows between the parentheses, such as a subclass's sizes and options."""
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


def indent(text: str, spaces: int = 2) -> str:
    """Indent every line except the first. Blank lines stay empty."""
    first, *rest = text.split("\n")
    return "\n".join([first, *(" " * spaces + line if line.strip() else "" for line in rest)])


_addindent = indent  # programs that print summaries of models import this private name of PyTorch


# Global hooks

sys.modules[__name__].__class__ = ModuleWithHookTables


def register_module_forward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Register a hook that runs for every module, as with `Module.register_forward_pre_hook`.

    Global hooks run before the hooks of a module.

    >>> handle = nn.modules.module.register_module_forward_pre_hook(lambda module, inputs: print(type(module).__name__))
    >>> _ = nn.Sequential(nn.ReLU())(fb.ones(1))
    Sequential
    ReLU
    >>> handle.remove()
    """
    return hooks_everywhere().add_forward_pre(hook, prepend=False, with_kwargs=False)


def register_module_forward_hook(
    hook: Callable[..., Any], *, with_kwargs: bool = False, always_call: bool = False
) -> RemovableHandle:
    """Register a hook that runs for every module, as with `Module.register_forward_hook`.

    >>> def show(module, inputs, output):
    ...     print(type(module).__name__)
    >>> handle = nn.modules.module.register_module_forward_hook(show)
    >>> _ = nn.Sequential(nn.ReLU())(fb.ones(1))
    ReLU
    Sequential
    >>> handle.remove()
    """
    return hooks_everywhere().add_forward(hook, False, with_kwargs, always_call)


def register_module_full_backward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Register a hook that runs for every module, as with `Module.register_full_backward_pre_hook`.

    >>> def show(module, grad_output):
    ...     print(grad_output[0])
    >>> handle = nn.modules.module.register_module_full_backward_pre_hook(show)
    >>> nn.ReLU()(fb.ones(1, requires_grad=True)).backward()
    tensor([1.])
    >>> handle.remove()
    """
    return new_handle(hooks_everywhere().backward_pre, hook)


def register_module_full_backward_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Register a hook that runs for every module, as with `Module.register_full_backward_hook`.

    >>> def show(module, grad_input, grad_output):
    ...     print(grad_output[0])
    >>> handle = nn.modules.module.register_module_full_backward_hook(show)
    >>> nn.ReLU()(fb.ones(1, requires_grad=True)).backward()
    tensor([1.])
    >>> handle.remove()
    """
    return new_handle(hooks_everywhere().backward, hook)


def register_module_backward_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Register a hook that runs for every module, as with `Module.register_backward_hook`.

    >>> def show(module, grad_input, grad_output):
    ...     print(grad_output[0])
    >>> handle = nn.modules.module.register_module_backward_hook(show)
    >>> nn.ReLU()(fb.ones(1, requires_grad=True)).backward()
    tensor([1.])
    >>> handle.remove()
    """
    return new_handle(hooks_everywhere().node, hook)


def register_module_parameter_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call ``hook(module, name, parameter)`` when any module registers a parameter. A returned value replaces it.

    >>> handle = nn.modules.module.register_module_parameter_registration_hook(lambda module, name, value: print(name))
    >>> _ = nn.Linear(2, 2)
    weight
    bias
    >>> handle.remove()
    """
    return new_handle(REGISTRATION_HOOKS["_parameters"], hook)


def register_module_buffer_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call ``hook(module, name, buffer)`` when any module registers a buffer. A returned value replaces the buffer.

    >>> handle = nn.modules.module.register_module_buffer_registration_hook(lambda module, name, value: print(name))
    >>> _ = nn.BatchNorm1d(2)
    running_mean
    running_var
    num_batches_tracked
    >>> handle.remove()
    """
    return new_handle(REGISTRATION_HOOKS["_buffers"], hook)


def register_module_module_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call ``hook(module, name, submodule)`` when any module registers a submodule. A returned value replaces it.

    >>> handle = nn.modules.module.register_module_module_registration_hook(lambda module, name, value: print(name))
    >>> _ = nn.Sequential(nn.ReLU())
    0
    >>> handle.remove()
    """
    return new_handle(REGISTRATION_HOOKS["_modules"], hook)
