"""Execution of a program call by call, for vmap, modes, autocast and tensor subclasses."""

from __future__ import annotations

import functools
import inspect
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flambeau
from flambeau import Tensor, _core
from flambeau._tracing._calls import DROPPED, signature
from flambeau._tracing._numbers import ARITHMETIC
from flambeau.library._library import definition_of

_TOKENS = re.compile(r"""'(?:[^'\\]|\\.)*' | @'(?:[^'\\]|\\.)*' | [\[\](),=\#] | [^\s\[\](),='\#]+""", re.VERBOSE)
_NUMBERS: dict[str, Callable[..., Any]] = {**ARITHMETIC, "neg": operator.neg, "int": int}


def replay(text: str, inputs: Sequence[Any], state: Sequence[Any], names: Sequence[str]) -> tuple[Any, ...]:
    """Compute the outputs of a program by calling its operators from Python.

    Args:
        text: text of the program.
        inputs: the values of the inputs.
        state, names: parameters, buffers and constants, and their names without the leading ``@`` of the text.
    """
    values: dict[str, Any] = {f"@{name}": tensor for name, tensor in zip(names, state, strict=True)}
    remaining_inputs = iter(inputs)
    for line in text.splitlines():
        tokens = tokens_of(line)
        if tokens[0] == "input":
            values[tokens[1]] = next(remaining_inputs)
        elif tokens[0] == "return":
            return tuple(argument_list(tokens[1:], values))
        else:
            _run(tokens, values)
    return ()


@functools.lru_cache(4096)
def tokens_of(line: str) -> list[str]:
    """Split a line of a program into tokens, without the comment."""
    tokens = []
    for token in _TOKENS.findall(line):
        if token == "#":
            break
        tokens.append(token)
    return tokens


def _run(tokens: list[str], values: dict[str, Any]) -> None:
    results, name, arguments = parsed_call(tokens, values)
    values.update(named_results(results, name, call(name, arguments)))


def named_results(results: list[str], name: str, computed: Any) -> dict[str, Any]:
    """Return the values that a call of the operator ``name`` has computed, by the names of the results."""
    if not results:
        return {}
    is_one = name == "repeated" or not isinstance(computed, tuple | list)
    return dict(zip(results, (computed,) if is_one else computed, strict=True))


def parsed_call(tokens: list[str], values: Mapping[str, Any]) -> tuple[list[str], str, list[Any]]:
    """Return the names of the results, the name of the operator and the arguments of a call."""
    start = tokens.index("(")
    results = [token for token in tokens[: start - 1] if token.startswith("%")]
    return results, tokens[start - 1], argument_list(tokens[start + 1 : -1], values)


def argument_list(tokens: list[str], values: Mapping[str, Any]) -> list[Any]:
    """Return the values of tokens that are separated by commas. Brackets form nested lists."""
    stack: list[list[Any]] = [[]]
    for token in tokens:
        if token == "[":
            stack.append([])
        elif token == "]":
            done = stack.pop()
            stack[-1].append(done)
        elif token == "(":  # start of complex(re, im)
            stack[-1].pop()
            stack.append([])
        elif token == ")":
            done = stack.pop()
            stack[-1].append(complex(*done))
        elif token != ",":
            stack[-1].append(_value(token, values))
    return stack[0]


def _unquoted(token: str) -> str:
    return re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], token[1:-1])


def _value(token: str, values: Mapping[str, Any]) -> Any:
    """Return the value of a token in the text of a program."""
    if token.startswith("%"):
        return values[token]
    if token.startswith("@"):
        return values["@" + (_unquoted(token[1:]) if token.startswith("@'") else token[1:])]
    if token.startswith("'"):
        return _unquoted(token)
    if token in ("None", "True", "False"):
        return {"None": None, "True": True, "False": False}[token]
    if re.fullmatch(r"-?\d+", token):
        return int(token)
    if re.fullmatch(r"-?(inf|nan|[\d.]+(e[+-]?\d+)?)", token):
        return float(token)
    if re.fullmatch(r"(cpu|cuda|meta)(:\d+)?", token):
        return flambeau.device(token)
    return token if token == "complex" else getattr(flambeau, token)  # a dtype or a memory format


