"""Text format of programs. Note [Programs] in flambeau/program.h."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import flambeau
from flambeau._tracing._recorder import Call, Value
from flambeau._tracing._structure import leaves

from ._operators import text_of
from ._trace import Trace


def _shown(value: Any) -> str:
    """Format an argument for the program's text. Raises TypeError for other types."""
    if isinstance(value, Value):
        return value.name
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_shown, value))}]"
    if isinstance(value, str):
        return text_of(value)
    if value is None or isinstance(value, bool | int | float):
        return repr(value)
    if isinstance(value, complex):
        return f"complex({value.real!r}, {value.imag!r})"
    if isinstance(value, flambeau.dtype | flambeau.memory_format):
        return str(value).rpartition(".")[2]
    if isinstance(value, flambeau.device):
        return str(value)
    if hasattr(value, "__index__"):
        return repr(operator.index(value))
    if hasattr(value, "__float__"):
        return repr(float(value))
    raise TypeError(type(value).__name__)


@dataclass
class Text:
    """Lines of a program."""

    lines: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)  # calls that no program can make


def written(trace: Trace, names: Sequence[str], outputs: Sequence[Any], modules: Mapping[int, str]) -> str:
    """Return the text of a program.

    Args:
        names: names of the inputs.
        outputs: tensors and numbers, in order.
        modules: dictionary from ids of modules to their paths.
    Raises: NotImplementedError that lists every call that a program cannot make, with its line.
    """
    trace.open = False
    results = [trace.encoded(value) for value in outputs]
    kept, _ = needed_calls(trace.calls, {value.name for value in leaves(results, Value)})
    inputs = [(value.name, name) for value, name in zip(trace.inputs, names, strict=True)]
    return text_of_calls(inputs, kept, results, modules)


def needed_calls(calls: Sequence[Call], used: set[str]) -> tuple[list[Call], set[str]]:
    """Return the calls that have side effects or compute needed values, and the names of all needed values.

    Args:
        used: names of the values that are needed after the calls.
    """
    kept, used = [], set(used)
    for call in reversed(calls):
        if call.lasting or any(result.name in used for result in call.results):
            kept.append(call)
            used |= {value.name for value in leaves(call.arguments, Value)}
    return kept[::-1], used


def text_of_calls(
    inputs: Sequence[tuple[str, str]],
    calls: Sequence[Call],
    results: Sequence[Any],
    modules: Mapping[int, str],
    first: Sequence[str] = (),
) -> str:
    """Return the text of a program.

    Args:
        inputs: pairs of a value such as ``%0`` and the name of the input.
        first: lines to insert before the calls.
    """
    text = Text([*(f"input {value} {name}" for value, name in inputs), *first])
    for call in calls:
        _add_line(text, call, modules)
    if text.missing:
        listed = "\n".join(f"  {line}" for line in dict.fromkeys(text.missing))
        raise NotImplementedError(f"flambeau.jit.trace cannot make a program with these calls:\n{listed}")
    return "\n".join([*text.lines, f"return {', '.join(map(_shown, results))}".rstrip(), ""])


def _add_line(text: Text, call: Call, modules: Mapping[int, str]) -> None:
    module = call.location.module
    path = modules.get(id(module), "") if module is not None else ""
    where = (f"{path}, " if path else "") + call.location.line.rpartition("/")[2]
    try:
        arguments = ", ".join(map(_shown, call.arguments))
    except TypeError as error:
        call.missing = call.missing or f"an argument of type {error}"
    if call.missing:
        text.missing.append(f"{call.name} ({call.missing}), {path + ', ' if path else ''}{call.location.line}")
        return
    assigned = f"{', '.join(result.name for result in call.results)} = " if call.results else ""
    text.lines.append(f"{assigned}{call.name}({arguments})  # {where}")
