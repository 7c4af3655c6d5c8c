"""Interception of operator calls: names, arguments and decompositions."""

from __future__ import annotations

import functools
import inspect
from abc import abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

from flambeau import _core
from flambeau._naming import own_module
from flambeau._operator import OPERATOR_TYPES
from flambeau.overrides import TorchFunctionMode

from . import _decomposed_layers as _decomposed_layers  # imported for its registrations
from ._decompositions import DECOMPOSITIONS
from ._numbers import TRACED, plain
from ._structure import holds_batches, replaced

Rule = Callable[..., Any]  # called with the trace, the intercepted function and its arguments by name
# Parameters that affect how a result is stored, not its value.
DROPPED = {"layout", "requires_grad", "pin_memory", "out", "generator", "non_blocking"}
_PREFIXES = {
    "flambeau.linalg": "linalg_",
    "flambeau.nn.functional": "nn_",
    "flambeau.nn.grad": "nn_",
    "flambeau._core": "nn_",  # operators of nn that exist before nn is imported
    "flambeau.special": "special_",
}
# Aliases of operators.
ALIASES: dict[str, str] = {alias: row["name"] for row in _core.pointwise_rows() for alias in row["aliases"]}
ALIASES |= {"subtract": "sub", "divide": "div", "clip": "clamp", "expit": "sigmoid", "ger": "outer", "vdot": "dot"}
ALIASES |= {"row_stack": "vstack", "native_channel_shuffle": "channel_shuffle", "adjoint": "mT", "nelement": "numel"}
ALIASES |= {"unsafe_chunk": "chunk", "unsafe_split": "split", "concat": "cat", "concatenate": "cat"}
ALIASES |= {"swapaxes": "transpose", "swapdims": "transpose", "moveaxis": "movedim"}
_WITHOUT_EFFECT = {"requires_grad_", "detach_", "retain_grad", "register_hook", "share_memory_", "pin_memory"}
# Operators that return a Python object instead of a tensor, on which a program may branch.
_READS = {"item", "tolist", "numpy", "equal", "allclose", "is_nonzero", "__array__", "__contains__", "__bool__"}
_READS |= {"__float__", "__int__", "__index__", "__complex__", "__dlpack__", "to_dlpack"}


class CallMode(TorchFunctionMode):
    """Mode that intercepts every call and decomposes it down to supported operators.

    Attributes:
        rules: functions ``(mode, func, **arguments)`` that handle the calls of some names.
        opening: name of the call that is currently being decomposed, or an empty string.
    """

    _handles_functions = False

    rules: ClassVar[Mapping[str, Rule]] = {}
    opening = ""

    @abstractmethod
    def operator(self, func: Any, name: str, args: Any, kwargs: Any) -> Any:
        """Handle the call of an operator that is not decomposed; return its result."""

    def has(self, name: str) -> bool:
        """Return True if an operator of this name is handled without decomposition."""
        return False

    def opened(self, func: Any, name: str, args: Any, kwargs: Any) -> Callable[..., Any] | None:
        """Return the function that decomposes a call of ``func``, or None if `operator` handles the call."""
        return None if self.has(name) else DECOMPOSITIONS.get(name) or getattr(func, "__wrapped__", None)

    def device_of(self, arguments: Any) -> AbstractContextManager[Any]:
        """Return the device context for tensors that a decomposition creates."""
        return nullcontext()

    def custom(self, definition: Any, func: Any, args: Any, kwargs: Any) -> Any:
        """Handle the call of an operator of `flambeau.library`, with a value for every parameter."""
        return func(*args, **kwargs)

    def in_place(self, func: Any, name: str, args: Any, kwargs: Any) -> Any:
        """Handle a call that changes its first argument."""
        return self.operator(func, name, args, kwargs)

    def written_out(self, func: Any, name: str, args: Any, kwargs: Any) -> Any:
        """Handle a call whose result is written to ``out``."""
        return self.operator(func, name, args, kwargs)

    def read(self, name: str, arguments: Any) -> None:
        """Handle a call that reads elements of tensors into Python."""

    def read_call(self, func: Any, name: str, args: Any, kwargs: Any) -> Any:
        """Handle a call that reads elements of tensors into Python, with `read`, and return its result."""
        self.read(name, [args, kwargs])
        return run(func, args, kwargs)

    def name_of(self, func: Any) -> str:
        """Return the name of an operator, attribute or function under which `rules` and decompositions list it."""
        name: str = func.__name__
        if name in ("__get__", "__set__"):
            attribute = func.__self__.__name__
            full = f"{attribute}.{name}"
            return attribute if full not in self.rules and self.has(attribute) else full
        if type(func) not in OPERATOR_TYPES:
            return name
        prefixed = _PREFIXES.get(own_module(func), "") + name
        for known in (prefixed, name, ALIASES.get(name, name)):
            if known in self.rules or self.has(known) or known in DECOMPOSITIONS:
                return known
        return prefixed

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if holds_batches(args, kwargs):
            return NotImplemented  # batched tensors: the rules of func.vmap call operators of plain tensors
        if (definition := getattr(func, "definition", None)) is not None:
            return self.custom(definition, func, args, kwargs)
        name = self.name_of(func)
        if name in _WITHOUT_EFFECT:
            return run(func, args, kwargs)
        if kwargs.get("out") is not None:
            return self.written_out(func, name, args, kwargs)
        if name in self.rules:
            return self.rules[name](self, func, **bound(func, args, kwargs))
        if name in _READS:
            return self.read_call(func, name, args, kwargs)
        if (function := self.opened(func, name, args, kwargs)) is not None:
            outer, self.opening = self.opening, self.opening or own_name(func)
            try:
                with self, self.device_of([*args, *kwargs.values()]):
                    return function(*_unpack_sequence(function, args), **kwargs)
            finally:
                self.opening = outer
        if name == "__setitem__" or (name.endswith("_") and not name.endswith("__")):
            return self.in_place(func, name, args, kwargs)
        return self.operator(func, name, args, kwargs)


