"""Cell of forward-mode differentiation: the tangents of an operator's results, for random tangents of its inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.autograd import forward_ad as torch_forward_ad

import flambeau as fb
from flambeau.autograd import forward_ad
from tools.parity.bridge import clone, flat, tensor_to_flambeau, to_flambeau
from tools.parity.compare import difference
from tools.parity.rebind import rebind


def tangents_differ(call: Any, counterpart: Any, sample: Any, values: bool) -> str | None:
    """Return how flambeau's tangents differ from PyTorch's, or None. Raises: LookupError if PyTorch has no tangents."""
    try:
        wanted = _tangents(torch, torch_forward_ad, call, sample, clone, lambda t: t)
    except Exception as error:
        raise LookupError from error
    if not wanted:
        raise LookupError
    process = rebind(sample.output_process_fn_grad)
    actual = _tangents(fb, forward_ad, counterpart, sample, _converted, tensor_to_flambeau, process)
    if len(wanted) != len(actual):
        return f"{len(actual)} results that can have tangents instead of {len(wanted)}"
    for a, b in zip(wanted, actual, strict=True):
        if problem := difference(a, b, values=values):
            return f"tangent: {problem}"
    return None


def _converted(value: Any) -> Any:
    return to_flambeau(value, rebind, copy=True)


def _tangents(
    library: Any,
    mode: Any,
    call: Any,
    sample: Any,
    convert: Callable[[Any], Any],
    direction: Callable[[torch.Tensor], Any],
    process: Any = None,
) -> list[Any]:
    """Call a function with random tangents, the same for both libraries, and return the tangents of its results."""
    generator = torch.Generator().manual_seed(1)

    def dual(value: Any) -> Any:
        if isinstance(value, (torch.Tensor, fb.Tensor)):
            if not value.requires_grad:
                return value
            dtype = getattr(torch, str(value.dtype).rpartition(".")[2])
            tangent = torch.randn(tuple(value.shape), dtype=dtype, generator=generator)
            return mode.make_dual(value.detach(), direction(tangent))
        if isinstance(value, (tuple, list)) and not hasattr(value, "_fields"):
            return type(value)(map(dual, value))
        return {k: dual(v) for k, v in value.items()} if isinstance(value, dict) else value

    torch.manual_seed(0)
    fb.manual_seed(0)
    with mode.dual_level():
        args = [dual(convert(a)) for a in (sample.input, *sample.args)]
        kwargs = {k: dual(convert(v)) for k, v in sample.kwargs.items()}
        results = (process or sample.output_process_fn_grad)(call(*args, **kwargs))
        pairs = [mode.unpack_dual(t) for t in flat(results) if isinstance(t, library.Tensor)]
        return [library.zeros_like(p) if t is None else t for p, t in pairs if p.is_floating_point() or p.is_complex()]
