"""Module ``functorch``: `flambeau.func`, and older functions that separate a module from its parameters."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import flambeau
from flambeau import Tensor, func, nn
from flambeau.func import *  # noqa: F403

Values = tuple[Tensor, ...]


class FunctionalModuleWithBuffers(nn.Module):
    """Module that takes its parameters and buffers as arguments: ``fmodel(params, buffers, *args)``."""

    def __init__(self, model: nn.Module, param_names: Sequence[str], buffer_names: Sequence[str]) -> None:
        super().__init__()
        self.stateless_model = model
        self.param_names, self.buffer_names = tuple(param_names), tuple(buffer_names)

    def forward(self, params: Sequence[Tensor], buffers: Sequence[Tensor], *args: Any, **kwargs: Any) -> Any:
        state = dict(zip(self.param_names, params, strict=True)) | dict(zip(self.buffer_names, buffers, strict=True))
        return func.functional_call(self.stateless_model, state, args, kwargs)


class FunctionalModule(FunctionalModuleWithBuffers):
    """Module without buffers that takes its parameters as an argument: ``fmodel(params, *args)``."""

    def forward(self, params: Sequence[Tensor], *args: Any, **kwargs: Any) -> Any:
        return super().forward(params, (), *args, **kwargs)


def make_functional_with_buffers(
    model: nn.Module, disable_autograd_tracking: bool = False
) -> tuple[FunctionalModuleWithBuffers, Values, Values]:
    """Separate a module from its parameters and buffers.

    Args:
        model: the module. It is not modified.
        disable_autograd_tracking: if True, the returned parameters do not require gradients.
    Returns: ``(fmodel, params, buffers)``: ``fmodel(params, buffers, *inputs)`` evaluates the module with the given
        parameters and buffers; ``params`` and ``buffers`` are copies of the module's parameters and buffers.

    >>> import flambeau as fb
    >>> fmodel, params, buffers = make_functional_with_buffers(fb.nn.BatchNorm1d(2).eval())
    >>> fmodel(params, buffers, fb.zeros(1, 2)).shape
    flambeau.Size([1, 2])
    """
    return _extracted(FunctionalModuleWithBuffers, model, disable_autograd_tracking)


def make_functional(model: nn.Module, disable_autograd_tracking: bool = False) -> tuple[FunctionalModule, Values]:
    """Separate a module from its parameters.

    Args:
        model: a module without buffers. It is not modified.
        disable_autograd_tracking: if True, the returned parameters do not require gradients.
    Returns: ``(fmodel, params)``: ``fmodel(params, *inputs)`` evaluates the module with the given parameters;
        ``params`` is a copy of the module's parameters.
    Raises: RuntimeError if the module has buffers.

    >>> import flambeau as fb
    >>> fmodel, params = make_functional(fb.nn.Linear(2, 3))
    >>> fmodel(params, fb.ones(1, 2)).shape
    flambeau.Size([1, 3])
    """
    if next(model.buffers(), None) is not None:
        raise RuntimeError(
            "make_functional(model): `model` has buffers. Please use make_functional_with_buffers(model) instead."
        )
    fmodel, params, _ = _extracted(FunctionalModule, model, disable_autograd_tracking)
    return fmodel, params


def combine_state_for_ensemble(
    models: Sequence[nn.Module],
) -> tuple[FunctionalModuleWithBuffers, Values, Values]:
    """Stack the parameters and the buffers of several models of one class, to evaluate all models with `vmap`.

    Returns: ``(fmodel, params, buffers)`` as for `make_functional_with_buffers`, with stacked parameters and buffers.

    >>> import flambeau as fb
    >>> fmodel, params, buffers = combine_state_for_ensemble([fb.nn.Linear(2, 3) for _ in range(4)])
    >>> fb.func.vmap(fmodel, in_dims=(0, 0, None))(params, buffers, fb.ones(1, 2)).shape
    flambeau.Size([4, 1, 3])
    """
    params, buffers = func.stack_module_state(models)
    fmodel, _, _ = make_functional_with_buffers(models[0])
    return fmodel, tuple(params[name] for name in fmodel.param_names), tuple(buffers.values())


def _extracted(kind: Callable[..., Any], model: nn.Module, untracked: bool) -> tuple[Any, Values, Values]:
    """Return the functional module for a copy of ``model``, and the parameters and buffers of the copy.

    Args:
        kind: class of the functional module.
        untracked: if True, the parameters do not require gradients.
    """
    copied = copy.deepcopy(model)
    params, buffers = dict(copied.named_parameters()), dict(copied.named_buffers())
    if untracked:
        for parameter in params.values():
            parameter.requires_grad_(False)
    return kind(copied, tuple(params), tuple(buffers)), tuple(params.values()), tuple(buffers.values())


def __getattr__(name: str) -> Any:
    return getattr(flambeau.func, name)
