"""A module that splits its batches over GPUs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import flambeau
from flambeau import cuda, is_grad_enabled

from ..modules.module import Module
from .parallel_apply import parallel_apply
from .replicate import replicate
from .scatter_gather import gather, scatter_kwargs

__all__ = ["DataParallel", "data_parallel"]


def _index(device: Any) -> int:
    return device if isinstance(device, int) else flambeau.device(device).index or 0


class DataParallel(Module):
    """Data parallelism over the GPUs of this process: each GPU runs a copy of the module on a part of the batch.

    The parameters and buffers of ``module`` are on the first GPU. Each call copies them to the other GPUs, splits the
    batch, and gathers the results. Gradients are summed into the parameters of ``module``. Changes of buffers are kept
    only on the first GPU. Without GPUs, calls are forwarded to ``module``. The keys of ``state_dict()`` have the prefix
    ``module.``.

    Args:
        module: the module to run.
        device_ids: GPUs to use; by default all GPUs.
        output_device: device of the gathered results; the first GPU by default.
        dim: dimension along which batches are split.
    Raises: RuntimeError for a GPU that does not exist and, when called, for a parameter or buffer that is not on the
        first GPU.

    >>> nn.DataParallel(nn.Linear(3, 2))(fb.ones(4, 3)).shape
    flambeau.Size([4, 2])
    """

    def __init__(
        self,
        module: Module,
        device_ids: Sequence[Any] | None = None,
        output_device: Any = None,
        dim: int = 0,
    ) -> None:
        super().__init__()
        self.module = module
        self.dim = dim
        named = range(cuda.device_count()) if device_ids is None else device_ids
        self.device_ids = [_index(each) for each in named] if cuda.is_available() else []
        self.output_device = self.device_ids[0] if output_device is None and self.device_ids else output_device
        if len(self.device_ids) == 1:
            module.to(f"cuda:{self.device_ids[0]}")

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        if not self.device_ids:
            return self.module(*inputs, **kwargs)
        self._check_devices()
        parts, named = self.scatter(inputs, kwargs, self.device_ids)
        if len(self.device_ids) == 1 or len(parts) < 2:
            with cuda.device(self.device_ids[0]):
                return self.module(*(parts[0] if parts else ()), **(named[0] if named else {}))
        replicas = self.replicate(self.module, self.device_ids[: len(parts)])
        return self.gather(self.parallel_apply(replicas, parts, named), self.output_device)

    def _check_devices(self) -> None:
        home = flambeau.device("cuda", self.device_ids[0])
        for tensor in chain(self.module.parameters(), self.module.buffers()):
            if tensor.device != home:
                raise RuntimeError(
                    f"module must have its parameters and buffers on device {home} (device_ids[0]) but found one of "
                    f"them on device: {tensor.device}"
                )

    # The steps of a call, which a subclass can override

    def scatter(
        self, inputs: tuple[Any, ...], kwargs: dict[str, Any], device_ids: Sequence[Any]
    ) -> tuple[tuple[Any, ...], tuple[dict[str, Any], ...]]:
        """Split positional and keyword arguments over the GPUs."""
        return scatter_kwargs(inputs, kwargs, device_ids, self.dim)

    def replicate(self, module: Module, device_ids: Sequence[Any]) -> list[Module]:
        """Copy the module to each GPU."""
        return replicate(module, device_ids, not is_grad_enabled())

    def parallel_apply(self, replicas: Sequence[Module], inputs: Sequence[Any], kwargs: Sequence[Any]) -> list[Any]:
        """Run each replica and return the results."""
        return parallel_apply(replicas, inputs, kwargs, self.device_ids[: len(replicas)])

    def gather(self, outputs: Sequence[Any], output_device: Any) -> Any:
        """Combine the results on the output device."""
        return gather(outputs, output_device, self.dim)


def data_parallel(
    module: Module,
    inputs: Any,
    device_ids: Sequence[Any] | None = None,
    output_device: Any = None,
    dim: int = 0,
    module_kwargs: dict[str, Any] | None = None,
) -> Any:
    """Call a module in parallel on several GPUs, like `DataParallel`.

    Args:
        module: the module, with its parameters on the first GPU.
        inputs: the module's positional arguments: a tuple, or a single argument.
        device_ids, output_device, dim: see `DataParallel`.
        module_kwargs: the module's keyword arguments.
    Returns: the gathered results.
    Raises: RuntimeError if no GPU is available.
    """
    cuda.init()
    args = inputs if isinstance(inputs, tuple) else () if inputs is None else (inputs,)
    return DataParallel(module, device_ids, output_device, dim)(*args, **(module_kwargs or {}))
