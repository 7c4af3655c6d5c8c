"""Forward-mode differentiation with dual tensors, which propagate a tangent through every operation.

A tangent is the derivative of a tensor along one direction. An operation on dual tensors returns a dual tensor. Every
operator that can be differentiated twice supports forward mode.

>>> import flambeau
>>> from flambeau.autograd import forward_ad
>>> with forward_ad.dual_level():
...     x = forward_ad.make_dual(flambeau.tensor(3.0), flambeau.tensor(1.0))
...     forward_ad.unpack_dual(x**2)
UnpackedDualTensor(primal=tensor(9.), tangent=tensor(6.))
"""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from flambeau import Tensor, _extension_points, _suggestions
from flambeau.autograd import _engine

__all__ = ["UnpackedDualTensor", "dual_level", "enter_dual_level", "exit_dual_level", "make_dual", "unpack_dual"]

NO_LEVEL = (
    "Trying to create a dual Tensor for forward AD but no level exists, make sure to enter_dual_level() first: "
    "`with forward_ad.dual_level(): ...`."
)
NESTED = "Nested forward mode AD is not supported at the moment; nest flambeau.func.jvp instead."
NOT_THE_LAST = "Trying to exit a forward AD level that was not the last one that was created. This is not supported."


class _State(threading.local):
    level: int | None = None  # the level that this module opened; the transforms of flambeau.func open further levels
    enabled: bool = True


_open = _State()


def _functions() -> Any:
    """Return the module with the functions for dual tensors. Inside vmap, it is the module that supports batches."""
    placeholders = sys.modules.get("flambeau.func._placeholders")
    return sys.modules["flambeau.func._engine"] if placeholders and placeholders.maps.running else _engine


class UnpackedDualTensor(NamedTuple):
    """The value of a dual tensor, and its tangent or None. See `make_dual`."""

    primal: Tensor
    tangent: Tensor | None


def __getattr__(name: str) -> int:
    if name == "_current_level":  # PyTorch's name: the number of the open level, or -1 if no level is open
        return -1 if _open.level is None else _open.level
    raise _suggestions.unknown_attribute(__name__, name)


def _is_fwd_grad_enabled() -> bool:
    return _open.enabled


class _set_fwd_grad_enabled:
    """Function and context manager that enables or disables the computation of tangents in this thread."""

    def __init__(self, mode: bool) -> None:
        _open.enabled = mode
        self._former = _engine.set_forward_enabled(mode)

    def __enter__(self) -> None:
        """Do nothing, because the constructor has set the mode."""

    def __exit__(self, *_: object) -> None:
        _open.enabled = self._former
        _engine.set_forward_enabled(self._former)


def enter_dual_level() -> int:
    """Start the computation of tangents, and return the number of the level: there is one level, which is not nested.

    `dual_level` does this for a ``with`` block, and `exit_dual_level` ends it.

    Raises: RuntimeError if the level is already open.

    >>> level = fb.autograd.forward_ad.enter_dual_level()
    >>> x = fb.autograd.forward_ad.make_dual(fb.tensor(0.0), fb.tensor(1.0))
    >>> fb.autograd.forward_ad.unpack_dual(x.sin()).tangent
    tensor(1.)
    >>> fb.autograd.forward_ad.exit_dual_level(level=level)
    """
    if _open.level is not None:
        raise RuntimeError(NESTED)
    _open.level = _engine.open_level()
    return _open.level


def exit_dual_level(*, level: int | None = None) -> None:
    """Close the level that `enter_dual_level` opened. All its tangents are discarded. See `dual_level`.

    Raises: RuntimeError if the level is not the innermost open level.
    """
    if _open.level is None or level not in (None, _open.level) or _engine.open_levels() != _open.level + 1:
        raise RuntimeError(NOT_THE_LAST)
    _open.level = None
    _engine.close_level()


@contextmanager
def dual_level() -> Iterator[int]:
    """Open a level for the ``with`` block, in which tensors can be dual. At the end, their tangents are discarded.

    >>> with fb.autograd.forward_ad.dual_level():
    ...     x = fb.autograd.forward_ad.make_dual(fb.tensor(3.0), fb.tensor(1.0))
    ...     fb.autograd.forward_ad.unpack_dual(x).tangent
    tensor(1.)
    >>> print(fb.autograd.forward_ad.unpack_dual(x).tangent)
    None
    """
    level = enter_dual_level()
    try:
        yield level
    finally:
        exit_dual_level(level=level)


def make_dual(tensor: Tensor, tangent: Tensor, *, level: int | None = None) -> Tensor:
    """Return a dual tensor, which shares the elements of ``tensor`` and has the given tangent.

    Args:
        tensor: floating or complex tensor.
        tangent: tensor of the same shape. If its dtype differs, operators convert it.
        level: number of the level. None means the level that `enter_dual_level` opened.
    Returns: a dual tensor.
    Raises: RuntimeError if no level is open, the tensor is already dual or the tangent has another shape; ValueError
        if one of the tensors is neither floating nor complex.
    Gradient: defined for both arguments.

    >>> with fb.autograd.forward_ad.dual_level():
    ...     x = fb.autograd.forward_ad.make_dual(fb.tensor(3.0), fb.tensor(1.0))
    ...     fb.autograd.forward_ad.unpack_dual(x * x)
    UnpackedDualTensor(primal=tensor(9.), tangent=tensor(6.))
    """
    level = _open.level if level is None else level
    if level is None or level < 0 or level >= _engine.open_levels():
        raise RuntimeError(NO_LEVEL)
    for name, value in (("primal", tensor), ("tangent", tangent)):
        if not (value.is_floating_point() or value.is_complex()):
            raise ValueError(f"Expected {name} to be floating point or complex, but got: {value.dtype}")
    dual: Tensor = _functions().make_dual(tensor, tangent, level)
    return dual


def unpack_dual(tensor: Tensor, *, level: int | None = None) -> UnpackedDualTensor:
    """Return the value and the tangent of a tensor. The tangent of an ordinary tensor, or without a level, is None.

    >>> with fb.autograd.forward_ad.dual_level():
    ...     fb.autograd.forward_ad.unpack_dual(fb.ones(2)).tangent is None
    True
    """
    level = _open.level if level is None else level
    if level is None or level < 0 or level >= _engine.open_levels():
        return UnpackedDualTensor(tensor, None)
    return UnpackedDualTensor(*_functions().unpack_dual(tensor, level))


_extension_points.tangent_of = lambda tensor: unpack_dual(tensor).tangent
