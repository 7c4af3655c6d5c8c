"""Hooks for the tensors that the graph saves for its derivatives."""

import contextlib
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

import flambeau
from flambeau import Tensor
from flambeau.autograd import _engine


class saved_tensors_hooks:
    """Context manager that stores the result of ``pack_hook(tensor)`` instead of each tensor that an operator saves.

    The backward pass calls ``unpack_hook`` with that result. It must return a tensor with the same values. Of nested
    pairs, only the innermost one applies. Both hooks run without recording. If ``pack_hook`` changes its argument in
    place, RuntimeError is raised.

    >>> import flambeau
    >>> x = flambeau.tensor(3.0, requires_grad=True)
    >>> with flambeau.autograd.graph.saved_tensors_hooks(lambda t: t.item(), flambeau.tensor):
    ...     y = x.exp()
    >>> y.backward()
    >>> x.grad
    tensor(20.0855)
    """

    def __init__(self, pack_hook: Callable[[Tensor], Any], unpack_hook: Callable[[Any], Tensor]) -> None:
        self.pack_hook, self.unpack_hook = pack_hook, unpack_hook

    def __enter__(self) -> None:
        _engine.push_saved_hooks(self.pack_hook, self.unpack_hook)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        _engine.pop_saved_hooks()


class save_on_cpu(saved_tensors_hooks):
    """Context manager that copies saved tensors to CPU memory, and back to their device for the backward pass.

    With ``pin_memory`` and a GPU, they are stored in page-locked memory, from which the GPU copies asynchronously.
    """

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda") -> None:
        pin_memory = pin_memory and flambeau.cuda.is_available()

        def pack(tensor: Tensor) -> tuple[Any, Tensor]:
            kept = tensor.cpu().pin_memory() if pin_memory else tensor.cpu()
            return tensor.device, kept.clone() if kept is tensor else kept

        def unpack(packed: tuple[Any, Tensor]) -> Tensor:
            return packed[1].to(packed[0], non_blocking=pin_memory)

        super().__init__(pack, unpack)


@contextlib.contextmanager
def disable_saved_tensors_hooks(error_message: str) -> Iterator[None]:
    """Raise RuntimeError with this message if hooks for saved tensors are installed before or in the block."""
    former = _engine.refuse_saved_hooks(error_message)
    try:
        yield
    finally:
        _engine.refuse_saved_hooks(former)


@contextlib.contextmanager
def allow_mutation_on_saved_tensors() -> Iterator[None]:
    """Allow in-place changes of saved tensors in the block. The graph saves copies, which need additional memory.

    >>> import flambeau
    >>> with flambeau.autograd.graph.allow_mutation_on_saved_tensors():
    ...     x = flambeau.tensor([2.0, 3.0], requires_grad=True).clone()
    ...     y = x.square().sum()
    ...     _ = x.zero_()
    ...     flambeau.autograd.grad(y, x.grad_fn.next_functions and x, allow_unused=True)
    (None,)
    """
    with saved_tensors_hooks(flambeau.clone, lambda copy: copy):
        yield
