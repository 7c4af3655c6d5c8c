"""Functions for custom model builders, with the same names as in torchvision."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from ._initialization import make_divisible as _make_divisible
from ._intermediate_layers import IntermediateLayerGetter

__all__ = [
    "IntermediateLayerGetter",
    "_make_divisible",
    "_ovewrite_named_param",
    "_ovewrite_value_param",
    "handle_legacy_interface",
]

M = TypeVar("M")
V = TypeVar("V")


def handle_legacy_interface(**weights: tuple[str, Any]) -> Callable[[Callable[..., M]], Callable[..., M]]:
    """Return a decorator that makes a builder accept positional weights and the boolean arguments of older versions.

    Args:
        weights: for each weight argument, a pair: the name of the older boolean argument, and the weights that are used
            if this argument is True. The weights may also be a function of the other arguments that returns the
            weights, or None for a model without weights.
    Raises: the builder raises ValueError if the older argument is True and there are no weights.

    >>> @handle_legacy_interface(weights=("pretrained", "V1"))
    ... def build(*, weights=None, progress=True):
    ...     return weights
    >>> build(pretrained=True), build("V2"), build(False), build()
    ('V1', 'V2', None, None)
    """

    def decorate(builder: Callable[..., M]) -> Callable[..., M]:
        parameters = inspect.signature(builder).parameters.values()
        names = [each.name for each in parameters if each.kind is not each.VAR_KEYWORD]

        @functools.wraps(builder)
        def build(*args: Any, **options: Any) -> M:
            if len(args) > len(names):
                raise TypeError(
                    f"{builder.__name__}() takes {len(names)} positional arguments but {len(args)} were given"
                )
            options.update(zip(names, args, strict=False))
            for name, (older, usual) in weights.items():
                requested = options.pop(older) if older in options else options.get(name)
                if isinstance(requested, bool):
                    options[name] = _default_weights(builder.__name__, usual, options) if requested else None
                elif requested is not None:
                    options[name] = requested
            return builder(**options)

        return build

    return decorate


def _default_weights(model: str, usual: Any, options: dict[str, Any]) -> Any:
    weights = usual(options) if callable(usual) else usual
    if weights is None:
        raise ValueError(f"No weights available for model {model}")
    return weights


def _ovewrite_named_param(kwargs: dict[str, Any], param: str, new_value: Any) -> None:
    """Set ``kwargs[param]`` to ``new_value``, which the weights require. Raises: ValueError for another value."""
    if kwargs.setdefault(param, new_value) != new_value:
        raise ValueError(f"The parameter '{param}' expected value {new_value} but got {kwargs[param]} instead.")


def _ovewrite_value_param(param: str, actual: V | None, expected: V) -> V:
    """Return ``expected``, which the weights require. Raises: ValueError if ``actual`` is given and differs."""
    if actual not in (None, expected):
        raise ValueError(f"The parameter '{param}' expected value {expected} but got {actual} instead.")
    return expected
