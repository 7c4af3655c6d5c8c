"""The optimizers' update rules in NumPy float64. To test another setting, add a row to RULES.

Each rule takes a parameter ``p``, its gradient ``g``, its state ``s``, which it updates, and the number ``t`` of the
step, and returns the new parameter.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import flambeau as fb
from flambeau import optim

SHAPES = [(3, 4), (5,), (), (2, 1, 3)]
STEPS = 6


def sgd(p, g, s, t, lr, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False, maximize=False):
    """Apply SGD: Sutskever et al. 2013, but as in PyTorch the learning rate multiplies the whole buffer."""
    g = (-g if maximize else g) + weight_decay * p
    if momentum:
        s["b"] = g if t == 1 else momentum * s["b"] + (1 - dampening) * g
        g = g + momentum * s["b"] if nesterov else s["b"]
    return p - lr * g


def adam(p, g, s, t, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, amsgrad=False, maximize=False):
    """Apply Adam: Kingma, Ba 2015, algorithm 1; with amsgrad Reddi, Kale, Kumar 2018, algorithm 2."""
    g = (-g if maximize else g) + weight_decay * p
    s["m"] = betas[0] * s.get("m", 0) + (1 - betas[0]) * g
    s["v"] = betas[1] * s.get("v", 0) + (1 - betas[1]) * g**2
    s["largest"] = np.maximum(s.get("largest", 0), s["v"])
    v = s["largest"] if amsgrad else s["v"]
    return p - lr * (s["m"] / (1 - betas[0] ** t)) / (np.sqrt(v / (1 - betas[1] ** t)) + eps)


def adamw(p, g, s, t, lr=1e-3, weight_decay=1e-2, **options):
    """Apply AdamW: Loshchilov, Hutter 2019, algorithm 2."""
    return adam(p * (1 - lr * weight_decay), g, s, t, lr=lr, **options)


def adamax(p, g, s, t, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, maximize=False):
    """Apply Adamax: Kingma, Ba 2015, algorithm 2, with eps added so that the maximum is not 0."""
    g = (-g if maximize else g) + weight_decay * p
    s["m"] = betas[0] * s.get("m", 0) + (1 - betas[0]) * g
    s["u"] = np.maximum(betas[1] * s.get("u", 0), np.abs(g) + eps)
    return p - lr / (1 - betas[0] ** t) * s["m"] / s["u"]


def nadam(
    p,
    g,
    s,
    t,
    lr=2e-3,
    betas=(0.9, 0.999),
    eps=1e-8,
    weight_decay=0.0,
    momentum_decay=4e-3,
    decoupled_weight_decay=False,
    maximize=False,
):
    """Apply NAdam: Dozat 2016, with the momentum schedule on page 3. The product is stored in float32."""
    g = -g if maximize else g
    p, g = (p * (1 - lr * weight_decay), g) if decoupled_weight_decay else (p, g + weight_decay * p)
    mu, following = (betas[0] * (1 - 0.5 * 0.96 ** (k * momentum_decay)) for k in (t, t + 1))
    s["M"] = s.get("M", np.float32(1)) * np.float32(mu)
    product = float(s["M"])
    s["m"] = betas[0] * s.get("m", 0) + (1 - betas[0]) * g
    s["v"] = betas[1] * s.get("v", 0) + (1 - betas[1]) * g**2
    ahead = (1 - mu) / (1 - product) * g + following / (1 - product * following) * s["m"]
    return p - lr * ahead / (np.sqrt(s["v"] / (1 - betas[1] ** t)) + eps)


def radam(
    p,
    g,
    s,
    t,
    lr=1e-3,
    betas=(0.9, 0.999),
    eps=1e-8,
    weight_decay=0.0,
    decoupled_weight_decay=False,
    maximize=False,
):
    """Apply RAdam: Liu et al. 2020, algorithm 2, with eps added to the root of v."""
    g = -g if maximize else g
    p, g = (p * (1 - lr * weight_decay), g) if decoupled_weight_decay else (p, g + weight_decay * p)
    s["m"] = betas[0] * s.get("m", 0) + (1 - betas[0]) * g
    s["v"] = betas[1] * s.get("v", 0) + (1 - betas[1]) * g**2
    most = 2 / (1 - betas[1]) - 1
    rho = most - 2 * t * betas[1] ** t / (1 - betas[1] ** t)
    step = s["m"] / (1 - betas[0] ** t)
    if rho > 5:
        rectified = np.sqrt((rho - 4) * (rho - 2) * most / ((most - 4) * (most - 2) * rho))
        step = step * rectified * np.sqrt(1 - betas[1] ** t) / (np.sqrt(s["v"]) + eps)
    return p - lr * step


def adagrad(
    p, g, s, t, lr=1e-2, lr_decay=0.0, weight_decay=0.0, initial_accumulator_value=0.0, eps=1e-10, maximize=False
):
    """Apply Adagrad: Duchi, Hazan, Singer 2011, with a diagonal matrix."""
    g = (-g if maximize else g) + weight_decay * p
    s["sum"] = s.get("sum", initial_accumulator_value) + g**2
    return p - lr / (1 + (t - 1) * lr_decay) * g / (np.sqrt(s["sum"]) + eps)


def adadelta(p, g, s, t, lr=1.0, rho=0.9, eps=1e-6, weight_decay=0.0, maximize=False):
    """Apply Adadelta: Zeiler 2012, algorithm 1."""
    g = (-g if maximize else g) + weight_decay * p
    s["v"] = rho * s.get("v", 0) + (1 - rho) * g**2
    step = np.sqrt(s.get("u", 0) + eps) / np.sqrt(s["v"] + eps) * g
    s["u"] = rho * s.get("u", 0) + (1 - rho) * step**2
    return p - lr * step


def rmsprop(p, g, s, t, lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0.0, momentum=0.0, centered=False, maximize=False):
    """Apply RMSprop: Tieleman, Hinton 2012; centred: Graves 2013, equations 38 to 45, with eps added to the root."""
    g = (-g if maximize else g) + weight_decay * p
    s["v"] = alpha * s.get("v", 0) + (1 - alpha) * g**2
    s["mean"] = alpha * s.get("mean", 0) + (1 - alpha) * g
    root = np.sqrt(s["v"] - s["mean"] ** 2 if centered else s["v"]) + eps
    s["b"] = momentum * s.get("b", 0) + g / root
    return p - lr * s["b"]


def asgd(p, g, s, t, lr=1e-2, lambd=1e-4, alpha=0.75, t0=1e6, weight_decay=0.0, maximize=False):
    """Apply ASGD: Polyak, Juditsky 1992, in Bottou's form. The step size is stored in float32."""
    g = (-g if maximize else g) + weight_decay * p
    eta = float(np.float32(lr / (1 + lambd * lr * (t - 1)) ** alpha))
    return p * (1 - lambd * eta) - eta * g


