"""Conversion of values between PyTorch and flambeau."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import flambeau as fb

Rebuild = Callable[[Any], Any]


def to_flambeau(value: Any, rebind: Rebuild, copy: bool = False) -> Any:
    """Convert a sample's argument to flambeau. ``rebind`` converts functions. If ``copy`` is False, keep strides."""
    if isinstance(value, torch.Tensor):
        return tensor_to_flambeau(value, copy)
    if isinstance(value, torch.dtype):
        return getattr(fb, str(value).removeprefix("torch."))
    if isinstance(value, torch.device):
        return fb.device(str(value))
    if isinstance(value, (torch.memory_format, torch.layout)):
        return getattr(fb, str(value).removeprefix("torch."))
    if isinstance(value, torch.Size):
        return fb.Size(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return tuple(to_flambeau(v, rebind, copy) for v in value)
    if isinstance(value, (tuple, list)):
        return type(value)(to_flambeau(v, rebind, copy) for v in value)
    if isinstance(value, dict):
        return {k: to_flambeau(v, rebind, copy) for k, v in value.items()}
    if isinstance(value, slice):
        return slice(*(to_flambeau(v, rebind, copy) for v in (value.start, value.stop, value.step)))
    return rebind(value) if callable(value) and not isinstance(value, type) else value


def tensor_to_flambeau(t: torch.Tensor, copy: bool = False) -> fb.Tensor:
    """Return a tensor that shares the memory of ``t``, or a copy, with the same ``requires_grad``."""
    plain = t.detach().resolve_conj().resolve_neg()
    plain = clone(plain) if copy else plain
    length = plain.untyped_storage().nbytes() // plain.element_size()
    if length == plain.numel():
        out = _from_numpy(plain)
    else:  # the tensor is a part of a larger storage, which as_strided can access
        whole = _from_numpy(plain.as_strided((length,), (1,), 0))
        out = whole.as_strided(plain.shape, plain.stride(), plain.storage_offset()).detach()
    return out.requires_grad_() if t.requires_grad else out


def _from_numpy(t: torch.Tensor) -> fb.Tensor:
    if t.dtype is torch.bfloat16:
        return fb.from_numpy(t.view(torch.int16).numpy()).view(fb.bfloat16)
    return fb.from_numpy(t.numpy())


def to_numpy(t: Any) -> np.ndarray:
    """Return the values of a tensor of either library, with bfloat16 as float32."""
    if str(t.dtype).endswith("bfloat16"):
        t = t.float()
    if t.dtype is torch.complex32:
        t = t.to(torch.complex64)
    return np.asarray(t.numpy(force=True))


def clone(value: Any) -> Any:
    """Copy an argument of a PyTorch sample. If a tensor is a view of a part of its storage, copy the full storage."""
    if isinstance(value, torch.Tensor):
        plain = value.detach().resolve_conj().resolve_neg()
        length = plain.untyped_storage().nbytes() // plain.element_size()
        if length > plain.numel():
            whole = plain.as_strided((length,), (1,), 0).clone()
            plain = whole.as_strided(plain.shape, plain.stride(), plain.storage_offset())
        else:
            plain = plain.clone(memory_format=torch.contiguous_format)
        return plain.requires_grad_(value.requires_grad)
    if isinstance(value, (tuple, list)) and not hasattr(value, "_fields"):
        return type(value)(clone(v) for v in value)
    if isinstance(value, dict):
        return {k: clone(v) for k, v in value.items()}
    return value


def flat(value: Any) -> list[Any]:
    """Flatten a result to tensors and plain values, in order."""
    if isinstance(value, (tuple, list)) and not isinstance(value, (torch.Size, fb.Size)):
        return [leaf for v in value for leaf in flat(v)]
    return [value]
