"""Placements of distributed tensors. The tensors themselves and their operators are not supported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from flambeau import Tensor, _public_names
from flambeau.distributed.device_mesh import DeviceMesh, init_device_mesh

from .placement_types import Partial, Placement, Replicate, Shard

__all__ = [
    "DTensor",
    "DeviceMesh",
    "Partial",
    "Placement",
    "Replicate",
    "Shard",
    "distribute_module",
    "distribute_tensor",
    "init_device_mesh",
]

_NONE = (
    "flambeau has no tensors that are sharded over processes (DTensor); nn.parallel.DistributedDataParallel divides "
    "the batches, and distributed.optim.ZeroRedundancyOptimizer the state of the optimizer"
)


class DTensor(Tensor):
    """Class of distributed tensors in PyTorch, for ``isinstance`` checks only. flambeau does not support them.

    >>> from flambeau.distributed.tensor import DTensor
    >>> isinstance(fb.ones(2), DTensor)
    False
    """

    def __new__(cls, *_: Any, **__: Any) -> NoReturn:
        raise NotImplementedError(_NONE)

    @staticmethod
    def from_local(*_: Any, **__: Any) -> NoReturn:
        """Raise NotImplementedError: flambeau has no distributed tensors."""
        raise NotImplementedError(_NONE)


def distribute_tensor(
    tensor: Tensor, device_mesh: DeviceMesh | None = None, placements: Sequence[Placement] | None = None, **_: Any
) -> NoReturn:
    """Raise NotImplementedError: flambeau has no distributed tensors."""
    raise NotImplementedError(_NONE)


def distribute_module(module: Any, *_: Any, **__: Any) -> NoReturn:
    """Raise NotImplementedError: flambeau has no distributed tensors."""
    raise NotImplementedError(_NONE)


def __dir__() -> list[str]:
    return _public_names.public_names(globals(), __all__)
