"""`DistributedDataParallel` of flambeau-distributed, under PyTorch's module name."""

from flambeau.distributed.data_parallel import DistributedDataParallel

__all__ = ["DistributedDataParallel"]
