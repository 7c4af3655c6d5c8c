"""Operators as ranges of NVIDIA's profilers."""

from typing import Any, Self

from flambeau.cuda import nvtx
from flambeau.overrides import TorchFunctionMode, resolve_name

__all__ = ["emit_nvtx"]


class emit_nvtx(TorchFunctionMode):
    """Inside of the ``with`` block every operator is a range of `flambeau.cuda.nvtx` that has its name.

    Args:
        enabled: False makes the block do nothing.
        record_shapes: write the shapes of the tensors among the arguments behind the name.
    """

    def __init__(self, enabled: bool = True, record_shapes: bool = False) -> None:
        self.enabled = enabled
        self.record_shapes = record_shapes

    def __enter__(self) -> Self:
        return super().__enter__() if self.enabled else self

    def __exit__(self, *error: object) -> None:
        if self.enabled:
            super().__exit__(*error)

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        """The operator, run inside of its range."""
        name = str(resolve_name(func) or getattr(func, "__name__", repr(func)))
        if self.record_shapes:
            name += f", sizes = {[list(each.shape) for each in args if hasattr(each, 'shape')]}"
        nvtx.range_push(name)
        try:
            return func(*args, **kwargs or {})
        finally:
            nvtx.range_pop()
