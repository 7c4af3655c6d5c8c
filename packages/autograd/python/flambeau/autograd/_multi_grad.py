"""One hook for the gradients of several tensors."""

import threading
from collections.abc import Callable, Sequence
from typing import Any, Literal

from flambeau import Tensor
from flambeau.autograd import _engine
from flambeau.autograd._handle import RemovableHandle


class _Handles(RemovableHandle):
    """Takes off several hooks at once."""

    def __init__(self, handles: tuple[Any, ...]) -> None:
        self.handles = handles

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()


def register_multi_grad_hook(
    tensors: Sequence[Tensor], fn: Callable[..., Any], *, mode: Literal["all", "any"] = "all"
) -> RemovableHandle:
    """Calls ``fn`` once a run with the gradients of several tensors.

    Args:
        tensors: all of them require grad.
        fn: with ``mode="all"`` given a list with the gradient of each tensor (None where the run does not reach it), as
            soon as the last of them is known; with ``"any"`` the first gradient that is. What it returns is ignored.
    Returns: a handle whose ``remove()`` takes the hook off; also a context manager.
    """
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    hooks = _all(tensors, fn) if mode == "all" else _any(tensors, fn)
    return _Handles(tuple(t.register_hook(hook) for t, hook in zip(tensors, hooks, strict=True)))


def _all(tensors: Sequence[Tensor], fn: Callable[..., Any]) -> list[Callable[[Tensor], None]]:
    nodes = [_engine.gradient_edge(t)[0] for t in tensors]
    lock = threading.Lock()
    runs: dict[int, tuple[int, list[Tensor | None]]] = {}  # how many gradients are to come, and those that have

    def hook(position: int) -> Callable[[Tensor], None]:
        def receive(gradient: Tensor) -> None:
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


def _any(tensors: Sequence[Tensor], fn: Callable[..., Any]) -> list[Callable[[Tensor], None]]:
    lock = threading.Lock()
    last = -1  # the run that fn was called in

    def receive(gradient: Tensor) -> None:
        nonlocal last
        run = _engine.current_run()
        with lock:
            called, last = last == run, run
        if not called:
            fn(gradient)

    return [receive] * len(tensors)
