"""Differentiation inside vmap.

An input that is differentiated inside vmap becomes a batch of leaves. An input that is the same for all elements is
expanded to the batch sizes of all active vmap calls, so that each element has its own gradient. The engine then runs
once for the whole batch, because its elements are independent. If the graph was recorded outside vmap, the engine runs
once per element.
"""

from typing import Any

import flambeau
from flambeau import Tensor
from flambeau._core import _placeholder, _running_maps
from flambeau.func import _engine
from flambeau.func._fallback import element
from flambeau.func._placeholders import is_batched_at, maps, without_placeholders
from flambeau.func._rules import Call, batching, composition


@composition("autograd._engine.leaf")
def leaf(t: Tensor) -> tuple[Tensor, Tensor]:
    """Return a batch of leaves, one for each element, and the connected tensor that the function receives."""
    depth = _running_maps(0)
    try:
        return _leaf(t, depth)
    finally:
        _running_maps(depth)


def _leaf(t: Any, level: int) -> tuple[Tensor, Tensor]:
    if level == 0:
        leaf_tensor, argument = _engine.leaf(t)
        return leaf_tensor, argument
    _running_maps(level - 1)
    value = t.value if is_batched_at(t, level) else t.unsqueeze(0).expand(maps.running[level - 1].size, *t.shape)
    leaf_tensor, argument = _leaf(value, level - 1)
    return _placeholder(leaf_tensor, level), _placeholder(argument, level)


def _values(call: Call, tensors: Any) -> list[Any]:
    return [call.batch(t) for t in tensors]


@batching("autograd._engine.gradients")
def gradients(call: Call) -> tuple[list[Any], Any]:
    """Compute gradients for the whole batch. If the leaves are not batched, run the engine once per element."""
    outputs, leaves, cotangents, follow, keep = call.values
    if all(call.is_batched(t) for t in leaves):
        grad_outputs = [None] * len(outputs) if cotangents is None else cotangents
        directions = [
            flambeau.ones_like(call.batch(t)) if g is None else call.batch(g)
            for t, g in zip(outputs, grad_outputs, strict=True)
        ]
        row, depends = _engine.gradients(_values(call, outputs), [t.value for t in leaves], directions, follow, keep)
        return list(row), depends
    if any(call.is_batched(t) for t in leaves):
        raise RuntimeError(
            "vmap: the tensors to differentiate by must all depend on the mapped arguments, or none of them may, but "
            "some do and some do not"
        )
    runs = []
    for i in range(call.size):
        parts = (element(tuple(part), call.level, i) if part is not None else None for part in (outputs, cotangents))
        runs.append(_engine.gradients(*_with_leaves(parts, leaves), follow, keep or i + 1 < call.size))
    return [flambeau.stack(column) for column in zip(*(row for row, _ in runs), strict=True)], runs[0][1]


def _with_leaves(parts: Any, leaves: Any) -> tuple[Any, Any, Any]:
    outputs, cotangents = parts
    return outputs, leaves, cotangents


@batching("autograd._engine.jacobian")
def jacobian(call: Call) -> list[Tensor]:
    """Compute Jacobians: run the engine once per element of the output, each time for the whole batch."""
    output, leaves, create_graph, keep = call.values
    if not all(call.is_batched(t) for t in leaves):
        raise NotImplementedError(
            "vmap: a Jacobian inside of a mapped function is only supported with respect to tensors that depend on the "
            "mapped arguments"
        )
    value, sources = call.batch(output), [t.value for t in leaves]
    rows = []
    for i in range(output.shape.numel()):
        direction = flambeau.zeros_like(value)
        direction.reshape(call.size, -1)[:, i] = 1
        last = i + 1 == output.shape.numel()
        found, _ = _engine.gradients((value,), sources, (direction,), create_graph, create_graph or keep or not last)
        rows.append(found)
    if not rows:
        return [flambeau.zeros(call.size, *output.shape, *t.shape, dtype=t.dtype) for t in leaves]
    return [
        flambeau.stack(column, 1).reshape(call.size, *output.shape, *t.shape)
        for column, t in zip(zip(*rows, strict=True), leaves, strict=True)
    ]


@composition("autograd._engine.depends_on_others")
def depends_on_others(outputs: Any, leaves: Any) -> Any:
    """Call ``_engine.depends_on_others`` with the values of the placeholders."""
    return _engine.depends_on_others(_without_placeholders(outputs), _without_placeholders(leaves))


@composition("autograd._engine.close")
def close(leaves: Any) -> Any:
    """Call ``_engine.close`` with the values of the placeholders."""
    return _engine.close(_without_placeholders(leaves))


def _without_placeholders(tensors: Any) -> list[Any]:
    return [without_placeholders(t) for t in tensors]


@batching("autograd._engine.detached")
def detached(call: Call) -> Tensor:
    """Detach a batched tensor."""
    values: Tensor = _engine.detached(call.batch(call.values[0]))
    return values


@batching("autograd._engine.make_dual")
def make_dual(call: Call) -> Tensor:
    """Return a batched dual tensor. The value, the tangent or both are batched."""
    primal, tangent, level = call.values
    dual: Tensor = _engine.make_dual(call.batch(primal), call.batch(tangent), level)
    return dual


@batching("autograd._engine.unpack_dual")
def unpack_dual(call: Call) -> Any:
    """Return the value and the tangent of a batched dual tensor."""
    t, level = call.values
    return _engine.unpack_dual(call.batch(t), level)
