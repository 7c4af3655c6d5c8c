"""Hooks for the tensors that the graph saves for its derivatives."""

import contextlib
import threading
import weakref
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

import flambeau
from flambeau import Tensor
from flambeau.autograd import _engine


class saved_tensors_hooks:
    """Context manager that stores the result of ``pack_hook(tensor)`` instead of each tensor that an operator saves.

    The backward pass calls ``unpack_hook`` with the stored result. This hook must return a tensor with the same values.
    If several pairs of hooks are nested, only the innermost pair applies. Both hooks run without recording. If
    ``pack_hook`` changes its argument in place, RuntimeError is raised.

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

    Args:
        pin_memory: if True and a GPU is available, store the copies in page-locked memory, which allows asynchronous
            copies to the GPU.
        device_type: accepted for compatibility with PyTorch; no effect.

    >>> x = fb.tensor(3.0, requires_grad=True)
    >>> with fb.autograd.graph.save_on_cpu():
    ...     y = x * x
    >>> y.backward()
    >>> x.grad
    tensor(6.)
    """

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda") -> None:
        pin_memory = pin_memory and flambeau.cuda.is_available()

        def pack(tensor: Tensor) -> tuple[Any, Tensor]:
            copy = tensor.cpu().pin_memory() if pin_memory else tensor.cpu()
            return tensor.device, copy.clone() if copy is tensor else copy

        def unpack(packed: tuple[Any, Tensor]) -> Tensor:
            return packed[1].to(packed[0], non_blocking=pin_memory)

        super().__init__(pack, unpack)


@contextlib.contextmanager
def disable_saved_tensors_hooks(error_message: str) -> Iterator[None]:
    """Forbid hooks for saved tensors in a ``with`` block.

    Args:
        error_message: message of the RuntimeError that is raised if hooks are active before the block or are installed
            inside the block.

    >>> with fb.autograd.graph.disable_saved_tensors_hooks("saved tensors cannot be moved here"):
    ...     with fb.autograd.graph.save_on_cpu():
    ...         pass
    Traceback (most recent call last):
    RuntimeError: saved tensors cannot be moved here
    """
    former = _engine.reject_saved_hooks(error_message)
    try:
        yield
    finally:
        _engine.reject_saved_hooks(former)


class _Saved:
    """A tensor that a graph saves. When the tensor's memory is about to change, a copy replaces the tensor."""

    def __init__(self, context: "_MutationContext", tensor: Tensor) -> None:
        self.context, self.tensor, self.version = context, tensor, tensor._version

    def unpack(self) -> Tensor:
        if not self.context.is_open:
            raise AssertionError(OUTSIDE)
        if self.tensor._version != self.version:  # other code changed the tensor and called increment_version
            raise RuntimeError(CHANGED)
        return self.tensor


class _MutationContext:
    """The tensors that graphs save within one `allow_mutation_on_saved_tensors` block.

    Attributes:
        tid_to_weakhandle: the saved tensors. The keys contain address, offset, shape, strides, dtype and version.
        cloned: copies of the saved tensors whose memory was changed after they were saved.
    """

    def __init__(self) -> None:
        self.is_open = True
        self.tid_to_weakhandle: weakref.WeakValueDictionary[Any, _Saved] = weakref.WeakValueDictionary()
        self.cloned: weakref.WeakKeyDictionary[_Saved, Tensor] = weakref.WeakKeyDictionary()
        self._by_memory: dict[int, weakref.WeakSet[_Saved]] = {}

    def pack(self, tensor: Tensor) -> _Saved:
        address = tensor.untyped_storage().data_ptr()
        kind = (address, tensor.storage_offset(), tuple(tensor.shape), tensor.stride(), tensor.dtype, tensor._version)
        saved = self.tid_to_weakhandle.get(kind)
        if saved is None:
            saved = self.tid_to_weakhandle[kind] = _Saved(self, tensor)
            self._by_memory.setdefault(address, weakref.WeakSet()).add(saved)
        return saved

    def before_change(self, address: int) -> None:
        """Copy the saved tensors that use the storage at ``address``, which is about to change."""
        for saved in self._by_memory.pop(address, ()):
            saved.tensor = self.cloned[saved] = saved.tensor.clone()
            saved.version = saved.tensor._version

    def close(self) -> None:
        self.is_open = False
        self.cloned.clear()
        self.tid_to_weakhandle.clear()
        self._by_memory.clear()


NESTED = "allow_mutation_on_saved_tensors contexts cannot be nested"
OUTSIDE = (
    "Trying to backward outside of the 'allow_mutation_on_saved_tensors' context in which the graph was originally "
    "recorded."
)
CHANGED = (
    "one of the variables needed for gradient computation has been modified by an inplace operation that "
    "allow_mutation_on_saved_tensors() does not track"
)
_open = threading.local()
_contexts: list[_MutationContext] = []  # open contexts of all threads


def _before_change(address: int) -> None:
    for context in list(_contexts):
        context.before_change(address)


@contextlib.contextmanager
def allow_mutation_on_saved_tensors() -> Iterator[_MutationContext]:
    """Allow in-place changes of tensors that graphs save in the ``with`` block.

    Before such a tensor is changed, the graph saves a copy of it. The backward pass must run inside the block.

    >>> import flambeau
    >>> with flambeau.autograd.graph.allow_mutation_on_saved_tensors():
    ...     x = flambeau.tensor([2.0, 3.0], requires_grad=True)
    ...     y = x.clone()
    ...     z = y.square().sum()
    ...     _ = y.zero_()
    ...     flambeau.autograd.grad(z, x)
    (tensor([4., 6.]),)
    """
    if getattr(_open, "context", None) is not None:
        raise RuntimeError(NESTED)
    context = _open.context = _MutationContext()
    _contexts.append(context)
    _engine.call_before_changes(_before_change)
    try:
        with saved_tensors_hooks(context.pack, _Saved.unpack):
            yield context
    finally:
        _contexts.remove(context)
        if not _contexts:
            _engine.call_before_changes(None)
        _open.context = None
        context.close()
