"""Selection of the implementation of ``nn.functional.scaled_dot_product_attention``."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from flambeau import _public_names
from flambeau.backends import _attention
from flambeau.backends._attention import SDPBackend

__all__ = ["SDPBackend", "sdpa_kernel"]

SDPBackend.__module__ = __name__


@contextlib.contextmanager
def sdpa_kernel(backends: list[SDPBackend] | SDPBackend, set_priority: bool = False) -> Iterator[None]:
    """Restrict attention to the given implementations, within a ``with`` block or a decorated function.

    Args:
        backends: allowed implementations. Without ``SDPBackend.MATH``, a call that the fused kernel does not
            support (dropout, a mask that requires grad) raises RuntimeError.
        set_priority: if True, the order of ``backends`` is also the order of preference.
    Raises: AssertionError if an element is not an `SDPBackend`.

    >>> q = fb.eye(2)
    >>> with nn.attention.sdpa_kernel(nn.attention.SDPBackend.MATH):
    ...     nn.functional.scaled_dot_product_attention(q, q, q, is_causal=True)[0]
    tensor([1., 0.])
    """
    if not isinstance(backends, (list, SDPBackend)):
        raise AssertionError(
            "Backend must be an instance of SDPBackend or a list of SDPBackend instances, got "
            f"{type(backends).__name__}"
        )
    ways = [backends] if isinstance(backends, SDPBackend) else list(dict.fromkeys(backends))
    former = _attention.settings()
    _attention.allow(ways, ways if set_priority else ())
    try:
        yield
    finally:
        _attention.allow(*former)


def __dir__() -> list[str]:
    return _public_names.public_names(globals(), __all__)
