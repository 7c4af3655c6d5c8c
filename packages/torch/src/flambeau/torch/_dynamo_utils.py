"""Module ``torch._dynamo.utils``: the names that libraries use."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

__all__ = ["disable_cache_limit", "maybe_enable_compiled_autograd"]


@contextmanager
def disable_cache_limit() -> Iterator[None]:
    """Remove the limit on the number of programs per compiled function inside this context."""
    compiled: Any = importlib.import_module("flambeau._compile._function")
    former, compiled.MAX_PROGRAMS = compiled.MAX_PROGRAMS, sys.maxsize
    try:
        yield
    finally:
        compiled.MAX_PROGRAMS = former


def maybe_enable_compiled_autograd(
    should_enable: bool, fullgraph: bool = True, dynamic: bool = True
) -> AbstractContextManager[None]:
    """Return a context that changes nothing, because flambeau does not compile backward passes separately."""
    return nullcontext()
