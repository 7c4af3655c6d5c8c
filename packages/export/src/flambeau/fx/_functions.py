"""Interception of functions that are called with traced values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import flambeau
from flambeau import Tensor, _overridable
from flambeau._operator import OPERATOR_TYPES
from flambeau._tracing._calls import signature
from flambeau.nn import functional, init
from flambeau.overrides import TorchFunctionMode

from .node import map_aggregate

if TYPE_CHECKING:
    from .proxy import Proxy

# Functions that are operators in flambeau and Python functions in PyTorch, or the reverse. In PyTorch's graphs, a call
# of a Python function has all optional arguments by keyword, including defaults.
_NORMALIZED_SIGNATURES = {
    *(functional.max_pool1d, functional.max_pool2d, functional.max_pool3d, functional.interpolate, functional.pad),
    *(functional.max_unpool1d, functional.max_unpool2d, functional.max_unpool3d, functional.grid_sample),
    *(functional.glu, flambeau.split, flambeau.stft, flambeau.istft, flambeau.norm, flambeau.cdist),
}
_NO_NORMALISATION = {"one_hot", "scaled_dot_product_attention"}


def find_proxy(*values: Any) -> Proxy | None:
    """Return the first proxy in nested tuples, lists, dictionaries and slices; None if they contain no proxy."""
    from .proxy import Proxy

    proxies: list[Proxy] = []

    def collect(value: Any) -> Any:
        if isinstance(value, Proxy):
            proxies.append(value)
        return value

    map_aggregate(values, collect)
    return proxies[-1] if proxies else None


class ProxyDispatchMode(TorchFunctionMode):
    """Mode that turns each call of an operator or function with a `Proxy` among its arguments into a node."""

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


def _is_normalized(func: Any, name: str) -> bool:
    """Return True for functions of nn.functional and nn.init that are written in Python in PyTorch."""
    if func in _NORMALIZED_SIGNATURES:
        return True
    if type(func) in OPERATOR_TYPES or name in _NO_NORMALISATION or name.endswith("_"):
        return False
    return any(getattr(module, name, None) is func for module in (functional, init))


def normalized_arguments(
    func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return arguments arranged as in PyTorch's nodes: required arguments by position, all others by keyword."""
    name = func.__name__
    if name == "einsum" and len(args) == 2 and isinstance(args[1], (list, tuple)):
        return (args[0], *args[1]), kwargs
    if not _is_normalized(func, name):
        return args, kwargs
    known = signature(_overridable.original(func))
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