def call(name: str, arguments: list[Any]) -> Any:
    """Call an operator of a program."""
    if name.startswith("require_"):
        return _require(name, *arguments)
    if name.startswith("number_"):
        return _NUMBERS[name.removeprefix("number_")](*arguments)
    if name in OWN:
        return OWN[name](*arguments)
    function, positional, named = python_call(name, arguments)
    return function(*positional, **named)


def _require(name: str, a: Any, b: Any, text: str) -> None:
    if not getattr(operator, name.removeprefix("require_"))(a, b):
        raise RuntimeError(
            f"the program was traced with inputs for which {text}; now the two values are {a} and {b}. Trace the model "
            "with inputs like these"
        )


def _check_input(tensor: Any, name: str, dims: int) -> None:
    if tensor.dim() != dims:
        raise RuntimeError(
            f"the program was traced with a tensor of {dims} dimensions for '{name}', got one of shape "
            f"{list(tensor.shape)}"
        )


def _reject_derivative(tensors: list[Any], name: str) -> None:
    if flambeau.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        raise NotImplementedError(f"a program cannot compute the gradient of {name}: run it under flambeau.no_grad()")


def _index(tensor: Any, indices: list[Any]) -> Any:
    key = tuple(slice(None) if index is None else index for index in indices)
    return tensor[key if len(key) > 1 else key[0]]


def _assign_all(tensor: Any, value: Any) -> None:
    tensor[...] = value


def _to(tensor: Any, dtype: Any, device: Any, copy: bool, memory_format: Any) -> Any:
    options = {"dtype": dtype, "device": device, "copy": copy or None, "memory_format": memory_format}
    return tensor.to(**{key: value for key, value in options.items() if value is not None})


def _slice(tensor: Any, dim: int, start: Any, stop: Any, step: int) -> Any:
    return tensor[(slice(None),) * dim + (slice(start, stop, step),)]


def _write_out(out: Any, result: Any) -> Any:
    return out.resize_(result.shape).copy_(result)


# Functions for operators that have another name in Python, or that need several calls in Python.
OWN: dict[str, Callable[..., Any]] = {
    "check_input": _check_input,
    "size": lambda tensor, dim: tensor.size(dim),
    "stride": lambda tensor, dim: tensor.stride(dim),
    "numel": lambda tensor: tensor.numel(),
    "item": lambda tensor: tensor.item(),
    "without_derivative": _reject_derivative,
    "index": _index,
    "repeated": lambda items, times: items * times,
    "index_put_": lambda tensor, indices, values, accumulate: tensor.index_put_(
        tuple(slice(None) if i is None else i for i in indices), values, accumulate
    ),
    "set_at": _assign_all,
    "to": _to,
    "slice": _slice,
    "alias": lambda tensor: tensor[...],
    "write_out": _write_out,
    "clone": lambda tensor, form: tensor.clone() if form is None else tensor.clone(memory_format=form),
}


def python_call(name: str, arguments: list[Any]) -> tuple[Callable[..., Any], list[Any], dict[str, Any]]:
    """Return the function, the positional and the keyword arguments of a call, without arguments equal to defaults."""
    if "::" in name:
        definition = definition_of(name)
        count = len(arguments) - len(definition._keywords)
        return definition, arguments[:count], dict(zip(definition._keywords, arguments[count:], strict=True))
    function: Any = getattr(_core, name, None) or getattr(Tensor, name)
    positional: list[Any] = []
    named: dict[str, Any] = {}
    known = signature(function)
    assert known is not None, name
    parameters = [p for p in known.parameters.values() if p.name not in DROPPED]
    for parameter, value in zip(parameters, arguments, strict=True):
        if parameter.kind is parameter.VAR_POSITIONAL:
            positional.extend(value or [()])
        elif _is_default(parameter, value):
            continue
        elif parameter.kind is parameter.KEYWORD_ONLY or len(positional) < parameters.index(parameter):
            named[parameter.name] = value
        else:
            positional.append(value)
    return function, positional, named


def _is_default(parameter: inspect.Parameter, value: Any) -> bool:
    if parameter.kind is parameter.POSITIONAL_ONLY:
        return False
    return type(value) is type(parameter.default) and bool(value == parameter.default)
