"""What programs use of ``torch.distributed._functional_collectives``, PyTorch's private module."""

from flambeau import Tensor

__all__ = ["wait_tensor"]


def wait_tensor(tensor: Tensor) -> Tensor:
    """The tensor itself: what a collective operation has returned needs no waiting for."""
    return tensor
