"""Modules on several GPUs, each with its own arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flambeau import cuda

from ..modules.module import Module

__all__ = ["parallel_apply"]


def parallel_apply(
    modules: Sequence[Module],
    inputs: Sequence[Any],
    kwargs_tup: Sequence[dict[str, Any]] | None = None,
    devices: Sequence[Any] | None = None,
) -> list[Any]:
    """Call modules one after another. Each queues its work and goes on, so that the GPUs compute beside one another.

    Args:
        modules: one for each GPU.
        inputs: the arguments of each, as a tuple or list, or the only one.
        kwargs_tup: the keyword arguments of each.
        devices: the GPU of each; those that their inputs are on by default.
    Returns: what each returns.
    Raises: AssertionError for other numbers of arguments or GPUs than modules; what a module raises.
    """
    for name, given in (("inputs", inputs), ("kwargs_tup", kwargs_tup), ("devices", devices)):
        if given is not None and len(given) != len(modules):
            raise AssertionError(
                f"The number of modules {len(modules)} is not equal to the number of {name} {len(given)}"
            )
    results = []
    for number, module in enumerate(modules):
        args = inputs[number] if isinstance(inputs[number], (list, tuple)) else (inputs[number],)
        kwargs = kwargs_tup[number] if kwargs_tup is not None else {}
        with cuda.device(devices[number]) if devices is not None else cuda.device_of(args[0]):
            results.append(module(*args, **kwargs))
    return results
