"""Calls of several modules on several GPUs, with separate arguments for each module."""

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
    """Call modules one after another. Each call only queues GPU work, so the GPUs compute in parallel.

    Args:
        modules: one module for each GPU.
        inputs: the positional arguments of each module: a tuple or list, or a single argument.
        kwargs_tup: the keyword arguments of each module.
        devices: the GPU of each module; by default the GPU of its inputs.
    Returns: the results of the modules.
    Raises: AssertionError if the number of arguments or GPUs differs from the number of modules; any exception that a
        module raises.

    >>> nn.parallel.parallel_apply([nn.ReLU(), nn.Identity()], [fb.tensor([-1.0]), fb.tensor([-2.0])])
    [tensor([0.]), tensor([-2.])]
    """
    for name, values in (("inputs", inputs), ("kwargs_tup", kwargs_tup), ("devices", devices)):
        if values is not None and len(values) != len(modules):
            raise AssertionError(
                f"The number of modules {len(modules)} is not equal to the number of {name} {len(values)}"
            )
    results = []
    for number, module in enumerate(modules):
        args = inputs[number] if isinstance(inputs[number], (list, tuple)) else (inputs[number],)
        kwargs = kwargs_tup[number] if kwargs_tup is not None else {}
        with cuda.device(devices[number]) if devices is not None else cuda.device_of(args[0]):
            results.append(module(*args, **kwargs))
    return results