def run(func: Any, args: Any, kwargs: Any) -> Any:
    """Call a function with plain numbers instead of traced ones."""
    return func(*replaced(args, TRACED, plain), **replaced(kwargs, TRACED, plain))


def own_name(func: Any) -> str:
    """Return the name of a function or attribute as in the traced code, for messages."""
    return str((func.__self__ if func.__name__ == "__get__" else func).__name__)


def draws(func: Any) -> bool:
    """Return True if an operator draws random numbers."""
    return "generator" in getattr(func, "parameters", ())


@functools.lru_cache(None)
def signature(func: Any) -> inspect.Signature | None:
    """Return the signature of a function, or None if it has none."""
    try:
        return inspect.signature(func)
    except (TypeError, ValueError):
        return None


def bound(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments by parameter name, including defaults; the value of a ``*args`` parameter is a list."""
    if func.__name__ in ("__get__", "__set__"):
        return dict(zip(("input", "value"), args, strict=False))
    parameters = signature(func)
    if parameters is None:
        return {str(i): a for i, a in enumerate(args)} | kwargs
    args, kwargs = _unpack_keyword(parameters, args, kwargs)
    binding = parameters.bind(*args, **kwargs)
    binding.apply_defaults()
    arguments = dict(binding.arguments)
    if arguments.get("out") is None:
        arguments.pop("out", None)
    for name, parameter in parameters.parameters.items():
        if parameter.kind is parameter.VAR_POSITIONAL:
            values = arguments[name]
            single = len(values) == 1 and isinstance(values[0], tuple | list)
            arguments[name] = list(values[0] if single else values)
    return arguments


def _unpack_keyword(
    parameters: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments with the value of a ``*args`` parameter as the last positional one.

    Operators accept it as a keyword, as in ``permute(dims=(1, 0))``.
    """
    kinds = [parameter.kind for parameter in parameters.parameters.values()]
    variadic = inspect.Parameter.VAR_POSITIONAL
    if not kwargs or variadic not in kinds or kinds.index(variadic) != len(args):
        return args, kwargs
    name = list(parameters.parameters)[len(args)]
    named = [key for key in kwargs if key == name or key not in parameters.parameters]
    if len(named) != 1:
        return args, kwargs
    return (*args, kwargs[named[0]]), {key: value for key, value in kwargs.items() if key not in named}


def _unpack_sequence(function: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return ``args``, with a single sequence unpacked if ``function`` has a ``*args`` parameter."""
    code = getattr(getattr(function, "func", function), "__code__", None)
    if code is None or not code.co_flags & inspect.CO_VARARGS or len(args) != code.co_argcount + 1:
        return args
    last = args[-1]
    return (*args[:-1], *last) if isinstance(last, tuple | list) else args
