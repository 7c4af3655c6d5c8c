"""Hooks for the gradients of several tensors."""

import threading
from collections.abc import Callable, Sequence
from typing import Any, Literal

from flambeau import Tensor
from flambeau.autograd import _engine
from flambeau.autograd._handle import RemovableHandle


class _Handles(RemovableHandle):
    """Handle that removes several hooks."""

    def __init__(self, handles: tuple[Any, ...]) -> None:
        self.handles = handles

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()


def register_multi_grad_hook(
    tensors: Sequence[Tensor], fn: Callable[..., Any], *, mode: Literal["all", "any"] = "all"
) -> RemovableHandle:
    """Register a hook that is called once per backward pass with the gradients of several tensors.

    Args:
        tensors: tensors that require grad.
        fn: the hook. Its return value is ignored.
        mode: with ``"all"``, the hook is called when all gradients are available, with a list of the gradients (None
            for a tensor that the pass does not reach). With ``"any"``, it is called with the first available gradient.
    Returns: a handle with a method ``remove()``. It is also a context manager.

    >>> a, b = fb.ones(1, requires_grad=True), fb.ones(1, requires_grad=True)
    >>> handle = fb.autograd.graph.register_multi_grad_hook((a, b), print)
    >>> (2 * a + 3 * b).backward()
    [tensor([2.]), tensor([3.])]
    """
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    hooks = _all(tensors, fn) if mode == "all" else _any(tensors, fn)
    return _Handles(tuple(t.register_hook(hook) for t, hook in zip(tensors, hooks, strict=True)))


def _all(tensors: Sequence[Tensor], fn: Callable[..., Any]) -> list[Callable[[Tensor | None], None]]:
    """Return one hook per tensor. Together they call ``fn`` when all gradients of a backward pass are available."""
    nodes = [_engine.gradient_edge(t)[0] for t in tensors]
    lock = threading.Lock()
    runs: dict[int, tuple[int, list[Tensor | None]]] = {}  # number of missing gradients, and the available gradients

    def hook(position: int) -> Callable[[Tensor | None], None]:
        """Return the hook of one tensor. The last hook that is called in a backward pass calls ``fn``."""

        def receive(gradient: Tensor | None) -> None:
            run = _engine.current_run()
            with lock:
                if run not in runs:
                    runs[run] = (sum(map(_engine.run_reaches, nodes)), [None] * len(nodes))
                missing, gradients = runs[run]
                gradients[position] = gradient
                runs[run] = (missing - 1, gradients)
                complete = missing == 1
                if complete:
                    del runs[run]
            if complete:
                fn(gradients)

        return receive

    return [hook(i) for i in range(len(nodes))]


def _any(tensors: Sequence[Tensor], fn: Callable[..., Any]) -> list[Callable[[Tensor | None], None]]:
    lock = threading.Lock()
    last = -1  # the backward pass in which fn was last called

    def receive(gradient: Tensor | None) -> None:
        nonlocal last
        run = _engine.current_run()
        with lock:
            called, last = last == run, run
        if not called:
            fn(gradient)

    return [receive] * len(tensors)
