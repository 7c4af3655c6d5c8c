"""Which ways of computing attention may be taken, and in which order: what ``flambeau.nn.attention`` sets.

There are two: one kernel, on the CPU and on GPUs, that never holds the matrix of scores, and the formula, which holds
it (MATH). PyTorch's names of others all mean the kernel.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence


class SDPBackend(enum.Enum):
    """A way of computing ``scaled_dot_product_attention``.

    ``MATH`` is the formula, which holds the matrix of scores; ``FLASH_ATTENTION``, ``EFFICIENT_ATTENTION``,
    ``CUDNN_ATTENTION`` and ``OVERRIDEABLE`` are here one kernel that does not.

    >>> from flambeau.nn.attention import SDPBackend
    >>> int(SDPBackend.MATH)
    0
    """

    ERROR = -1
    MATH = 0
    FLASH_ATTENTION = 1
    EFFICIENT_ATTENTION = 2
    CUDNN_ATTENTION = 3
    OVERRIDEABLE = 4

    def __int__(self) -> int:
        return self.value


_NONE_VIABLE = (
    "No viable backend for scaled_dot_product_attention was found: {reason}. Allow SDPBackend.MATH as well, which "
    "takes everything."
)
_NAMES = {
    "cudnn": SDPBackend.CUDNN_ATTENTION,
    "flash": SDPBackend.FLASH_ATTENTION,
    "mem_efficient": SDPBackend.EFFICIENT_ATTENTION,
    "math": SDPBackend.MATH,
}
_order: tuple[SDPBackend, ...] = (
    *(SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.CUDNN_ATTENTION),
    *(SDPBackend.OVERRIDEABLE, SDPBackend.MATH),
)
_allowed = frozenset(_order)
is_default = True  # the kernel where it can be, the formula elsewhere


def settings() -> tuple[frozenset[SDPBackend], tuple[SDPBackend, ...]]:
    """What is allowed, and the order: what `allow` takes to put them back."""
    return _allowed, _order


def allow(ways: Iterable[SDPBackend], order: Sequence[SDPBackend] = ()) -> None:
    """Allows these and no others; ``order`` says which come first."""
    global _allowed, _order, is_default
    _allowed = frozenset(ways) - {SDPBackend.ERROR}
    _order = (*order, *(way for way in _order if way not in order))
    preferred = _preferred()
    is_default = len(preferred) > 1 and SDPBackend.MATH in preferred[1:]


def _preferred() -> list[SDPBackend]:
    return [way for way in _order if way in _allowed]


def is_allowed(name: str) -> bool:
    """Whether one may be taken, by its name in ``flambeau.backends.cuda``."""
    return _NAMES[name] in _allowed


def switch(name: str, enabled: bool) -> None:
    """Allows or forbids one, by that name."""
    allow(_allowed | {_NAMES[name]} if enabled else _allowed - {_NAMES[name]})


def takes_kernel(possible: bool) -> bool:
    """Whether the kernel is taken, given whether it can be.

    Raises: RuntimeError where what is allowed cannot be done.
    """
    preferred = _preferred()
    for way in preferred:
        if way is SDPBackend.MATH:
            return False
        if possible:
            return True
    reason = "dropout, or a mask that requires grad, needs the weights" if preferred else "none is enabled"
    raise RuntimeError(_NONE_VIABLE.format(reason=reason))
