"""Differentiable steps (``differentiable=True``): the update rules of tensor-core in operators that autograd records.

Through a differentiable step, gradients flow to the former parameters, their gradients, the state and the options that
are tensors, such as ``lr``. The first differentiable step of an optimizer loads this module.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

import flambeau
from flambeau import Tensor

from .optimizer import Group

State = dict[str, Any]


class Rule(NamedTuple):
    """Update rule of an optimizer.

    Attributes:
        initial: function of the options that returns the initial state. The first step creates an entry that is None.
        update: function of the options, the state, a parameter and its gradient. It returns the new parameter and the
            new state. The options include ``step``, the number of the step.
    """

    initial: Callable[[Any], State]
    update: Callable[[Any, State, Tensor, Tensor], tuple[Tensor, State]]


def _sgd(o: Any, state: State, p: Tensor, g: Tensor) -> tuple[Tensor, State]:
    g = g + o.weight_decay * p
    if o.momentum == 0:
        return p - o.lr * g, {}
    buffer = state["momentum_buffer"]
    buffer = g if buffer is None else o.momentum * buffer + (1 - o.dampening) * g
    return p - o.lr * (g + o.momentum * buffer if o.nesterov else buffer), {"momentum_buffer": buffer}


def _moments(o: Any, state: State, g: Tensor) -> State:
    """Return Adam's running means of the gradient and of its square."""
    beta1, beta2 = o.betas
    return {
        "exp_avg": beta1 * state["exp_avg"] + (1 - beta1) * g,
        "exp_avg_sq": beta2 * state["exp_avg_sq"] + (1 - beta2) * g * g,
    }


