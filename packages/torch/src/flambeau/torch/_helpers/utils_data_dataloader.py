"""Helpers of ``torch.utils.data.dataloader``."""

import importlib
from typing import Any

import flambeau

_utils = importlib.import_module("torch.utils.data._utils")  # flambeau's module under PyTorch's name


def _share_dist_seed(generator: flambeau.Generator | None, pg: Any) -> int:
    """Draw a seed. If ``pg`` is a process group, all its processes return the number that the first one draws."""
    seed = flambeau.empty((), dtype=flambeau.int64).random_(generator=generator)
    if pg is not None:
        flambeau.distributed.broadcast(seed, src=0, group=pg)
    return int(seed.item())
