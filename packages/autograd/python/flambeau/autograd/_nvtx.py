"""NVTX ranges of operators, for NVIDIA's profilers."""

from typing import Any, Self

from flambeau.cuda import nvtx
from flambeau.overrides import TorchFunctionMode, resolve_name

__all__ = ["emit_nvtx"]


class emit_nvtx(TorchFunctionMode):
    """Context manager in which every operator runs in a range of `flambeau.cuda.nvtx` with the operator's name.

    Args:
        enabled: False disables the context manager.
        record_shapes: if True, append the shapes of the tensor arguments to the name.

    >>> with fb.autograd.profiler.emit_nvtx(enabled=fb.cuda.is_available()):
    ...     x = fb.ones(2).exp()
    """

    _handles_functions = False

    def __init__(self, enabled: bool = True, record_shapes: bool = False) -> None:
        self.enabled = enabled
        self.record_shapes = record_shapes

    def __enter__(self) -> Self:
        return super().__enter__() if self.enabled else self

    def __exit__(self, *error: object) -> None:
        if self.enabled:
            super().__exit__(*error)

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        """Run the operator in an NVTX range with its name."""
        name = str(resolve_name(func) or getattr(func, "__name__", repr(func)))
        if self.record_shapes:
            name += f", sizes = {[list(each.shape) for each in args if hasattr(each, 'shape')]}"
        nvtx.range_push(name)
        try:
            return func(*args, **kwargs or {})
        finally:
            nvtx.range_pop()
