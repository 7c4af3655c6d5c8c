"""First and second derivatives of a sample, computed with either library."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

import flambeau as fb
from tools.parity.bridge import flat, tensor_to_flambeau, to_numpy
from tools.parity.rebind import rebind


def derivatives(library: Any, call: Any, sample: Any, convert: Callable[[Any], Any], twice: bool) -> Any:
    """Return the gradients of a random combination of the results, and of a random combination of these gradients."""
    args = [convert(a) for a in (sample.input, *sample.args)]
    kwargs = {k: convert(v) for k, v in sample.kwargs.items()}
    torch.manual_seed(0)
    fb.manual_seed(0)
    process = sample.output_process_fn_grad
    outputs = (process if library is torch else rebind(process))(call(*args, **kwargs))
    outputs = [t for t in flat(outputs) if _differentiable(t)]
    leaves = [t for t in flat([args, *kwargs.values()]) if getattr(t, "requires_grad", False)]
    if not leaves or not outputs:
        return None
    grad = library.autograd.grad
    first = grad(outputs, leaves, _directions(outputs, library, 1), create_graph=twice, allow_unused=True)
    if not twice:
        return (_present(first),)
    again = [g for g in first if g is not None and g.requires_grad]
    if not again:
        return _present(first), [NONE] * len(leaves)
    try:
        second = grad(again, leaves, _directions(again, library, 2), allow_unused=True)
    except Exception:
        if library is torch:
            return (_present(first),)
        raise
    return _present(first), _present(second)


NONE = "none"


def _present(gradients: Any) -> list[Any]:
    return [NONE if g is None else g.detach() for g in gradients]


def without_zeros(expected: list[Any], actual: list[Any]) -> tuple[list[Any], list[Any]]:
    """Return both lists of gradients. If both gradients of a pair are None or zeros, replace them with a marker."""
    pairs = [
        (NONE, NONE) if _is_none_or_zero(a) and _is_none_or_zero(b) else (a, b)
        for a, b in zip(expected, actual, strict=True)
    ]
    return [a for a, _ in pairs], [b for _, b in pairs]


def _is_none_or_zero(gradient: Any) -> bool:
    return gradient is NONE or not to_numpy(gradient).any()


def _differentiable(t: Any) -> bool:
    return hasattr(t, "requires_grad") and t.requires_grad


def _directions(tensors: list[Any], library: Any, seed: int) -> list[Any]:
    """Return random tensors with the shapes and dtypes of ``tensors``. Both libraries get the same values."""
    generator = torch.Generator().manual_seed(seed)
    out = []
    for t in tensors:
        dtype = getattr(torch, str(t.dtype).rpartition(".")[2])
        v = torch.randn(tuple(t.shape), dtype=dtype, generator=generator)
        out.append(v if library is torch else tensor_to_flambeau(v))
    return out
