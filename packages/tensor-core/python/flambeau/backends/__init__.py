"""Settings of the computation backends.

On the CPU, flambeau uses its own implementations of products, attention and transforms. On GPUs, the backends are
`cuda` and `cudnn`. The other backends are not available; their settings are stored but have no effect.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING

from flambeau import _suggestions

if TYPE_CHECKING:
    from flambeau.backends import cpu, cuda, cudnn, mkl, mkldnn, mps, openmp, opt_einsum

__all__ = ["cpu", "cuda", "cudnn", "mkl", "mkldnn", "mps", "openmp", "opt_einsum"]


@contextlib.contextmanager
def __allow_nonbracketed_mutation() -> Iterator[None]:
    """Do nothing: settings can be changed at any time, inside and outside this block."""
    yield


def flags_frozen() -> bool:
    """Return False: settings can be changed at any time."""
    return False


if not TYPE_CHECKING:  # hidden from type checkers, which then report names that do not exist

    def __getattr__(name: str) -> ModuleType:
        if name in __all__:
            return importlib.import_module(f"flambeau.backends.{name}")
        raise _suggestions.unknown_attribute(__name__, name)


def __dir__() -> list[str]:
    return __all__
