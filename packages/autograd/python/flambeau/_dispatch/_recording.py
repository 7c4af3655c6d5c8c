"""Autograd above ``__torch_dispatch__``: run a call without recording, then attach a node. Note [Dispatch]."""

from __future__ import annotations

import functools
from typing import Any

from flambeau import Tensor, _core
from flambeau.library._overloads import OpOverload
from flambeau.utils import _pytree

from . import _derivatives, _torch_dispatch

# Operators whose results autograd never records: detach, and operators that return Python numbers.
_NEVER_RECORDED = frozenset(("detach", "_local_scalar_dense", "equal", "is_nonzero"))


def _is_recorded(overload: OpOverload) -> bool:
    name = overload._opname
    return not (name in _NEVER_RECORDED or name.endswith("_like") or name.startswith("new_"))


def call(overload: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run a call below autograd, without recording, and attach its derivative to the result."""
    schema = overload._own_schema
    changed = None
    before: Any = args
    if schema is not None and schema.is_mutable:
        if any(argument.is_out for argument in schema.arguments):
            raise RuntimeError(
                f"{overload._opname}(): functions with out=... arguments don't support automatic differentiation, but "
                "one of the arguments requires grad."
            )
        changed, before = _copy_before_change(overload, args)
    recorded = _core._set_grad_enabled(False)
    try:
        result = _torch_dispatch.call_handlers(overload, args, kwargs)
    finally:
        _core._set_grad_enabled(recorded)
    if not recorded or not _is_recorded(overload):
        return result
    return _record_call(overload, before, kwargs, result, changed)


def with_history(overload: OpOverload, args: tuple[Any, ...], result: Any) -> Any:
    """Attach the derivative to the result of an operator that changes no argument."""
    return _record_call(overload, args, {}, result, None)


def history_of(overload: OpOverload) -> tuple[Any, ...] | None:
    """Return the data that tensor-core needs to record calls of an overload: Note [Known calls] in dispatch.cpp.

    The tuple is empty if calls are not recorded. Return None for an operator that changes an argument.
    """
    if overload._own_schema is not None and overload._own_schema.is_mutable:
        return None
    if not _is_recorded(overload):
        return ()
    keeps_result = _derivatives.reads_results(overload)
    return _node_name(overload), _kind(overload), functools.partial(_gradients, overload), keeps_result


def _gradients(
    overload: OpOverload,
    values: tuple[Any, ...],
    gradients: tuple[Any, ...],
    saved: tuple[Any, ...],
    needs: tuple[bool, ...],
) -> tuple[Any, ...]:
    """Return the gradients of the arguments. ``values`` are the arguments, with None instead of tensors."""
    tensors = iter(saved)
    args = tuple(next(tensors) if value is None else value for value in values)
    results = [next(tensors, None)]
    inputs = saved[: values.count(None)]
    return _derivatives.gradients(_derivatives.Differentiated(overload, args, {}, results, gradients, needs, inputs))


def _node_name(overload: OpOverload) -> str:
    return "".join(part.capitalize() for part in overload._opname.strip("_").split("_"))


def _kind(overload: OpOverload) -> str:
    return "view" if overload.is_view else "fresh"


def _copy_before_change(overload: OpOverload, args: tuple[Any, ...]) -> tuple[Tensor, tuple[Any, ...]]:
    """Return the first argument, which the operator will change, and the arguments with a copy in its place.

    Raises: RuntimeError if the tensor may not be changed in place.
    """
    tensor = args[0]
    _core._begin_inplace(tensor, overload._opname)
    before = tensor.detach().clone().requires_grad_(tensor.requires_grad) if tensor.is_floating_point() else tensor
    return tensor, (before, *args[1:])


def _record_call(
    overload: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any, changed: Tensor | None
) -> Any:
    """Record a call as a node of the autograd graph, and return its result as outputs of the node."""
    leaves, structure = _pytree.tree_flatten((args, kwargs))
    positions = [i for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
    inputs = tuple(leaves[i] for i in positions)
    values: list[Any] = [None if isinstance(leaf, Tensor) else leaf for leaf in leaves]
    results = result if isinstance(result, (tuple, list)) else (result,)
    detached = tuple(_detach_if_input(each, inputs) for each in results) if changed is None else results
    count = len(inputs)

    def derivative(gradients: tuple[Any, ...], saved: tuple[Any, ...], needs: tuple[bool, ...]) -> tuple[Any, ...]:
        filled = list(values)
        for i, tensor in zip(positions, saved[:count], strict=True):
            filled[i] = tensor
        given, named = _pytree.tree_unflatten(filled, structure)
        outputs = iter(saved[count:])
        again = [next(outputs, None) if each is _TENSOR_PLACEHOLDER else each for each in kinds]
        call = _derivatives.Differentiated(overload, given, named, again, gradients, needs, saved[:count])
        return _derivatives.gradients(call)

    kinds = [_TENSOR_PLACEHOLDER if isinstance(each, Tensor) else each for each in detached]
    tensors = tuple(each for each in detached if isinstance(each, Tensor))
    if not tensors:
        return result
    kind = "in_place" if changed is not None else _kind(overload)
    own_inputs = inputs if changed is None else (changed, *inputs[1:])
    saved_results = tensors if _derivatives.reads_results(overload) else ()
    _core._recorded(_node_name(overload), tensors, own_inputs, (*inputs, *saved_results), derivative, kind)
    if isinstance(result, list):
        return list(detached)
    return tuple(detached) if isinstance(result, tuple) else detached[0]


_TENSOR_PLACEHOLDER = object()  # stands for a tensor among the results


def _detach_if_input(result: Any, inputs: tuple[Any, ...]) -> Any:
    """Return ``result``, detached if it is one of the inputs, so that it can get a new grad_fn."""
    return result.detach() if any(result is each for each in inputs) else result
