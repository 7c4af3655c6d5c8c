"""Functions of ``torch.distributed._functional_collectives``, PyTorch's private module."""

import importlib
from collections.abc import Sequence
from typing import Any

from flambeau import Tensor

__all__ = ["all_to_all_single_autograd", "wait_tensor"]


def wait_tensor(tensor: Tensor) -> Tensor:
    """Return ``tensor`` unchanged, because the collectives of this module wait for their results."""
    return tensor


def all_to_all_single_autograd(
    self: Tensor,
    output_split_sizes: Sequence[int] | None,
    input_split_sizes: Sequence[int] | None,
    group: Any,
    tag: str = "",
) -> Tensor:
    """Exchange rows between the processes of a group. Like ``all_to_all_single``, but differentiable."""
    differentiable = importlib.import_module("flambeau.distributed.nn.functional")  # requires flambeau-nn
    rows = self.shape[0] if output_split_sizes is None else sum(output_split_sizes)
    output = self.new_empty((rows, *self.shape[1:]))
    result: Tensor = differentiable.all_to_all_single(output, self, output_split_sizes, input_split_sizes, group)
    return result
