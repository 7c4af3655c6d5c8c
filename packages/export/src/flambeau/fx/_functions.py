"""Interception of functions that are called with traced values.

Note [Traced functions]: an operator of flambeau first consults the active `TorchFunctionMode`, then
``__torch_function__`` of its arguments' classes. Tracing enters such a mode. Functions that are written in Python, such
as ``nn.functional.dropout``, call operators and have no such hook, because it would slow every call down. During
tracing, their code objects are replaced. The replacement looks for traced values among the arguments. If it finds one,
it adds one node for the call; otherwise it runs the original code. So tracing works no matter how a program has
imported the function. After tracing, the original code objects are restored, so calls have no overhead.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any

import flambeau
from flambeau import Tensor
from flambeau._naming import own_module
from flambeau._operator import OPERATOR_TYPES
from flambeau._tracing._calls import signature
from flambeau.nn import functional, init
from flambeau.overrides import TorchFunctionMode

from .node import map_aggregate

if TYPE_CHECKING:
    from .proxy import Proxy

# Functions that are operators here but written in Python in PyTorch, or the reverse. PyTorch's Python functions pass
# all optional arguments by keyword, including defaults.
_NORMALIZED_SIGNATURES = {
    *(functional.max_pool1d, functional.max_pool2d, functional.max_pool3d, functional.interpolate, functional.pad),
    *(functional.max_unpool1d, functional.max_unpool2d, functional.max_unpool3d, functional.grid_sample),
    *(functional.glu, flambeau.split, flambeau.stft, flambeau.istft, flambeau.norm, flambeau.cdist),
}
_NO_NORMALISATION = {"one_hot", "scaled_dot_product_attention"}


def find_proxy(*values: Any) -> Proxy | None:
    """Return a proxy in nested tuples, lists, dictionaries and slices, or None."""
    from .proxy import Proxy

    found: list[Proxy] = []

    def collect(value: Any) -> Any:
        if isinstance(value, Proxy):
            found.append(value)
        return value

    map_aggregate(values, collect)
    return found[-1] if found else None


class ProxyDispatchMode(TorchFunctionMode):
    """Mode that turns each call of an operator with a `Proxy` among its arguments into a node."""

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        proxy = find_proxy(args, kwargs or {})
        if proxy is None:
            return func(*args, **(kwargs or {}))
        return type(proxy).__torch_function__(func, (type(proxy),), args, kwargs)


def is_only_method(func: Any, args: tuple[Any, ...]) -> bool:
    """Return True if a call becomes a ``call_method`` node instead of ``call_function``.

    This is the case if flambeau has no function of that name or if the first operand is a tensor.
    """
    name = func.__name__
    if vars(Tensor).get(name) is not func:
        return False
    return getattr(flambeau, name, None) is not func or (bool(args) and isinstance(args[0], Tensor))


def normalized_arguments(
    func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Arrange arguments as in PyTorch's nodes: required ones by position, all others by keyword."""
    name = func.__name__
    if name == "einsum" and len(args) == 2 and isinstance(args[1], (list, tuple)):
        return (args[0], *args[1]), kwargs
    if (func not in _public or name in _NO_NORMALISATION or name.endswith("_")) and func not in _NORMALIZED_SIGNATURES:
        return args, kwargs
    known = signature(_public.get(func, func))
    if known is None or any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in known.parameters.values()):
        return args, kwargs
    try:
        bound = known.bind(*args, **kwargs)
    except TypeError:
        return args, kwargs
    bound.apply_defaults()
    required = [name for name, p in known.parameters.items() if p.default is p.empty and p.kind != p.KEYWORD_ONLY]
    positional = tuple(bound.arguments[name] for name in required)
    return positional, {name: value for name, value in bound.arguments.items() if name not in required}


# Replacement of code objects


def _template(*args: Any, **kwargs: Any) -> Any:
    replacement: Any = "replacement"
    return replacement(*args, **kwargs)


def _body(name: str, replacement: Callable[..., Any]) -> CodeType:
    """Return a code object that calls ``replacement`` with all arguments."""
    code = _template.__code__
    constants: Any = tuple(replacement if constant == "replacement" else constant for constant in code.co_consts)
    return code.replace(co_consts=constants, co_name=name, co_qualname=name)


_public: dict[Any, FunctionType] = {}  # public functions and their Python implementations
_swaps: list[tuple[FunctionType, CodeType, CodeType]] = []  # function, original code, replacement
_lock = threading.Lock()
_depth = 0


def _prepare() -> None:
    """Prepare replacement code for the functions of tensors that are written in Python."""
    _redirect(flambeau._assert)
    for module in (functional, init):
        for name in functional.__all__ if module is functional else dir(module):
            if not name.startswith("_"):
                _redirect(getattr(module, name))


def _redirect(function: Any) -> None:
    inner = function if isinstance(function, FunctionType) else getattr(function, "__wrapped__", None)
    if not isinstance(inner, FunctionType) or isinstance(function, OPERATOR_TYPES) or function in _public:
        return
    if inner.__closure__ is not None or not own_module(inner).startswith("flambeau"):
        return
    own = FunctionType(inner.__code__, inner.__globals__, inner.__name__, inner.__defaults__)
    own.__kwdefaults__ = inner.__kwdefaults__
    _public[function] = own
    _swaps.append((inner, inner.__code__, _body(inner.__name__, _replacement_for(function, own))))


def _replacement_for(function: Any, own: FunctionType) -> Callable[..., Any]:
    """Return the replacement of a function during tracing; ``own`` is the original."""

    def replacement(*args: Any, **kwargs: Any) -> Any:
        proxy = find_proxy(args, kwargs)
        if proxy is None:
            return own(*args, **kwargs)
        return type(proxy).__torch_function__(function, (type(proxy),), args, kwargs)

    return replacement


@contextmanager
def intercept_calls() -> Iterator[None]:
    """Turn calls of functions and operators with traced values into nodes in this context."""
    global _depth
    with _lock:
        if not _swaps:
            _prepare()
        if _depth == 0:
            for function, _, other in _swaps:
                function.__code__ = other
        _depth += 1
    try:
        with ProxyDispatchMode():
            yield
    finally:
        with _lock:
            _depth -= 1
            if _depth == 0:
                for function, own, _ in _swaps:
                    function.__code__ = own
