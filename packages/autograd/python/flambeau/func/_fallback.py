"""Operators without a rule: those written in Python are run on placeholders, others once for each element."""

import warnings
from typing import Any

import flambeau
from flambeau import Tensor
from flambeau._core import _call_with_all
from flambeau.func._placeholders import BatchedTensor
from flambeau.func._rules import Answer, Call, RefusedError, UnbatchableError, applied

SLOW = (
    "There is a performance drop because vmap has no batching rule for {name}: it runs once for each element of the "
    "batch."
)


def for_operator(callable_: Any, name: str) -> Answer:
    """What answers for an operator of that name from now on."""
    if name.endswith("_") and not name.endswith("__") and (fresh := _fresh_form(name[:-1])) is not None:
        return lambda _, values, level: values[0].copy_(_call_with_all(fresh, values))
    loop = _warning_loop(name)
    definition = getattr(callable_, "__wrapped__", None) if hasattr(callable_, "parameters") else None
    if definition is None:
        return loop
    starred = bool(definition.__code__.co_flags & 0x04)

    def run(callable_: Any, values: tuple[Any, ...], level: int) -> Any:
        try:
            return _spread(definition, callable_.parameters, values, starred)
        except UnbatchableError:
            return loop(callable_, values, level)

    return run


def _fresh_form(name: str) -> Any:
    """The operator whose in-place form takes the same arguments."""
    found = getattr(flambeau, name, None) or getattr(Tensor, name, None)
    return found if hasattr(found, "parameters") else None


def _spread(definition: Any, names: tuple[str, ...], values: tuple[Any, ...], starred: bool) -> Any:
    code = definition.__code__
    positional = values[: code.co_argcount]
    rest = dict(zip(names[code.co_argcount :], values[code.co_argcount :], strict=True))
    spread: tuple[Any, ...] = ()
    if starred:
        given = rest.pop(code.co_varnames[code.co_argcount + code.co_kwonlyargcount])
        spread = tuple(given) if isinstance(given, (tuple, list)) else (given,)
    return definition(*positional, *spread, **rest)


def or_loop(name: str, rule: Answer) -> Answer:
    """A rule that may say that only a loop can do what it is asked for."""
    loop = _warning_loop(name)

    def run(callable_: Any, values: tuple[Any, ...], level: int) -> Any:
        try:
            return rule(callable_, values, level)
        except RefusedError:
            raise
        except UnbatchableError:
            return loop(callable_, values, level)

    return run


warned: set[str] = set()  # the operators that the user has been told about


def _warning_loop(name: str) -> Answer:
    looped = applied(loop)

    def run(callable_: Any, values: tuple[Any, ...], level: int) -> Any:
        if name not in warned:
            warned.add(name)
            warnings.warn(SLOW.format(name=name), stacklevel=4)
        return looped(callable_, values, level)

    return run


def loop(call: Call) -> Any:
    """The operator for each element of the batch."""
    name, target = call.operator.__name__, call.values[0]
    if call.size == 0:
        raise RuntimeError(f"vmap: {name} has no batching rule, and the batch is empty")
    arguments = [element(call.values, call.level, i) for i in range(call.size)]
    if name.endswith("_") and call.is_batched(target):
        changed = target.value.clone()  # so that an error for one element leaves the others as they are
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
    """One element of every batch of that level among the arguments."""
    if type(x) is BatchedTensor:
        return x.value[index] if x.level == level else x
    if isinstance(x, (tuple, list)) and type(x) in (tuple, list):
        return type(x)([element(item, level, index) for item in x])
    return x


def stacked(name: str, results: list[Any]) -> Any:
    """The results for all elements as values of a batch."""
    first = results[0]
    if isinstance(first, Tensor):
        if any(r.shape != first.shape for r in results):
            raise RuntimeError(
                f"vmap: {name} gave results of different shapes for the elements of the batch: "
                f"{sorted({tuple(r.shape) for r in results})}"
            )
        return flambeau.stack(results)
    if isinstance(first, (tuple, list)):
        items = [stacked(name, list(part)) for part in zip(*results, strict=True)]
        return type(first)(*items) if hasattr(first, "_fields") else type(first)(items)
    if any(r != first for r in results):
        raise UnbatchableError(f"vmap: {name} gave different results that are no tensors for the elements of the batch")
    return first
