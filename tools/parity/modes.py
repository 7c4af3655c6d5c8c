"""Two cells without values: the dtypes of results inside of autocast, and what operators give on the meta device."""

from __future__ import annotations

from typing import Any

import torch

import flambeau as fb
from tools.parity.bridge import flat, to_flambeau
from tools.parity.rebind import rebind


def autocast_differs(call: Any, counterpart: Any, sample: Any) -> str | None:
    """How the dtypes differ from PyTorch's inside of its CPU's autocast; LookupError where PyTorch refuses."""
    try:
        with torch.autocast("cpu"):
            wanted = _dtypes(call(sample.input, *sample.args, **sample.kwargs))
    except Exception as error:
        raise LookupError from error
    arguments, options = _arguments(sample)
    with fb.autocast("cpu"):
        given = _dtypes(counterpart(*arguments, **options))
    return None if given == wanted else f"results of {given} instead of {wanted}"


def meta_differs(counterpart: Any, sample: Any) -> str | None:
    """How shapes and dtypes on meta differ from those of the CPU; LookupError where the operator is not there on meta.

    Samples that name a device are left out.
    """
    if "device" in sample.kwargs:
        raise LookupError
    arguments, options = _arguments(sample)
    wanted = _geometry(counterpart(*arguments, **options))
    try:
        given = _geometry(counterpart(*_on_meta(arguments), **_on_meta(options)))
    except NotImplementedError as error:
        raise LookupError from error
    except RuntimeError as error:
        if "item() cannot be called on meta" in str(error):
            raise LookupError from error
        raise
    return None if given == wanted else f"{given} on meta instead of {wanted}"


def _arguments(sample: Any) -> tuple[list[Any], dict[str, Any]]:
    return [to_flambeau(a, rebind) for a in (sample.input, *sample.args)], to_flambeau(sample.kwargs, rebind)


def _dtypes(result: Any) -> list[str]:
    return [str(r.dtype).rpartition(".")[2] for r in flat(result) if hasattr(r, "dtype")]


def _geometry(result: Any) -> list[tuple[tuple[int, ...], str]]:
    return [(tuple(r.shape), str(r.dtype)) for r in flat(result) if isinstance(r, fb.Tensor)]


def _on_meta(value: Any) -> Any:
    if isinstance(value, fb.Tensor):
        return value.to("meta")
    if isinstance(value, (list, tuple)):
        return type(value)(map(_on_meta, value))
    return {k: _on_meta(v) for k, v in value.items()} if isinstance(value, dict) else value
