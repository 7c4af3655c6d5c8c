"""Forward mode: dual tensors, which carry a tangent through every operation.

A tangent is the derivative of a tensor along one direction; an operation on dual tensors gives a dual tensor. Every
operator that can be differentiated twice takes part.

>>> import flambeau
>>> from flambeau.autograd import forward_ad
>>> with forward_ad.dual_level():
...     x = forward_ad.make_dual(flambeau.tensor(3.0), flambeau.tensor(1.0))
...     forward_ad.unpack_dual(x**2)
UnpackedDualTensor(primal=tensor(9.), tangent=tensor(6.))
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from flambeau import Tensor, _extension_points, _suggestions
from flambeau.autograd import _engine

__all__ = ["UnpackedDualTensor", "dual_level", "enter_dual_level", "exit_dual_level", "make_dual", "unpack_dual"]

NO_LEVEL = (
    "Trying to create a dual Tensor for forward AD but no level exists, make sure to enter_dual_level() first: "
    "`with forward_ad.dual_level(): ...`."
)
NESTED = "Nested forward mode AD is not supported at the moment; nest flambeau.func.jvp instead."
NOT_THE_LAST = "Trying to exit a forward AD level that was not the last one that was created. This is not supported."


class _Open(threading.local):
    level: int | None = None  # of this module; the transforms of flambeau.func have levels of their own


_open = _Open()


class UnpackedDualTensor(NamedTuple):
    """The value of a dual tensor, and its tangent or None."""

    primal: Tensor
    tangent: Tensor | None


def __getattr__(name: str) -> int:
    if name == "_current_level":  # PyTorch's name for the number of the open level; -1: none is
        return -1 if _open.level is None else _open.level
    raise _suggestions.unknown_attribute(__name__, name)


def enter_dual_level() -> int:
    """Opens the level and returns its number; ``dual_level`` does so for a ``with`` block.

    Raises: RuntimeError if it is open already.
    """
    if _open.level is not None:
        raise RuntimeError(NESTED)
    _open.level = _engine.open_level()
    return _open.level


def exit_dual_level(*, level: int | None = None) -> None:
    """Closes the level: every tangent in it goes.

    Raises: RuntimeError if it is not the innermost one that is open.
    """
    if _open.level is None or level not in (None, _open.level) or _engine.open_levels() != _open.level + 1:
        raise RuntimeError(NOT_THE_LAST)
    _open.level = None
    _engine.close_level()


@contextmanager
def dual_level() -> Iterator[int]:
    """A ``with`` block in which tensors can be dual; afterwards they no longer are."""
    level = enter_dual_level()
    try:
        yield level
    finally:
        exit_dual_level(level=level)


def make_dual(tensor: Tensor, tangent: Tensor, *, level: int | None = None) -> Tensor:
    """A dual tensor over the elements of ``tensor``.

    Args:
        tensor: floating or complex.
        tangent: of the same shape; operators convert one of another dtype.
        level: the one that is open.
    Raises: RuntimeError if no level is open, the tensor is dual already or the tangent differs in shape;
        ValueError for integers.
    Gradient: both arguments.
    """
    level = _open.level if level is None else level
    if level is None or level < 0 or level >= _engine.open_levels():
        raise RuntimeError(NO_LEVEL)
    for name, value in (("primal", tensor), ("tangent", tangent)):
        if not (value.is_floating_point() or value.is_complex()):
            raise ValueError(f"Expected {name} to be floating point or complex, but got: {value.dtype}")
    dual: Tensor = _engine.make_dual(tensor, tangent, level)
    return dual


def unpack_dual(tensor: Tensor, *, level: int | None = None) -> UnpackedDualTensor:
    """The value of a tensor and its tangent, None where it has none or no level is open."""
    level = _open.level if level is None else level
    if level is None or level < 0 or level >= _engine.open_levels():
        return UnpackedDualTensor(tensor, None)
    return UnpackedDualTensor(*_engine.unpack_dual(tensor, level))


_extension_points.tangent_of = lambda tensor: unpack_dual(tensor).tangent
