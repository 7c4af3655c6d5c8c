"""Steps of optimizers as functions of parameters, gradients and lists of state, by PyTorch's names and signatures.

Each applies the rule of the class of that name, in place, to lists with one entry for each parameter. PyTorch's choices
among its implementations (``foreach``, ``fused``, ``capturable``, ``has_complex``, ``has_sparse_grad``) make no
difference. ``differentiable=True``, ``grad_scale`` and ``found_inf`` raise NotImplementedError.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import flambeau
from flambeau import Tensor, _core, _suggestions, optim

from . import _sparse
from .optimizer import Group, options

__all__ = [
    "adadelta",
    "adagrad",
    "adam",
    "adamax",
    "adamw",
    "asgd",
    "nadam",
    "radam",
    "rmsprop",
    "rprop",
    "sgd",
    "sparse_adam",
]

STEPS_ARE_TENSORS = "API has changed, `state_steps` argument must contain a list of singleton tensors"


def _load(name: str) -> Any:
    # PyTorch's modules, such as torch.optim.adam, hold the class next to the function.
    if name.startswith("_"):
        raise _suggestions.unknown_attribute(__name__, name)
    return getattr(optim, name)


if not TYPE_CHECKING:  # so that type checkers report names that do not exist
    __getattr__ = _load


def _apply(rule: str, arguments: Group, **lists: Sequence[Tensor | None]) -> dict[Tensor, dict[str, Any]]:
    """Apply a rule to a function's arguments, which are its ``locals()``, and to lists of the parameters' state.

    Return the states by parameter, with those it created.
    """
    group = options(arguments)
    if group.get("grad_scale") is not None or group.get("found_inf") is not None:
        raise NotImplementedError("grad_scale and found_inf: unscale the gradients first, as GradScaler does")
    if "beta1" in group:
        group["betas"] = group["beta1"], group["beta2"]
    params, grads, state_steps = arguments["params"], group.pop("grads"), group.pop("state_steps", None)
    state: dict[Tensor, dict[str, Any]] = {
        param: {name: values[index] for name, values in lists.items() if values} for index, param in enumerate(params)
    }
    if len(state) != len(params):
        raise ValueError(f"{rule}: each parameter can occur only once")
    if state_steps is not None:
        if not all(isinstance(step, Tensor) for step in state_steps):
            raise RuntimeError(STEPS_ARE_TENSORS)
        for param, step in zip(params, state_steps, strict=True):
            state[param]["step"] = step.to(flambeau.float32)  # the tensor itself if it has that dtype
    if any(grad.is_sparse for grad in grads):
        _sparse.step_mixed(rule, group, params, grads, state)
    else:
        _core._optimizer_step(rule, group, list(params), list(grads), state)
    for param, step in zip(params, state_steps or (), strict=False):
        if step.dtype != flambeau.float32:
            step.copy_(state[param]["step"])
    return state


def sgd(
    params: list[Tensor],
    d_p_list: list[Tensor],
    momentum_buffer_list: list[Tensor | None],
    has_sparse_grad: bool = False,
    foreach: bool | None = None,
    fused: bool | None = None,
    grad_scale: Tensor | None = None,
    found_inf: Tensor | None = None,
    *,
    weight_decay: float,
    momentum: float,
    lr: float,
    dampening: float,
    nesterov: bool,
    maximize: bool,
) -> None:
    """Apply `SGD`. Buffers that are None are created and put into ``momentum_buffer_list``."""
    arguments = {**locals(), "grads": d_p_list}
    state = _apply("sgd", arguments, momentum_buffer=momentum_buffer_list)
    if momentum != 0:
        momentum_buffer_list[:] = [state[param]["momentum_buffer"] for param in params]


def adam(
    params: list[Tensor],
    grads: list[Tensor],
    exp_avgs: list[Tensor],
    exp_avg_sqs: list[Tensor],
    max_exp_avg_sqs: list[Tensor],
    state_steps: list[Tensor],
    foreach: bool | None = None,
    capturable: bool = False,
    differentiable: bool = False,
    fused: bool | None = None,
    grad_scale: Tensor | None = None,
    found_inf: Tensor | None = None,
    has_complex: bool = False,
    decoupled_weight_decay: bool = False,
    *,
    amsgrad: bool,
    beta1: float | Tensor,
    beta2: float | Tensor,
    lr: float | Tensor,
    weight_decay: float,
    eps: float,
    maximize: bool,
) -> None:
    """Apply `Adam`. ``max_exp_avg_sqs`` may be empty without ``amsgrad``."""
    largest = max_exp_avg_sqs if amsgrad else []
    _apply("adam", locals(), exp_avg=exp_avgs, exp_avg_sq=exp_avg_sqs, max_exp_avg_sq=largest)


def adamw(
    params: list[Tensor],
    grads: list[Tensor],
    exp_avgs: list[Tensor],
    exp_avg_sqs: list[Tensor],
    max_exp_avg_sqs: list[Tensor],
    state_steps: list[Tensor],
    foreach: bool | None = None,
    capturable: bool = False,
    differentiable: bool = False,
    fused: bool | None = None,
    grad_scale: Tensor | None = None,
    found_inf: Tensor | None = None,
    has_complex: bool = False,
    *,
    amsgrad: bool,
    beta1: float | Tensor,
    beta2: float | Tensor,
    lr: float | Tensor,
    weight_decay: float,
    eps: float,
    maximize: bool,
) -> None:
    """Apply `AdamW`. ``max_exp_avg_sqs`` may be empty without ``amsgrad``."""
    adam(**locals(), decoupled_weight_decay=True)


def adamax(
    params: list[Tensor],
    grads: list[Tensor],
    exp_avgs: list[Tensor],
    exp_infs: list[Tensor],
    state_steps: list[Tensor],
    foreach: bool | None = None,
    maximize: bool = False,
    differentiable: bool = False,
    capturable: bool = False,
    has_complex: bool = False,
    *,
    eps: float,
    beta1: float,
    beta2: float,
    lr: float,
    weight_decay: float,
) -> None:
    """Apply `Adamax`."""
    _apply("adamax", locals(), exp_avg=exp_avgs, exp_inf=exp_infs)


def nadam(
    params: list[Tensor],
    grads: list[Tensor],
    exp_avgs: list[Tensor],
    exp_avg_sqs: list[Tensor],
    mu_products: list[Tensor],
    state_steps: list[Tensor],
    decoupled_weight_decay: bool = False,
    foreach: bool | None = None,
    capturable: bool = False,
    differentiable: bool = False,
    has_complex: bool = False,
    maximize: bool = False,
    *,
    beta1: float,
    beta2: float,
    lr: float,
    weight_decay: float,
    momentum_decay: float,
    eps: float,
) -> None:
    """Apply `NAdam`."""
    _apply("nadam", locals(), exp_avg=exp_avgs, exp_avg_sq=exp_avg_sqs, mu_product=mu_products)


def radam(
    params: list[Tensor],
    grads: list[Tensor],
    exp_avgs: list[Tensor],
    exp_avg_sqs: list[Tensor],
    state_steps: list[Tensor],
    decoupled_weight_decay: bool = False,
    foreach: bool | None = None,
    differentiable: bool = False,
    capturable: bool = False,
    has_complex: bool = False,
    maximize: bool = False,
    *,
    beta1: float,
    beta2: float,
    lr: float,
    weight_decay: float,
    eps: float,
) -> None:
    """Apply `RAdam`."""
    _apply("radam", locals(), exp_avg=exp_avgs, exp_avg_sq=exp_avg_sqs)


def adagrad(
    params: list[Tensor],
    grads: list[Tensor],
    state_sums: list[Tensor],
    state_steps: list[Tensor],
    fused: bool | None = None,
    grad_scale: Tensor | None = None,
    found_inf: Tensor | None = None,
    has_sparse_grad: bool = False,
    foreach: bool | None = None,
    differentiable: bool = False,
    has_complex: bool = False,
    *,
    lr: float,
    weight_decay: float,
    lr_decay: float,
    eps: float,
    maximize: bool,
) -> None:
    """Apply `Adagrad`."""
    initial_accumulator_value = 0.0  # for sums that do not exist yet
    _apply("adagrad", locals(), sum=state_sums)


def adadelta(
    params: list[Tensor],
    grads: list[Tensor],
    square_avgs: list[Tensor],
    acc_deltas: list[Tensor],
    state_steps: list[Tensor],
    capturable: bool = False,
    foreach: bool | None = None,
    differentiable: bool = False,
    has_complex: bool = False,
    *,
    lr: float,
    rho: float,
    eps: float,
    weight_decay: float,
    maximize: bool,
) -> None:
    """Apply `Adadelta`."""
    _apply("adadelta", locals(), square_avg=square_avgs, acc_delta=acc_deltas)


def rmsprop(
    params: list[Tensor],
    grads: list[Tensor],
    square_avgs: list[Tensor],
    grad_avgs: list[Tensor],
    momentum_buffer_list: list[Tensor],
    state_steps: list[Tensor],
    foreach: bool | None = None,
    maximize: bool = False,
    differentiable: bool = False,
    capturable: bool = False,
    has_complex: bool = False,
    *,
    lr: float,
    alpha: float,
    eps: float,
    weight_decay: float,
    momentum: float,
    centered: bool,
) -> None:
    """Apply `RMSprop`. Lists of state that the options do not need may be empty."""
    _apply("rmsprop", locals(), square_avg=square_avgs, grad_avg=grad_avgs, momentum_buffer=momentum_buffer_list)


def asgd(
    params: list[Tensor],
    grads: list[Tensor],
    axs: list[Tensor],
    mus: list[Tensor],
    etas: list[Tensor],
    state_steps: list[Tensor],
    foreach: bool | None = None,
    maximize: bool = False,
    differentiable: bool = False,
    capturable: bool = False,
    has_complex: bool = False,
    *,
    lambd: float,
    lr: float,
    t0: float,
    alpha: float,
    weight_decay: float,
) -> None:
    """Apply `ASGD`."""
    _apply("asgd", locals(), ax=axs, mu=mus, eta=etas)


def rprop(
    params: list[Tensor],
    grads: list[Tensor],
    prevs: list[Tensor],
    step_sizes: list[Tensor],
    state_steps: list[Tensor],
    foreach: bool | None = None,
    capturable: bool = False,
    maximize: bool = False,
    differentiable: bool = False,
    has_complex: bool = False,
    *,
    step_size_min: float,
    step_size_max: float,
    etaminus: float,
    etaplus: float,
) -> None:
    """Apply `Rprop`."""
    arguments = {**locals(), "etas": (etaminus, etaplus), "step_sizes": (step_size_min, step_size_max)}
    arguments["lr"] = 0.0  # the size of the first step, which the state holds already
    _apply("rprop", arguments, prev=prevs, step_size=step_sizes)


def sparse_adam(
    params: list[Tensor],
    grads: list[Tensor],
    exp_avgs: list[Tensor],
    exp_avg_sqs: list[Tensor],
    state_steps: list[int],
    *,
    eps: float,
    beta1: float,
    beta2: float,
    lr: float,
    maximize: bool,
) -> None:
    """Apply `SparseAdam`. ``state_steps`` counts this step already."""
    group: Group = {"lr": lr, "betas": (beta1, beta2), "eps": eps, "maximize": maximize}
    lists = zip(params, exp_avgs, exp_avg_sqs, state_steps, strict=True)
    state = {param: {"exp_avg": mean, "exp_avg_sq": square, "step": step - 1} for param, mean, square, step in lists}
    _sparse.step(_sparse.descend_by_moments, group, params, grads, state)
