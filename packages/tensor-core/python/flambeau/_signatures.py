"""Signatures of the registry's functions, for ``inspect.signature`` and editors."""

import ast
import inspect
from collections.abc import Callable
from typing import Any


def parse(text: str) -> inspect.Signature:
    """Return the signature from a string such as ``(input, dim=None, *, dtype=None)``."""
    function = ast.parse(f"def f{text}: ...").body[0]
    assert isinstance(function, ast.FunctionDef)
    arguments = function.args
    parameters = []
    first_default = len(arguments.args) - len(arguments.defaults)
    for i, argument in enumerate(arguments.args):
        default = (
            ast.literal_eval(arguments.defaults[i - first_default]) if i >= first_default else inspect.Parameter.empty
        )
        parameters.append(inspect.Parameter(argument.arg, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default))
    if arguments.vararg:
        parameters.append(inspect.Parameter(arguments.vararg.arg, inspect.Parameter.VAR_POSITIONAL))
    for argument, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        default = inspect.Parameter.empty if value is None else ast.literal_eval(value)
        parameters.append(inspect.Parameter(argument.arg, inspect.Parameter.KEYWORD_ONLY, default=default))
    return inspect.Signature(parameters)


def of(function: Callable[..., Any], out: bool) -> inspect.Signature:
    """Return the signature of an operator written in Python, with the ``out`` argument that the registry adds."""
    signature = inspect.signature(function)
    if not out:
        return signature
    extra = inspect.Parameter("out", inspect.Parameter.KEYWORD_ONLY, default=None)
    return signature.replace(parameters=[*signature.parameters.values(), extra])