def _apply_weight_decay(o: Any, p: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
    """Return a parameter and its gradient after weight decay."""
    if o.decoupled_weight_decay:
        return p * (1 - o.lr * o.weight_decay), g
    return p, g + o.weight_decay * p


def _adam(o: Any, state: State, p: Tensor, g: Tensor) -> tuple[Tensor, State]:
    p, g = _apply_weight_decay(o, p, g)
    new = _moments(o, state, g)
    squares = new["exp_avg_sq"]
    if o.amsgrad:
        squares = new["max_exp_avg_sq"] = flambeau.maximum(state["max_exp_avg_sq"], squares)
    denominator = squares.sqrt() / math.sqrt(1 - o.betas[1] ** o.step) + o.eps
    return p - o.lr / (1 - o.betas[0] ** o.step) * new["exp_avg"] / denominator, new


def _adadelta(o: Any, state: State, p: Tensor, g: Tensor) -> tuple[Tensor, State]:
    g = g + o.weight_decay * p
    squares = o.rho * state["square_avg"] + (1 - o.rho) * g * g
    move = (state["acc_delta"] + o.eps).sqrt() / (squares + o.eps).sqrt() * g
    moves = o.rho * state["acc_delta"] + (1 - o.rho) * move * move
    return p - o.lr * move, {"square_avg": squares, "acc_delta": moves}


def _adagrad(o: Any, state: State, p: Tensor, g: Tensor) -> tuple[Tensor, State]:
    g = g + o.weight_decay * p
    total = state["sum"] + g * g
    return p - o.lr / (1 + (o.step - 1) * o.lr_decay) * g / (total.sqrt() + o.eps), {"sum": total}


def _adamax(o: Any, state: State, p: Tensor, g: Tensor) -> tuple[Tensor, State]:
    g = g + o.weight_decay * p
    beta1, beta2 = o.betas
    mean = beta1 * state["exp_avg"] + (1 - beta1) * g
    norm = flambeau.maximum(beta2 * state["exp_inf"], g.abs() + o.eps)
    return p - o.lr / (1 - beta1**o.step) * mean / norm, {"exp_avg": mean, "exp_inf": norm}


def _asgd(o: Any, state: State, p: Tensor, g: Tensor) -> tuple[Tensor, State]:
    eta, mu = float(state["eta"]), float(state["mu"])
    p = p * (1 - o.lambd * eta) - eta * (g + o.weight_decay * p)
    average = p if mu == 1 else state["ax"] + (p - state["ax"]) * mu
    eta = float(o.lr) / (1 + o.lambd * float(o.lr) * o.step) ** o.alpha
    return p, {"ax": average, "eta": eta, "mu": 1 / max(1.0, o.step - o.t0)}


def _nadam(o: Any, state: State, p: Tensor, g: Tensor) -> tuple[Tensor, State]:
    p, g = _apply_weight_decay(o, p, g)
    new = _moments(o, state, g)
    mu, following = (o.betas[0] * (1 - 0.5 * 0.96 ** (t * o.momentum_decay)) for t in (o.step, o.step + 1))
    product = state["mu_product"] * mu
    exact = product.double()  # mu_product is float32, but parameters can be float64
    ahead = (1 - mu) / (1 - exact) * g + following / (1 - exact * following) * new["exp_avg"]
    denominator = (new["exp_avg_sq"] / (1 - o.betas[1] ** o.step)).sqrt() + o.eps
    return p - o.lr * ahead / denominator, {**new, "mu_product": product}


def _radam(o: Any, state: State, p: Tensor, g: Tensor) -> tuple[Tensor, State]:
    p, g = _apply_weight_decay(o, p, g)
    new = _moments(o, state, g)
    power = o.betas[1] ** o.step
    longest = 2 / (1 - o.betas[1]) - 1
    length = longest - 2 * o.step * power / (1 - power)
    move = o.lr / (1 - o.betas[0] ** o.step) * new["exp_avg"]
    if length > 5:
        ratio = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
        move = move * math.sqrt((1 - power) * ratio) / (new["exp_avg_sq"].sqrt() + o.eps)
    return p - move, new


def _rmsprop(o: Any, state: State, p: Tensor, g: Tensor) -> tuple[Tensor, State]:
    g = g + o.weight_decay * p
    squares = o.alpha * state["square_avg"] + (1 - o.alpha) * g * g
    new, variance = {"square_avg": squares}, squares
    if o.centered:
        mean = new["grad_avg"] = o.alpha * state["grad_avg"] + (1 - o.alpha) * g
        variance = squares - mean * mean
    move = g / (variance.sqrt() + o.eps)
    if o.momentum > 0:
        move = new["momentum_buffer"] = o.momentum * state["momentum_buffer"] + move
    return p - o.lr * move, new


def _rprop(o: Any, state: State, p: Tensor, g: Tensor) -> tuple[Tensor, State]:
    sign_change = g * state["prev"]
    size = state["step_size"]
    size = flambeau.where(sign_change > 0, size * o.etas[1], flambeau.where(sign_change < 0, size * o.etas[0], size))
    size = size.clamp(*o.step_sizes)
    g = flambeau.where(sign_change < 0, flambeau.zeros_like(g), g)
    return p - g.sign() * size, {"prev": g, "step_size": size}


def _zeros(*names: str) -> Callable[[Any], State]:
    return lambda o: dict.fromkeys(names, 0.0)


RULES = {
    "sgd": Rule(lambda o: {"momentum_buffer": None} if o.momentum != 0 else {}, _sgd),
    "adam": Rule(
        lambda o: dict.fromkeys(("exp_avg", "exp_avg_sq", *(["max_exp_avg_sq"] if o.amsgrad else [])), 0.0), _adam
    ),
    "adadelta": Rule(_zeros("square_avg", "acc_delta"), _adadelta),
    "adagrad": Rule(lambda o: {"sum": o.initial_accumulator_value}, _adagrad),
    "adamax": Rule(_zeros("exp_avg", "exp_inf"), _adamax),
    "asgd": Rule(lambda o: {"eta": float(o.lr), "mu": 1.0, "ax": 0.0}, _asgd),
    "nadam": Rule(lambda o: {"mu_product": 1.0, "exp_avg": 0.0, "exp_avg_sq": 0.0}, _nadam),
    "radam": Rule(_zeros("exp_avg", "exp_avg_sq"), _radam),
    "rmsprop": Rule(
        lambda o: {
            "square_avg": 0.0,
            **({"momentum_buffer": 0.0} if o.momentum > 0 else {}),
            **({"grad_avg": 0.0} if o.centered else {}),
        },
        _rmsprop,
    ),
    "rprop": Rule(lambda o: {"prev": 0.0, "step_size": float(o.lr)}, _rprop),
}

_NUMBERS = ("eta", "mu", "mu_product")  # state entries that are a single number for each parameter


def step(name: str, group: Group, params: list[Tensor], grads: list[Tensor], state: Any) -> None:
    """Apply the rule ``name`` to parameters and state in place. Autograd records the step.

    Raises: RuntimeError if a parameter is a leaf that requires a gradient. Pass a clone of the leaf instead.
    """
    rule = RULES[name]
    for param, grad in zip(params, grads, strict=True):
        if grad.is_sparse:
            raise NotImplementedError("differentiable=True is not supported for sparse gradients")
        kept = state[param]
        options = SimpleNamespace(**group, step=_count(kept) if name != "sgd" else 0)
        former = {}
        for entry, value in rule.initial(options).items():
            if kept.get(entry) is None and value is not None:
                kept[entry] = flambeau.tensor(value) if entry in _NUMBERS else flambeau.full_like(param, value)
                if param.is_complex() and entry not in _NUMBERS:
                    _as_real(kept[entry]).fill_(value)
            # Clone the entry: the graph may save it, and the code below overwrites the state.
            former[entry] = None if kept.get(entry) is None else _as_real(kept[entry]).clone()
        target, slope = _as_real(param), _as_real(grad)
        moved, new = rule.update(options, former, target.clone(), -slope if group["maximize"] else slope)
        for entry, value in new.items():
            _store(kept, entry, value, param)
        target.copy_(moved)


def _count(kept: State) -> float:
    """Increment the step count in the state of a parameter. Return the new count."""
    steps = kept.get("step", 0.0)
    kept["step"] = steps.add_(1) if isinstance(steps, Tensor) else flambeau.tensor(float(steps + 1))
    return float(kept["step"])


def _as_real(tensor: Tensor) -> Tensor:
    """Return a real view of a complex tensor, with a last dimension of size 2. Return other tensors unchanged."""
    return flambeau.view_as_real(tensor) if tensor.is_complex() else tensor


def _store(kept: State, entry: str, value: Any, param: Tensor) -> None:
    """Write the new value of a state entry to the tensor of the entry. Create the tensor if it does not exist."""
    tensor = kept.get(entry)
    if tensor is None:
        value = value.clone()
        kept[entry] = flambeau.view_as_complex(value) if param.is_complex() else value
    elif isinstance(value, Tensor):
        _as_real(tensor).copy_(value)
    else:
        tensor.fill_(value)
