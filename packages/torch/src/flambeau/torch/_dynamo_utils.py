"""Module ``torch._dynamo.utils``: the names that libraries use."""

from contextlib import AbstractContextManager, nullcontext

__all__ = ["disable_cache_limit", "maybe_enable_compiled_autograd"]


def disable_cache_limit() -> AbstractContextManager[None]:
    """Return a context that changes nothing: the number of programs of a compiled function is not limited."""
    return nullcontext()


def maybe_enable_compiled_autograd(
    should_enable: bool, fullgraph: bool = True, dynamic: bool = True
) -> AbstractContextManager[None]:
    """Return a context that changes nothing: backward passes are not compiled on their own."""
    return nullcontext()
