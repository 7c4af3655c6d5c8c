"""Checkpointing, which saves memory: the backward pass recomputes intermediate results instead of storing them.

Source: Chen, Xu, Zhang, Guestrin 2016, arXiv:1604.06174.
"""

import contextlib
import warnings
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from flambeau import _public_names
from flambeau.autograd.checkpoint._devices import get_device_states, set_device_states
from flambeau.autograd.checkpoint._recompute import (
    CheckpointError,
    run_recording,
    set_checkpoint_debug_enabled,
    set_checkpoint_early_stop,
)
from flambeau.autograd.checkpoint._reentrant import check_backward_validity, detach_variable, run_reentrant

T = TypeVar("T")

__all__ = [
    "CheckpointError",
    "check_backward_validity",
    "checkpoint",
    "checkpoint_sequential",
    "detach_variable",
    "get_device_states",
    "noop_context_fn",
    "set_checkpoint_debug_enabled",
    "set_checkpoint_early_stop",
    "set_device_states",
]

Contexts = tuple[contextlib.AbstractContextManager[Any], contextlib.AbstractContextManager[Any]]

USE_REENTRANT_WARNING = (
    "checkpoint: the use_reentrant parameter should be passed explicitly. use_reentrant=False is recommended; the "
    "default is use_reentrant=True."
)


def noop_context_fn() -> Contexts:
    """Return two context managers that do nothing. This function is the default ``context_fn`` of `checkpoint`.

    >>> forward_context, recompute_context = noop_context_fn()
    >>> with forward_context, recompute_context:
    ...     print("unchanged")
    unchanged
    """
    return contextlib.nullcontext(), contextlib.nullcontext()


def checkpoint(
    function: Callable[..., T],
    *args: Any,
    use_reentrant: bool | None = None,
    context_fn: Callable[[], Contexts] = noop_context_fn,
    determinism_check: str = "default",
    debug: bool = False,
    early_stop: bool = True,
    preserve_rng_state: bool = True,
    **kwargs: Any,
) -> T:
    """Call ``function(*args, **kwargs)``. The graph saves only the arguments, not the intermediate results.

    When the backward pass needs intermediate results, the function runs again. It must compute the same values again.
    The default random number generator has the same state as in the first run.

    Args:
        use_reentrant: implementation to use; pass it explicitly. False (recommended) uses hooks for saved tensors. It
            supports all arguments of ``backward`` and ``grad``, keyword arguments and nested structures. True uses a
            node that runs a nested backward pass. It only supports ``backward()`` without ``inputs``, and only tensors
            in ``args`` get gradients.
        context_fn: function that returns two context managers, for the first run and for the recomputation. It is not
            supported with ``use_reentrant=True``. See also
            :func:`flambeau.utils.checkpoint.create_selective_checkpoint_contexts`.
        determinism_check: ``"default"`` compares the shapes, dtypes and devices of the tensors that both runs save,
            ``"none"`` disables the check.
        debug: if True, a `CheckpointError` lists the tensors that both runs saved.
        early_stop: if True, stop the recomputation when all needed tensors are available.
        preserve_rng_state: if True, restore the generator's state for the recomputation.
    Returns: the result of the function.
    Raises: CheckpointError if the recomputation saves other tensors; ValueError for incompatible arguments.

    >>> import flambeau
    >>> x = flambeau.tensor(0.5, requires_grad=True)
    >>> checkpoint(lambda t: t.sin().exp(), x, use_reentrant=False).backward()
    >>> x.grad
    tensor(1.4174)
    """
    if use_reentrant is None:
        warnings.warn(USE_REENTRANT_WARNING, stacklevel=2)
        use_reentrant = True
    if not use_reentrant:
        return run_recording(
            function, args, kwargs, preserve_rng_state, context_fn, determinism_check, debug, early_stop
        )
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    if context_fn is not noop_context_fn or debug is not False:
        raise ValueError("Passing `context_fn` or `debug` is only supported when use_reentrant=False.")
    return run_reentrant(function, args, preserve_rng_state)


def checkpoint_sequential(
    functions: Any, segments: int, input: Any, use_reentrant: bool | None = None, **kwargs: Any
) -> Any:
    """Run functions in sequence, divided into ``segments`` groups. All groups except for the last are checkpointed.

    Args:
        functions: a Sequential module, or a list of functions or modules. Each of them receives the result of the
            previous one.
        segments: number of groups.
        input: argument of the first function.
        use_reentrant, preserve_rng_state: see :func:`checkpoint`.
    Returns: the result of the last function.
    Raises: ValueError if ``segments`` is greater than the number of functions.

    >>> import flambeau
    >>> x = flambeau.tensor(0.5, requires_grad=True)
    >>> checkpoint_sequential([flambeau.sin, flambeau.exp], 2, x, use_reentrant=False).backward()
    >>> x.grad
    tensor(1.4174)
    """
    if use_reentrant is None:
        warnings.warn(USE_REENTRANT_WARNING, stacklevel=2)
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    parts: list[Callable[..., Any]] = list(functions.children() if hasattr(functions, "children") else functions)
    size = len(parts) // segments
    if size == 0:
        raise ValueError(
            f"checkpoint_sequential: segments must be at most the number of functions, {len(parts)}, got {segments}"
        )
    last = size * (segments - 1)
    for start in range(0, last, size):
        input = checkpoint(
            _sequence(parts[start : start + size]), input, use_reentrant=use_reentrant, preserve_rng_state=preserve
        )
    return _sequence(parts[last:])(input)


def _sequence(functions: Iterable[Callable[..., Any]]) -> Callable[..., Any]:
    def run(value: Any) -> Any:
        for function in functions:
            value = function(value)
        return value

    return run


def __dir__() -> list[str]:
    return _public_names.public_names(globals(), __all__)
