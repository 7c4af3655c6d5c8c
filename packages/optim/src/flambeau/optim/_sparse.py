"""Steps with sparse gradients, which change only the rows that have a gradient. The first sparse gradient loads this.

The state has the same form as for dense gradients, so that sparse and dense gradients may alternate. With momentum, SGD
keeps a sparse buffer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import flambeau
from flambeau import Tensor, _core

from .optimizer import Group


def _descend(group: Group, param: Tensor, grad: Any, state: dict[str, Any]) -> None:
    """Apply SGD to the rows of one parameter that have a gradient."""
    if group["weight_decay"] != 0:
        raise RuntimeError(
            f"SGD does not support weight_decay for sparse gradients, got weight_decay={group['weight_decay']}; set it "
            "to 0"
        )
    if group["maximize"]:
        grad = -grad
    momentum = group["momentum"]
    if momentum != 0:
        buffer = state.get("momentum_buffer")
        fresh = grad * (1 - group["dampening"])
        buffer = grad.clone() if buffer is None else buffer * momentum + fresh
        state["momentum_buffer"] = buffer = buffer.coalesce() if buffer.is_sparse else buffer
        grad = grad + buffer * momentum if group["nesterov"] else buffer
    param.add_(grad, alpha=-float(group["lr"]))


def _descend_by_sums(group: Group, param: Tensor, grad: Any, state: dict[str, Any]) -> None:
    """Apply Adagrad to the rows of one parameter that have a gradient."""
    if param.layout is not flambeau.strided:
        raise RuntimeError(f"Adagrad requires strided parameters, got the layout {param.layout}")
    if group["weight_decay"] != 0:
        raise RuntimeError("Adagrad: weight_decay option is not compatible with sparse gradients; set it to 0")
    if "sum" not in state:
        state["step"] = flambeau.zeros((), dtype=flambeau.float32)
        state["sum"] = flambeau.full_like(param, group["initial_accumulator_value"])
    state["step"] += 1
    rate = float(group["lr"]) / (1 + (float(state["step"]) - 1) * group["lr_decay"])
    rows, values = rows_of(-grad if group["maximize"] else grad)
    total = _read_rows(state["sum"], rows) + values.square()
    _write_rows(state["sum"], rows, total)
    _add_to_rows(param, rows, -rate * values / (total.sqrt() + group["eps"]))


def descend_by_moments(group: Group, param: Tensor, grad: Any, state: dict[str, Any]) -> None:
    """Apply SparseAdam to the rows of one parameter that have a gradient."""
    if not state:
        state["step"] = 0
        state["exp_avg"], state["exp_avg_sq"] = flambeau.zeros_like(param), flambeau.zeros_like(param)
    state["step"] += 1
    rows, values = rows_of(-grad if group["maximize"] else grad)
    beta1, beta2 = group["betas"]
    mean, square = _read_rows(state["exp_avg"], rows), _read_rows(state["exp_avg_sq"], rows)
    mean = mean + (values - mean) * (1 - beta1)
    square = square + (values.square() - square) * (1 - beta2)
    _write_rows(state["exp_avg"], rows, mean)
    _write_rows(state["exp_avg_sq"], rows, square)
    corrected = float(group["lr"]) * (1 - beta2 ** state["step"]) ** 0.5 / (1 - beta1 ** state["step"])
    _add_to_rows(param, rows, -corrected * mean / (square.sqrt() + group["eps"]))


Rule: TypeAlias = Callable[[Group, Tensor, Any, dict[str, Any]], None]

# For each name of a rule of tensor-core, which handles dense gradients, the rule for sparse gradients.
RULES: dict[str, Rule] = {"sgd": _descend, "adagrad": _descend_by_sums}


def step(rule: Rule, group: Group, params: list[Tensor], grads: list[Any], state: Any) -> None:
    """Apply ``rule`` to parameters, all of which have sparse gradients."""
    with flambeau.no_grad():
        for param, grad in zip(params, grads, strict=True):
            rule(group, param, grad, state[param])


def step_mixed(name: str, group: Group, params: list[Tensor], grads: list[Any], state: Any) -> None:
    """Apply the rule ``name`` to parameters, some of which have sparse gradients.

    Raises: RuntimeError if the rule does not support sparse gradients.
    """
    if name not in RULES:
        raise RuntimeError(f"{name} does not support sparse gradients")
    pairs = list(zip(params, grads, strict=True))
    if dense := [pair for pair in pairs if pair[1].layout is flambeau.strided]:
        _core._optimizer_step(name, group, [param for param, _ in dense], [grad for _, grad in dense], state)
    sparse = [pair for pair in pairs if pair[1].layout is not flambeau.strided]
    step(RULES[name], group, [param for param, _ in sparse], [grad for _, grad in sparse], state)


def rows_of(grad: Any) -> tuple[Any, Tensor]:
    """Return the unique row indices of a sparse gradient, and the values of these rows.

    For several sparse dimensions, the indices are a tuple of tensors.
    """
    merged = grad.coalesce()
    indices = merged.indices()
    return (indices[0] if indices.shape[0] == 1 else tuple(indices)), merged.values()


def _read_rows(table: Tensor, rows: Any) -> Tensor:
    return table.index_select(0, rows) if isinstance(rows, Tensor) else table[rows]


def _write_rows(table: Tensor, rows: Any, values: Tensor) -> None:
    if isinstance(rows, Tensor):
        table.index_copy_(0, rows, values)
    else:
        table[rows] = values


def _add_to_rows(table: Tensor, rows: Any, values: Tensor) -> None:
    if isinstance(rows, Tensor):
        table.index_add_(0, rows, values)
    else:
        table.index_put_(rows, values, accumulate=True)
