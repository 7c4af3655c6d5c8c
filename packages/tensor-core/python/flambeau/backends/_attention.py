"""Allowed attention backends and their order, which ``flambeau.nn.attention`` sets.

There are two implementations. A fused kernel, on the CPU and on GPUs, does not store the matrix of scores. The unfused
formula (MATH) stores this matrix. All other backend names of PyTorch refer to the fused kernel.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence


class SDPBackend(enum.Enum):
    """An implementation of ``scaled_dot_product_attention``.

    ``MATH`` is the formula, which stores the matrix of scores. ``FLASH_ATTENTION``, ``EFFICIENT_ATTENTION``,
    ``CUDNN_ATTENTION`` and ``OVERRIDEABLE`` all refer to flambeau's fused kernel, which does not store the matrix.

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
    "supports all inputs."
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
is_default = True  # use the fused kernel if possible, otherwise the formula


def settings() -> tuple[frozenset[SDPBackend], tuple[SDPBackend, ...]]:
    """Return the allowed backends and their order. `allow` accepts these values to restore the settings."""
    return _allowed, _order


def allow(ways: Iterable[SDPBackend], order: Sequence[SDPBackend] = ()) -> None:
    """Allow exactly these backends. ``order`` lists the backends that are tried first."""
    global _allowed, _order, is_default
    _allowed = frozenset(ways) - {SDPBackend.ERROR}
    _order = (*order, *(way for way in _order if way not in order))
    preferred = _preferred()
    is_default = len(preferred) > 1 and SDPBackend.MATH in preferred[1:]


def _preferred() -> list[SDPBackend]:
    return [way for way in _order if way in _allowed]


def is_allowed(name: str) -> bool:
    """Return True if a backend is allowed. ``name`` is its name in ``flambeau.backends.cuda``."""
    return _NAMES[name] in _allowed


def switch(name: str, enabled: bool) -> None:
    """Allow or disallow a backend. ``name`` is its name in ``flambeau.backends.cuda``."""
    allow(_allowed | {_NAMES[name]} if enabled else _allowed - {_NAMES[name]})


def takes_kernel(possible: bool) -> bool:
    """Return True to use the fused kernel and False to use the formula. ``possible``: True if the kernel can be used.

    Raises: RuntimeError if no allowed backend supports the call.
    """
    preferred = _preferred()
    for way in preferred:
        if way is SDPBackend.MATH:
            return False
        if possible:
            return True
    reason = (
        "the enabled ones support neither dropout nor a mask that requires grad" if preferred else "none is enabled"
    )
    raise RuntimeError(_NONE_VIABLE.format(reason=reason))
