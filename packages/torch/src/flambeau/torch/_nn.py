"""Functions of ``torch._C._nn``, PyTorch's private module."""

from typing import Any

import flambeau

__all__ = ["_parse_to"]


def _parse_to(
    *args: Any,
    device: Any = None,
    dtype: flambeau.dtype | None = None,
    non_blocking: bool = False,
    copy: bool = False,
    memory_format: flambeau.memory_format | None = None,
) -> tuple[flambeau.device | None, flambeau.dtype | None, bool, flambeau.memory_format | None]:
    """Parse the arguments of ``Tensor.to`` and ``Module.to``. Return device, dtype, non_blocking and memory format.

    Positional arguments are a tensor, a dtype, or a device and a dtype, followed by ``non_blocking`` and ``copy``.
    """
    flags = [each for each in args if isinstance(each, bool)]
    for each in args:
        if isinstance(each, flambeau.Tensor):
            device, dtype = each.device, each.dtype
        elif isinstance(each, flambeau.dtype):
            dtype = each
        elif each is not None and not isinstance(each, bool):
            device = each
    where = None if device is None else flambeau.device(device)
    return where, dtype, flags[0] if flags else non_blocking, memory_format
