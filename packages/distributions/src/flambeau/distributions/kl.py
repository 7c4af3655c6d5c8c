"""The Kullback-Leibler divergence, by a registry of formulas for pairs of distributions."""

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

# The modules whose formulas are registered before any other pair, and before one is looked for.
_FORMULAS = ("_kl_composite", "_kl_discrete", "_kl_continuous", "_kl_vectors", "_kl_between")


def register_kl(type_p: type, type_q: type) -> Callable[[Formula], Formula]:
    """A decorator that registers a formula for ``kl_divergence`` between a pair of classes and their subclasses.

    The formula of the nearest pair of base classes is used; where two are equally near, that of the nearer class on
    the left, with a RuntimeWarning. A pair that has a formula gets this one instead.

    A class need not derive from `Distribution`: a base that a library mixes into several may be one of the pair.

    Raises: TypeError for what is not a class.
    """
    _load_formulas()
    for name, kind in (("type_p", type_p), ("type_q", type_q)):
        if not isinstance(kind, type):
            raise TypeError(f"Expected {name} to be a class of distributions but got {kind!r}")
    return formula(type_p, type_q)


def formula(type_p: type, type_q: type) -> Callable[[Formula], Formula]:
    """``register_kl`` for the formulas of this package, which come before all others."""

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
    """The formula of the most specific registered pair."""
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
    """``KL(p || q) = E_p[log p(x) - log q(x)]``, in nats, exactly; of shape ``batch_shape``.

    Infinite where ``p`` can draw what ``q`` cannot.

    Raises: NotImplementedError for a pair without a formula, which ``register_kl`` can add.
    Gradient: to the parameters of both.

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
