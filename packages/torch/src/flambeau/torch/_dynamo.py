"""Names of ``torch._dynamo``, the part of PyTorch's compiler that captures functions."""

import contextlib
from collections.abc import Callable
from typing import Any

from flambeau import Tensor
from flambeau._compile._optimized_module import OptimizedModule
from flambeau.compiler import (
    allow_in_graph,
    assume_constant_result,
    compile,
    disable,
    explain,
    is_compiling,
    list_backends,
    reset,
    set_stance,
    substitute_in_graph,
)

__all__ = [
    "OptimizedModule",
    "TransformGetItemToIndex",
    "allow_in_graph",
    "assume_constant_result",
    "disable",
    "explain",
    "graph_break",
    "is_compiling",
    "is_dynamo_supported",
    "is_inductor_supported",
    "list_backends",
    "mark_dynamic",
    "mark_static",
    "mark_static_address",
    "maybe_mark_dynamic",
    "optimize",
    "optimize_assert",
    "reset",
    "reset_code_caches",
    "set_stance",
    "substitute_in_graph",
]


@disable(reason="graph_break() was called")
def graph_break(msg: str = "") -> None:
    """Split the compiled program at this call: the parts before and after it are compiled separately."""


def optimize(
    backend: str | Callable[..., Any] = "inductor",
    *,
    nopython: bool = False,
    disable: bool = False,
    dynamic: bool | None = None,
    **options: Any,
) -> Callable[[Any], Any]:
    """Return a decorator that compiles a function or module with ``backend``; see `compile`.

    Args:
        nopython: the option ``fullgraph`` of `compile`.
        options: accepted without effect.

    >>> import flambeau as fb
    >>> double = optimize(lambda graph, inputs: graph.forward)(lambda x: x * 2)
    >>> double(fb.ones(2))
    tensor([2., 2.])
    """
    decorator: Callable[[Any], Any] = compile(backend=backend, fullgraph=nopython, disable=disable, dynamic=dynamic)
    return decorator


def optimize_assert(backend: str | Callable[..., Any], **options: Any) -> Callable[[Any], Any]:
    """Return `optimize` with ``nopython=True``: calls that one program cannot represent raise an error.

    See `optimize`.
    """
    return optimize(backend, nopython=True, **options)


def is_dynamo_supported() -> bool:
    """Return True: `compile` works on every platform."""
    return True


is_inductor_supported = is_dynamo_supported


def mark_dynamic(t: Tensor, index: Any, **options: Any) -> None:
    """Check that ``index`` is valid, and do nothing else: programs support all sizes unless ``dynamic=False``."""
    for dim in (index,) if isinstance(index, int) else index:
        t.size(dim)


maybe_mark_dynamic = mark_dynamic


def mark_static(t: Any, index: Any = None) -> None:
    """Do nothing, because programs support all sizes."""


def mark_static_address(t: Any, guard: bool = False) -> None:
    """Do nothing: no graph depends on memory addresses."""


def reset_code_caches() -> None:
    """Delete all compiled programs, like `reset`."""
    reset()


class TransformGetItemToIndex(contextlib.nullcontext[None]):
    """Context in which PyTorch's `vmap` accepts batched ints as indices; flambeau's `vmap` always does."""
