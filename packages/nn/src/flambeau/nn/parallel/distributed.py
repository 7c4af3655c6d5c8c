"""`DistributedDataParallel`, under the name of its module in PyTorch. flambeau-distributed brings it."""

from flambeau.distributed.data_parallel import DistributedDataParallel

__all__ = ["DistributedDataParallel"]
