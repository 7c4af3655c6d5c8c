"""What computes, and the switches that programs set for it.

Products, attention and transforms are the library's own on the CPU, and on GPUs there are `cuda` and `cudnn`; the other
backends are not there, and their switches are kept without effect.
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
    """For a block, that switches may be set for good; they may be everywhere."""
    yield


if not TYPE_CHECKING:  # so that type checkers report names that do not exist

    def __getattr__(name: str) -> ModuleType:
        if name in __all__:
            return importlib.import_module(f"flambeau.backends.{name}")
        raise _suggestions.unknown_attribute(__name__, name)


def __dir__() -> list[str]:
    return __all__
