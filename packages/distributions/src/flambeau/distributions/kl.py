"""The Kullback-Leibler divergence, with a registry of formulas for pairs of distributions."""

import warnings
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import TypeVar

from flambeau import Tensor

from .distribution import Distribution

__all__ = ["kl_divergence", "register_kl"]

Formula = TypeVar("Formula", bound=Callable[..., Tensor])

_KL_REGISTRY: dict[tuple[type, type], Callable[..., Tensor]] = {}
_KL_MEMOIZE: dict[tuple[type, type], Callable[..., Tensor]] = {}

# These modules register their formulas before any other registration and before the first lookup.
_FORMULAS = ("_kl_composite", "_kl_discrete", "_kl_continuous", "_kl_vectors", "_kl_between")


def register_kl(type_p: type, type_q: type) -> Callable[[Formula], Formula]:
    """Return a decorator that registers a formula for ``kl_divergence`` between two classes and their subclasses.

    ``kl_divergence`` uses the formula of the closest pair of base classes. If one pair is closer for ``p`` and another
    pair is closer for ``q``, ``kl_divergence`` uses the former and issues a RuntimeWarning. A second formula for the
    same pair replaces the first.

    The classes need not derive from `Distribution`: a mixin class is also allowed.

    Args:
        type_p, type_q: classes of the arguments ``p`` and ``q``.
    Returns: a decorator for a function of ``(p, q)`` that returns a tensor of shape ``batch_shape``.
    Raises: TypeError if an argument is not a class.

    >>> from flambeau.distributions import Normal
    >>> class Standard(Normal):
    ...     pass
    >>> @register_kl(Standard, Standard)
    ... def _standard(p, q):
    ...     return fb.zeros(p.batch_shape)
    >>> kl_divergence(Standard(0.0, 1.0), Standard(0.0, 1.0))
    tensor(0.)
    """
    _load_formulas()
    for name, kind in (("type_p", type_p), ("type_q", type_q)):
        if not isinstance(kind, type):
            raise TypeError(f"Expected {name} to be a class of distributions but got {kind!r}")
    return formula(type_p, type_q)


def formula(type_p: type, type_q: type) -> Callable[[Formula], Formula]:
    """Return the decorator of ``register_kl``, but do not load the formulas of this package first."""

    def register(function: Formula) -> Formula:
        _KL_REGISTRY[type_p, type_q] = function
        _KL_MEMOIZE.clear()
        return function

    return register


@cache
def _load_formulas() -> None:
    for name in _FORMULAS:
        import_module(f".{name}", __package__)


def _dispatch_kl(type_p: type, type_q: type) -> Callable[..., Tensor]:
    """Return the formula of the most specific registered pair of base classes."""
    ancestors_p, ancestors_q = type_p.__mro__, type_q.__mro__
    near = [
        (ancestors_p.index(p), ancestors_q.index(q)) for p, q in _KL_REGISTRY if p in ancestors_p and q in ancestors_q
    ]
    if not near:
        raise NotImplementedError(
            f"No KL(p || q) is implemented for p type {type_p.__name__} and q type {type_q.__name__}"
        )
    left, right = min(near), min(near, key=lambda pair: pair[::-1])
    (p, q), (other_p, other_q) = ((ancestors_p[i], ancestors_q[j]) for i, j in (left, right))
    if _KL_REGISTRY[p, q] is not _KL_REGISTRY[other_p, other_q]:
        warnings.warn(
            f"Ambiguous kl_divergence({type_p.__name__}, {type_q.__name__}). "
            f"Please register_kl({p.__name__}, {other_q.__name__})",
            RuntimeWarning,
            stacklevel=3,
        )
    return _KL_REGISTRY[p, q]


def kl_divergence(p: Distribution, q: Distribution) -> Tensor:
    """Compute ``KL(p || q) = E_p[log p(x) - log q(x)]`` in nats, in closed form, with shape ``batch_shape``.

    The result is infinite where ``p`` has values outside the support of ``q``.

    Raises: NotImplementedError if no formula exists for the pair of classes. ``register_kl`` can add a formula.
    Gradient: defined for the parameters of ``p`` and ``q``.

    >>> from flambeau.distributions import Normal
    >>> kl_divergence(Normal(0.0, 1.0), Normal(1.0, 1.0))
    tensor(0.5000)
    """
    pair = type(p), type(q)
    function = _KL_MEMOIZE.get(pair)
    if function is None:
        _load_formulas()
        function = _KL_MEMOIZE[pair] = _dispatch_kl(*pair)
    return function(p, q)
