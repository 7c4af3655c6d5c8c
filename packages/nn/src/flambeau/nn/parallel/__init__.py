"""Data parallelism: copies of a module process parts of the batch on several GPUs or in several processes."""

import importlib
from typing import TYPE_CHECKING, Any

from flambeau import _public_names, _suggestions

from .data_parallel import DataParallel, data_parallel
from .parallel_apply import parallel_apply
from .replicate import replicate
from .scatter_gather import gather, scatter

if TYPE_CHECKING:
    from .distributed import DistributedDataParallel as DistributedDataParallel

__all__ = [
    "DataParallel",
    "DistributedDataParallel",
    "data_parallel",
    "gather",
    "parallel_apply",
    "replicate",
    "scatter",
]


if not TYPE_CHECKING:  # a type checker that sees __getattr__ does not report names that do not exist

    def __getattr__(name: str) -> Any:
        if name == "DistributedDataParallel":  # defined in flambeau-distributed
            return importlib.import_module(".distributed", __name__).DistributedDataParallel
        raise _suggestions.unknown_attribute(__name__, name)


def __dir__() -> list[str]:
    return _public_names.public_names(globals(), __all__)
