"""Copies of a module on several GPUs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from flambeau import Tensor
from flambeau.cuda import comm

from ..modules.module import Module

__all__ = ["replicate"]

M = TypeVar("M", bound=Module)


def replicate(network: M, devices: Sequence[Any], detach: bool = False) -> list[M]:
    """Copy a module to several GPUs. Autograd records the copies, so the original parameters receive the gradients.

    A replica on the GPU of the original module shares the parameters and buffers. In-place changes of a shared buffer
    are therefore visible in the original module.

    Args:
        network: the module.
        devices: the GPUs.
        detach: if True, no gradients flow to the original module.
    Returns: a replica for each GPU.
    """
    tensors = [*network.parameters(), *network.buffers()]
    return [
        _copy_with_tensors(network, dict(zip(map(id, tensors), copies, strict=True)))
        for copies in _broadcast_coalesced_reshape(tensors, devices, detach)
    ]


def _broadcast_coalesced_reshape(
    tensors: Sequence[Tensor], devices: Sequence[Any], detach: bool = False
) -> list[list[Tensor]]:
    """Copy tensors to several GPUs, and return a list of copies for each GPU. The name is PyTorch's."""
    copies = [comm.broadcast(tensor.detach() if detach else tensor, devices) for tensor in tensors]
    return [[replicas[number] for replicas in copies] for number in range(len(devices))]


def _copy_with_tensors(network: M, tensors: dict[int, Tensor]) -> M:
    """Copy a module and its submodules, and replace the parameters and buffers.

    Args:
        network: the module.
        tensors: for the id of each original tensor, the tensor that replaces it.
    Returns: the copy. It shares all other attributes with ``network``.
    """
    replicas: dict[int, Any] = {}
    for module in network.modules():
        replicas[id(module)] = module._replicate_for_data_parallel()
    for module in network.modules():
        replica = vars(replicas[id(module)])
        for registry, others in (("_parameters", tensors), ("_buffers", tensors), ("_modules", replicas)):
            for name, value in vars(module)[registry].items():
                replica[registry][name] = None if value is None else others[id(value)]
    return replicas[id(network)]  # type: ignore[no-any-return]
