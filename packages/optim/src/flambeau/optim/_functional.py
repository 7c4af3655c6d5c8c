"""Steps of optimizers as functions of parameters, gradients and lists of state, with PyTorch's signatures.

Each function is in the module of the optimizer's class. It applies the update rule of the class in place, to lists with
one entry for each parameter. The arguments that select an implementation in PyTorch (``foreach``, ``fused``,
``capturable``, ``has_complex``, ``has_sparse_grad``) have no effect. With ``differentiable=True``, autograd records the
step. The arguments ``grad_scale`` and ``found_inf`` raise NotImplementedError.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import flambeau
from flambeau import Tensor, _core, _suggestions, optim

from .optimizer import Group, options

STEPS_ARE_TENSORS = "API has changed, `state_steps` argument must contain a list of singleton tensors"


def _load(name: str) -> Any:
    if name not in optim._NAMES:
        raise _suggestions.unknown_attribute(__name__, name)
    return getattr(import_module(f".{name}", __package__), name)


if not TYPE_CHECKING:  # type checkers do not see __getattr__, so that they report names that do not exist
    __getattr__ = _load


def apply_rule(rule: str, arguments: Group, **lists: Sequence[Tensor | None]) -> dict[Tensor, dict[str, Any]]:
    """Apply an update rule in place, for the functions of this package.

    Args:
        rule: name of the rule.
        arguments: ``locals()`` of the calling function, which contains its arguments.
        lists: for each name of a state entry, a list with one tensor for each parameter. A list may be empty.
    Returns: the state of each parameter, including entries that the step created.
    Raises: NotImplementedError for ``grad_scale`` or ``found_inf``; ValueError if a parameter occurs twice.
    """
    group = options(arguments)
    if group.get("grad_scale") is not None or group.get("found_inf") is not None:
        raise NotImplementedError(
            f"{rule}: grad_scale and found_inf are not supported; unscale the gradients first, with "
            "GradScaler.unscale_()"
        )
    if "beta1" in group:
        group["betas"] = group["beta1"], group["beta2"]
    params, grads, state_steps = arguments["params"], group.pop("grads"), group.pop("state_steps", None)
    state: dict[Tensor, dict[str, Any]] = {
        param: {name: values[index] for name, values in lists.items() if values} for index, param in enumerate(params)
    }
    if len(state) != len(params):
        raise ValueError(f"{rule}: each parameter can occur only once, got {len(params) - len(state)} duplicates")
    if state_steps is not None:
        if not all(isinstance(step, Tensor) for step in state_steps):
            raise RuntimeError(STEPS_ARE_TENSORS)
        for param, step in zip(params, state_steps, strict=True):
            state[param]["step"] = step.to(flambeau.float32)  # the same tensor if it has this dtype
    if group.get("differentiable"):
        from . import _differentiable

        _differentiable.step(rule, group, list(params), list(grads), state)
    elif any(grad.layout is not flambeau.strided for grad in grads):
        from . import _sparse

        _sparse.step_mixed(rule, group, params, grads, state)
    else:
        _core._optimizer_step(rule, group, list(params), list(grads), state)
    for param, step in zip(params, state_steps or (), strict=False):
        if step.dtype != flambeau.float32:
            step.copy_(state[param]["step"])
    return state
