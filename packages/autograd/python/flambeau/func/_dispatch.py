"""Dispatch of calls with placeholders in their arguments. Note [Placeholders]."""

import functools
from typing import Any

from flambeau import _core, _naming
from flambeau.func import _batched_form, _fallback
from flambeau.func._placeholders import BatchedTensor, highest_level
from flambeau.func._rules import Handler, applied, compositions, rules

_resolved: dict[Any, Handler] = {}  # cache: implementation of each callable


def name_of(callable_: Any) -> str:
    """Return the key of a callable in the table of rules: ``linalg.det``, or ``T.__get__`` for an attribute."""
    descriptor = getattr(callable_, "__self__", None)
    if descriptor is not None and hasattr(descriptor, "__objclass__"):
        return f"{descriptor.__name__}.{callable_.__name__}"
    module = _naming.own_module(callable_).removeprefix("flambeau").removeprefix(".")
    module = module.removeprefix("nn.functional")  # the operators of nn.functional and of flambeau have the same rules
    return f"{module}.{callable_.__name__}" if module else str(callable_.__name__)


def _resolve(callable_: Any) -> Handler:
    """Return the function that computes an operator for batches: a rule, a composition or a loop."""
    from flambeau.func._batching import random  # the first call inside a vmap imports the modules of all rules

    if (batched := getattr(callable_, "batched", None)) is not None:
        return applied(_batched_form.nested if batched is callable_ else _batched_form.rule_of(batched))
    if (definition := getattr(callable_, "definition", None)) is not None:  # an operator of flambeau.library
        return lambda given, values, level: definition._run_batched(values, getattr(given, "keywords", {}))
    name = name_of(callable_)
    if "generator" in getattr(callable_, "parameters", ()):
        return random.drawn
    if name in compositions:
        function = compositions[name]
        if hasattr(callable_, "parameters"):
            return _fallback.or_loop(name, lambda _, values, level: function(*values))
        return lambda given, values, level: function(*values, **getattr(given, "keywords", {}))
    if name in rules:
        return _fallback.or_loop(name, applied(rules[name]))
    return _fallback.for_operator(callable_, name)


OUT = (
    "vmap: {name}(..., out=...) is not possible inside of a mapped function; use the form without out= and copy_() its "
    "result"
)


def handle_call(callable_: Any, values: tuple[Any, ...], out: Any) -> Any:
    """Compute a call with placeholders in its arguments, or a call of an operator that draws random numbers."""
    resolved = _resolved.get(callable_)
    if resolved is None:
        resolved = _resolved[callable_] = _resolve(callable_)
    if out is None:
        return resolved(callable_, values, highest_level(values))
    if hasattr(callable_, "parameters"):
        raise RuntimeError(OUT.format(name=name_of(callable_)))
    # For a callable that is not an operator, ``out`` contains the keyword arguments.
    return resolved(functools.partial(callable_, **out), values, highest_level((*values, *out.values())))


_core._define_placeholder(BatchedTensor, handle_call)
