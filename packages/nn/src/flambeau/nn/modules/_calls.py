"""Calls of a module, and the hooks that run before and after a call."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from flambeau.utils.hooks import RemovableHandle, new_handle

from ._hooks import GLOBAL_HOOKS, Hook, Hooks, call_with_hooks, hook_table
from ._layer_path import add_layer_path
from ._tree import Tree

if TYPE_CHECKING:
    from .module import Module

FORWARD_MISSING = """\
Module [{name}] is missing the required "forward" function:

    class {name}(nn.Module):
        def forward(self, input):
            return ..."""

BOTH_KINDS = (
    "Cannot use both regular backward hooks and full backward hooks on a single Module. Please use only one of them."
)


class Caller(Tree):
    """The part of `Module` that implements calls and hooks."""

    _hooks: Hooks | None = None  # see Note [Hooks]

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output. Every subclass defines this method.

        Call the module itself instead of this method: ``module(x)`` also runs the hooks.
        """
        raise NotImplementedError(FORWARD_MISSING.format(name=type(self).__name__))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            if self._hooks is None and not GLOBAL_HOOKS:
                return self.forward(*args, **kwargs) if kwargs else self.forward(*args)
            return call_with_hooks(self, args, kwargs)
        except Exception as error:
            add_layer_path(error, cast("Module", self))
            raise

    # libraries that override __call__ call the original method by these names
    _call_impl = _wrapped_call_impl = __call__

    def _slow_forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call ``forward``. Copies of PyTorch's ``__call__`` use this method while ``jit.trace`` runs."""
        return self.forward(*args, **kwargs)

    def _own_hooks(self) -> Hooks:
        if self._hooks is None:
            object.__setattr__(self, "_hooks", Hooks())
        return self._hooks  # type: ignore[return-value]

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, args)`` before ``forward``. A value that the hook returns replaces the arguments.

        With ``with_kwargs``, the call is ``hook(module, args, kwargs)``, and the hook may return a pair of new
        arguments and keyword arguments.
        """
        return self._own_hooks().add_forward_pre(hook, prepend, with_kwargs)

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, args, output)`` after ``forward``. A value that the hook returns replaces the output.

        With ``with_kwargs``, the call is ``hook(module, args, kwargs, output)``. With ``always_call``, the hook also
        runs if ``forward`` raises an exception.
        """
        return self._own_hooks().add_forward(hook, prepend, with_kwargs, always_call)

    def register_full_backward_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(module, grad_output)`` before the gradients flow through the module.

        A returned tuple replaces ``grad_output``.
        """
        return new_handle(self._own_hooks().backward_pre, hook, prepend)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(module, grad_input, grad_output)`` after the gradients of the inputs are computed.

        Both gradients are tuples, with None for values that are not tensors or need no gradient. A returned tuple
        replaces ``grad_input``.
        Raises: RuntimeError if the module has a hook from `register_backward_hook`.
        """
        if self._own_hooks().node:
            raise RuntimeError(BOTH_KINDS)
        return new_handle(self._own_hooks().backward, hook, prepend)

    def register_backward_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, grad_input, grad_output)`` with the gradients at the module's last operation.

        Prefer `register_full_backward_hook`, which receives the gradients of the module's inputs.
        Raises: RuntimeError if the module has a hook from `register_full_backward_hook`.
        """
        if self._own_hooks().backward:
            raise RuntimeError(BOTH_KINDS)
        return new_handle(self._own_hooks().node, hook)

    # The tables of hooks under PyTorch's names.

    _forward_pre_hooks: dict[int, Hook] = hook_table(_own_hooks, "forward_pre")
    _forward_hooks: dict[int, Hook] = hook_table(_own_hooks, "forward")
    _backward_pre_hooks: dict[int, Hook] = hook_table(_own_hooks, "backward_pre")
    _backward_hooks: dict[int, Hook] = hook_table(_own_hooks, "full_or_node")

    @property
    def _forward_pre_hooks_with_kwargs(self) -> dict[int, bool]:
        return self._own_hooks().options("with_kwargs", "forward_pre")

    @property
    def _forward_hooks_with_kwargs(self) -> dict[int, bool]:
        return self._own_hooks().options("with_kwargs", "forward")

    @property
    def _forward_hooks_always_called(self) -> dict[int, bool]:
        return self._own_hooks().options("always_call", "forward")
