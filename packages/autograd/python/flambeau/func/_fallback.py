"""Operators without a batching rule.

An operator that is written in Python runs on placeholders. Any other operator runs once per element of the batch.
"""

import warnings
from typing import Any

import flambeau
from flambeau import Tensor
from flambeau._core import _call_with_all
from flambeau.func._placeholders import BatchedTensor
from flambeau.func._rules import Call, Handler, UnbatchableError, UnsupportedByVmapError, applied

SLOW = (
    "There is a performance drop because vmap has no batching rule for {name}: it runs once for each element of the "
    "batch."
)


def for_operator(callable_: Any, name: str) -> Handler:
    """Return the implementation of an operator that has no batching rule."""
    if name.endswith("_") and not name.endswith("__") and (fresh := _out_of_place_form(name[:-1])) is not None:
        return lambda _, values, level: values[0].copy_(_call_with_all(fresh, values))
    loop = _warning_loop(name)
    definition = getattr(callable_, "__wrapped__", None) if hasattr(callable_, "parameters") else None
    if definition is None:
        return loop
    starred = bool(definition.__code__.co_flags & 0x04)

    def run(callable_: Any, values: tuple[Any, ...], level: int) -> Any:
        try:
            return _split_arguments(definition, callable_.parameters, values, starred)
        except UnbatchableError:
            return loop(callable_, values, level)

    return run


def _out_of_place_form(name: str) -> Any:
    """Return the out-of-place operator ``name``, or None if it does not exist."""
    function = getattr(flambeau, name, None) or getattr(Tensor, name, None)
    return function if hasattr(function, "parameters") else None


def _split_arguments(definition: Any, names: tuple[str, ...], values: tuple[Any, ...], starred: bool) -> Any:
    code = definition.__code__
    positional = values[: code.co_argcount]
    rest = dict(zip(names[code.co_argcount :], values[code.co_argcount :], strict=True))
    spread: tuple[Any, ...] = ()
    if starred:
        variable = rest.pop(code.co_varnames[code.co_argcount + code.co_kwonlyargcount])
        spread = tuple(variable) if isinstance(variable, (tuple, list)) else (variable,)
    return definition(*positional, *spread, **rest)


def or_loop(name: str, rule: Handler) -> Handler:
    """Return a rule that falls back to a loop if it raises UnbatchableError."""
    loop = _warning_loop(name)

    def run(callable_: Any, values: tuple[Any, ...], level: int) -> Any:
        try:
            return rule(callable_, values, level)
        except UnsupportedByVmapError:
            raise
        except UnbatchableError:
            return loop(callable_, values, level)

    return run


warned: set[str] = set()  # names of the operators for which the warning was issued


def _warning_loop(name: str) -> Handler:
    looped = applied(loop)

    def run(callable_: Any, values: tuple[Any, ...], level: int) -> Any:
        if name not in warned:
            warned.add(name)
            warnings.warn(SLOW.format(name=name), stacklevel=4)
        return looped(callable_, values, level)

    return run


def loop(call: Call) -> Any:
    """Run the operator once per element of the batch."""
    name, target = call.operator.__name__, call.values[0]
    if call.size == 0:
        raise RuntimeError(f"vmap: {name} has no batching rule, and the batch is empty")
    arguments = [element(call.values, call.level, i) for i in range(call.size)]
    if name.endswith("_") and call.is_batched(target):
        changed = target.value.clone()  # a clone, so that the target is unchanged if the operator raises an error
        for i, (_, *others) in enumerate(arguments):
            _run(call, (changed[i], *others))
        target.value.copy_(changed)
        return target
    results = [_run(call, values) for values in arguments]
    if results[0] is None or name.endswith("_"):
        return target
    return stacked(name, results)


def _run(call: Call, values: tuple[Any, ...]) -> Any:
    return call.run(values) if hasattr(call.operator, "parameters") else call.operator(*values)


def element(x: Any, level: int, index: int) -> Any:
    """Return ``x`` with each batch of ``level`` replaced with its element ``index``."""
    if type(x) is BatchedTensor:
        return x.value[index] if x.level == level else x
    if isinstance(x, (tuple, list)) and type(x) in (tuple, list):
        return type(x)([element(item, level, index) for item in x])
    return x


def stacked(name: str, results: list[Any]) -> Any:
    """Stack the results of all elements of the batch. A result that is not a tensor must be the same for all."""
    first = results[0]
    if isinstance(first, Tensor):
        if any(r.shape != first.shape for r in results):
            shapes = ", ".join(str(list(shape)) for shape in sorted({tuple(r.shape) for r in results}))
            raise RuntimeError(f"vmap: {name} gave results of different shapes for the elements of the batch: {shapes}")
        return flambeau.stack(results)
    if isinstance(first, (tuple, list)):
        items = [stacked(name, list(part)) for part in zip(*results, strict=True)]
        return type(first)(*items) if hasattr(first, "_fields") else type(first)(items)
    if any(r != first for r in results):
        raise UnbatchableError(
            f"vmap: {name} must return the same value for all elements of the batch if it is not a tensor, got "
            f"{first!r} and others"
        )
    return first
