"""Checkpointing: a part of a network keeps no intermediate results, and computes them again for its derivative.

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
from flambeau.autograd.checkpoint._reentrant import run_reentrant

T = TypeVar("T")

__all__ = [
    "CheckpointError",
    "checkpoint",
    "checkpoint_sequential",
    "get_device_states",
    "noop_context_fn",
    "set_checkpoint_debug_enabled",
    "set_checkpoint_early_stop",
    "set_device_states",
]

Contexts = tuple[contextlib.AbstractContextManager[Any], contextlib.AbstractContextManager[Any]]

UNSAID_VARIANT = (
    "checkpoint: the use_reentrant parameter should be passed explicitly. use_reentrant=False is recommended; without "
    "it the variant is use_reentrant=True."
)


def noop_context_fn() -> Contexts:
    """Two contexts that do nothing."""
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
    """``function(*args, **kwargs)``, of which the graph keeps the arguments alone, not what is computed in between.

    When a derivative needs that, the function runs again, with the state of the default generator that it had the first
    time. It has to do the same then.

    Args:
        use_reentrant: False: hooks on saved tensors notice what is needed; works with every argument of ``backward``
            and ``grad``, keyword arguments, nested structures. True: a node of its own runs another backward pass; only
            for ``backward()`` without ``inputs``, and only tensors among ``args`` get gradients. To be given.
        context_fn: returns two contexts, for the first run and for running again. Not with ``use_reentrant=True``.
        determinism_check: ``"default"`` compares shapes and dtypes of what both runs save, ``"none"`` nothing.
        debug: lists in the error what both runs saved.
        early_stop: end the second run as soon as all that is needed is there.
        preserve_rng_state: restore the generator for the second run.
    Raises: CheckpointError if the second run saves something else; ValueError for arguments that do not go together.

    >>> import flambeau
    >>> x = flambeau.tensor(0.5, requires_grad=True)
    >>> checkpoint(lambda t: t.sin().exp(), x, use_reentrant=False).backward()
    >>> x.grad
    tensor(1.4174)
    """
    if use_reentrant is None:
        warnings.warn(UNSAID_VARIANT, stacklevel=2)
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
    """Runs functions one after another, in ``segments`` groups of which all but the last are checkpointed.

    Args:
        functions: a Sequential module or a list of functions (or modules), each given the result of the one before.
        segments: how many groups.
        input: what the first is given.
        use_reentrant, preserve_rng_state: as for :func:`checkpoint`.
    """
    if use_reentrant is None:
        warnings.warn(UNSAID_VARIANT, stacklevel=2)
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    parts: list[Callable[..., Any]] = list(functions.children() if hasattr(functions, "children") else functions)
    size = len(parts) // segments
    if size == 0:
        raise ValueError(f"checkpoint_sequential: {segments} segments of {len(parts)} functions leave some empty")
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
