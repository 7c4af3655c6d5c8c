"""Further cells: dtypes under autocast, and results of operators on the meta device and on a GPU."""

from __future__ import annotations

from typing import Any

import torch

import flambeau as fb
from flambeau.testing import assert_close
from tools.parity.bridge import flat, to_flambeau
from tools.parity.rebind import rebind


def autocast_differs(call: Any, counterpart: Any, sample: Any) -> str | None:
    """Return how the dtypes under CPU autocast differ from PyTorch's, or None.

    Raises: LookupError if PyTorch raises an error.
    """
    try:
        with torch.autocast("cpu"):
            wanted = _dtypes(call(sample.input, *sample.args, **sample.kwargs))
    except Exception as error:
        raise LookupError from error
    arguments, options = _arguments(sample)
    with fb.autocast("cpu"):
        actual = _dtypes(counterpart(*arguments, **options))
    return None if actual == wanted else f"results of {actual} instead of {wanted}"


def meta_differs(counterpart: Any, sample: Any) -> str | None:
    """Return how the shapes and dtypes on the meta device differ from the shapes and dtypes on the CPU, or None.

    Raises: LookupError if the operator does not support meta, and for samples with a device argument.
    """
    if "device" in sample.kwargs:
        raise LookupError
    arguments, options = _arguments(sample)
    wanted = _geometry(counterpart(*arguments, **options))
    try:
        actual = _geometry(counterpart(*_on(arguments, "meta"), **_on(options, "meta")))
    except NotImplementedError as error:
        raise LookupError from error
    except RuntimeError as error:
        if "item() cannot be called on meta" in str(error):
            raise LookupError from error
        raise
    return None if actual == wanted else f"{actual} on meta instead of {wanted}"


def cuda_differs(counterpart: Any, sample: Any, *, values: bool) -> str | None:
    """Return how results and gradients on a GPU or the emulated GPU differ from results on the CPU, or None.

    If ``values`` is False, only shapes and dtypes are compared.

    Raises: LookupError for samples with a device argument, and if the call fails on the CPU.
    """
    names_device = "device" in sample.kwargs or any(isinstance(a, (torch.device, str)) for a in sample.args)
    if names_device or (isinstance(sample.input, (list, tuple)) and not sample.input):
        raise LookupError
    try:
        wanted, wanted_gradients = _outcome(counterpart, sample, "cpu")
    except (AttributeError, RuntimeError) as error:  # it is missing or rejects tensors that require grad
        raise LookupError from error
    given, given_gradients = _outcome(counterpart, sample, "cuda")
    for name, ours, theirs in (("results", given, wanted), ("gradients", given_gradients, wanted_gradients)):
        if len(ours) != len(theirs):
            return f"{len(ours)} {name} instead of {len(theirs)}"
        for a, b in zip(ours, theirs, strict=True):
            if isinstance(a, fb.Tensor) and not a.is_cuda:
                return f"{name} on {a.device}"
            if values:
                assert_close(a.cpu() if isinstance(a, fb.Tensor) else a, b, equal_nan=True)
            elif _geometry(a) != _geometry(b):
                return f"{name} of {_geometry(a)} instead of {_geometry(b)}"
    return None


def _outcome(counterpart: Any, sample: Any, device: str) -> tuple[list[Any], list[Any]]:
    leaves: list[Any] = []
    arguments, options = (_on(value, device, leaves) for value in _arguments(sample))
    fb.manual_seed(0)
    results = [r for r in flat(counterpart(*arguments, **options)) if isinstance(r, (fb.Tensor, int, float))]
    tracked = [r.abs().sum() for r in results if isinstance(r, fb.Tensor) and r.requires_grad]
    gradients: list[Any] = []
    if tracked and leaves:
        gradients = list(fb.autograd.grad(tracked, leaves, allow_unused=True))
    return [r.detach() if isinstance(r, fb.Tensor) else r for r in results], [g for g in gradients if g is not None]


def _arguments(sample: Any) -> tuple[list[Any], dict[str, Any]]:
    return [to_flambeau(a, rebind) for a in (sample.input, *sample.args)], to_flambeau(sample.kwargs, rebind)


def _dtypes(result: Any) -> list[str]:
    return [str(r.dtype).rpartition(".")[2] for r in flat(result) if hasattr(r, "dtype")]


def _geometry(result: Any) -> list[tuple[tuple[int, ...], str]]:
    return [(tuple(r.shape), str(r.dtype)) for r in flat(result) if isinstance(r, fb.Tensor)]


def _on(value: Any, device: str, leaves: list[Any] | None = None) -> Any:
    """Move tensors to a device. If ``leaves`` is given, compute float64 tensors from new leaves, and append those."""
    if isinstance(value, fb.Tensor):
        moved = value.detach().to(device, copy=True)  # otherwise a view on the CPU would share memory with its base
        if leaves is None or moved.dtype != fb.float64:
            return moved
        leaves.append(moved.requires_grad_())
        return moved.clone(memory_format=fb.preserve_format)
    if isinstance(value, (list, tuple)):
        return type(value)(_on(v, device, leaves) for v in value)
    return {k: _on(v, device, leaves) for k, v in value.items()} if isinstance(value, dict) else value