def rprop(p, g, s, t, lr=1e-2, etas=(0.5, 1.2), step_sizes=(1e-6, 50), maximize=False):
    """Apply Rprop: Riedmiller, Braun 1993, without reverting the last step after a sign change."""
    g = -g if maximize else g
    agreement = np.sign(g * s.get("g", np.zeros_like(g)))
    factor = np.where(agreement > 0, etas[1], np.where(agreement < 0, etas[0], 1.0))
    s["size"] = np.clip(s.get("size", np.full_like(g, lr)) * factor, *step_sizes)
    s["g"] = np.where(agreement < 0, 0, g)
    return p - np.sign(s["g"]) * s["size"]


def lion(p, g, s, t, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.0, maximize=False):
    """Apply Lion: Chen et al. 2023, algorithm 2."""
    g, m = -g if maximize else g, s.get("m", 0)
    s["m"] = betas[1] * m + (1 - betas[1]) * g
    return p - lr * (np.sign(betas[0] * m + (1 - betas[0]) * g) + weight_decay * p)


class Rule(NamedTuple):
    kind: type[optim.Optimizer]
    reference: Callable[..., Any]
    options: dict[str, Any]


RULES = [
    Rule(optim.SGD, sgd, {"lr": 0.1}),
    Rule(optim.SGD, sgd, {"lr": 0.1, "weight_decay": 0.3}),
    Rule(optim.SGD, sgd, {"lr": 0.1, "momentum": 0.9}),
    Rule(optim.SGD, sgd, {"lr": 0.1, "momentum": 0.9, "dampening": 0.4, "weight_decay": 0.1}),
    Rule(optim.SGD, sgd, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    Rule(optim.SGD, sgd, {"lr": 0.1, "momentum": 0.5, "maximize": True, "weight_decay": 0.1}),
    Rule(optim.Adam, adam, {}),
    Rule(optim.Adam, adam, {"lr": 0.1, "betas": (0.5, 0.75), "eps": 0.01, "weight_decay": 0.2}),
    Rule(optim.Adam, adam, {"lr": 0.1, "betas": (0.0, 0.5), "amsgrad": True}),
    Rule(optim.Adam, adam, {"lr": 0.1, "maximize": True, "weight_decay": 0.2}),
    Rule(optim.AdamW, adamw, {}),
    Rule(optim.AdamW, adamw, {"lr": 0.1, "weight_decay": 0.5, "betas": (0.8, 0.9), "eps": 0.1}),
    Rule(optim.AdamW, adamw, {"lr": 0.1, "weight_decay": 0.5, "amsgrad": True, "maximize": True}),
    Rule(optim.Adamax, adamax, {}),
    Rule(optim.Adamax, adamax, {"lr": 0.1, "betas": (0.5, 0.7), "weight_decay": 0.2, "maximize": True}),
    Rule(optim.NAdam, nadam, {}),
    Rule(optim.NAdam, nadam, {"lr": 0.1, "momentum_decay": 0.1, "weight_decay": 0.2}),
    Rule(optim.NAdam, nadam, {"lr": 0.1, "weight_decay": 0.2, "decoupled_weight_decay": True, "maximize": True}),
    Rule(optim.RAdam, radam, {}),
    Rule(optim.RAdam, radam, {"lr": 0.1, "betas": (0.5, 0.9), "weight_decay": 0.2}),
    Rule(optim.RAdam, radam, {"weight_decay": 0.2, "decoupled_weight_decay": True, "maximize": True}),
    Rule(optim.Adagrad, adagrad, {}),
    Rule(optim.Adagrad, adagrad, {"lr_decay": 0.3, "initial_accumulator_value": 0.1, "weight_decay": 0.1}),
    Rule(optim.Adagrad, adagrad, {"eps": 0.01, "maximize": True}),
    Rule(optim.Adadelta, adadelta, {}),
    Rule(optim.Adadelta, adadelta, {"lr": 0.5, "rho": 0.7, "eps": 0.01, "weight_decay": 0.1, "maximize": True}),
    Rule(optim.RMSprop, rmsprop, {}),
    Rule(optim.RMSprop, rmsprop, {"alpha": 0.7, "momentum": 0.9, "weight_decay": 0.1}),
    Rule(optim.RMSprop, rmsprop, {"alpha": 0.7, "centered": True, "eps": 1e-3, "maximize": True}),
    Rule(optim.RMSprop, rmsprop, {"alpha": 0.7, "centered": True, "eps": 1e-3, "momentum": 0.5}),
    Rule(optim.ASGD, asgd, {}),
    Rule(optim.ASGD, asgd, {"lr": 0.1, "lambd": 0.3, "alpha": 0.6, "t0": 2.0, "weight_decay": 0.1, "maximize": True}),
    Rule(optim.Rprop, rprop, {}),
    Rule(optim.Rprop, rprop, {"lr": 0.1, "etas": (0.3, 1.5), "step_sizes": (0.05, 0.12), "maximize": True}),
    Rule(optim.Lion, lion, {}),
    Rule(optim.Lion, lion, {"lr": 0.1, "betas": (0.5, 0.75), "weight_decay": 0.2, "maximize": True}),
]


def starting_values(shapes=SHAPES):
    random = np.random.default_rng(11)
    return [np.array(random.standard_normal(shape)) for shape in shapes]


def gradients(step):
    """Return the gradients of a step, with very different magnitudes; all are 0 at step 3."""
    random = np.random.default_rng([11, step])
    return [np.array(random.standard_normal(shape) * 10.0 ** random.integers(-3, 3) * (step != 3)) for shape in SHAPES]


def parameters(values, dtype=fb.float64):
    return [fb.from_numpy(value.copy()).to(dtype) for value in values]


def set_gradients(params, grads):
    for param, grad in zip(params, grads, strict=True):
        param.grad = None if grad is None else fb.from_numpy(grad.copy()).to(param.dtype)


def assert_close(params, expected, dtype=fb.float64):
    tolerance = 1e-12 if dtype == fb.float64 else 2e-6
    for param, value in zip(params, expected, strict=True):
        np.testing.assert_allclose(param.detach().numpy(), value, rtol=tolerance, atol=tolerance)
