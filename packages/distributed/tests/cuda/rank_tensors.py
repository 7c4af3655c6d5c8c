"""Functions that the tests share: tensors that differ between ranks, copies to NumPy, devices and stores."""

import numpy as np

import flambeau as fb
from flambeau import distributed as dist


def rank_tensor(dtype, rank, size=(3, 4)):
    """Return a tensor of small numbers that differ between ranks."""
    return ((fb.arange(float(np.prod(size))) + rank * 5) % 7 + 1).reshape(size).to(dtype)


def to_numpy(tensor):
    """Copy a tensor to a NumPy array."""
    on_cpu = tensor.cpu()
    return on_cpu.numpy() if on_cpu.is_complex() else on_cpu.double().numpy()


def gpu_of_rank():
    """Return the GPU that the calling rank uses."""
    return fb.device("cuda", dist.get_rank())


def store_of_test(name):
    """Return the store that synchronises the ranks of a test."""
    return dist.PrefixStore(f"test {name}", dist.groups._require_program().store)
