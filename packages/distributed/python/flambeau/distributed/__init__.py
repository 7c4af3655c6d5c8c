"""Communication between the processes of a program, on one or several machines.

MPI sends CPU tensors (``pip install "flambeau-distributed[mpi]"``: mpi4py and MPICH). NCCL sends GPU tensors. A
program with a single process needs neither. Start the processes with

    python -m flambeau.distributed.run --nproc-per-node=2 program.py
    mpiexec -n 2 python program.py

or with ``flambeau.multiprocessing.spawn``.
"""

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

from flambeau import _extension_points, _public_names, _suggestions

from ._backend_names import Backend, is_gloo_available, is_mpi_available, is_nccl_available
from ._checks import DebugLevel, get_debug_level, set_debug_level, set_debug_level_from_env
from ._rendezvous import rendezvous
from .collectives import (
    all_reduce,
    all_reduce_coalesced,
    barrier,
    broadcast,
    monitored_barrier,
    reduce,
    reduce_scatter,
    reduce_scatter_tensor,
)
from .errors import DistBackendError, DistError, DistNetworkError, DistStoreError
from .exchanges import (
    all_gather,
    all_gather_coalesced,
    all_gather_into_tensor,
    all_to_all,
    all_to_all_single,
    gather,
    scatter,
)
from .grad_bucket import GradBucket
from .groups import (
    GroupMember,
    ProcessGroup,
    _get_default_group as _get_default_group,
    _rank_not_in_group as _rank_not_in_group,
    destroy_process_group,
    get_backend,
    get_global_rank,
    get_group_rank,
    get_node_local_rank,
    get_process_group_ranks,
    get_rank,
    get_world_size,
    group,
    init_process_group,
    is_initialized,
    member as _member,
    new_group,
    new_subgroups,
    new_subgroups_by_enumeration,
)
from .objects import (
    all_gather_object,
    broadcast_object_list,
    gather_object,
    recv_object_list,
    scatter_object_list,
    send_object_list,
)
from .point_to_point import P2POp, batch_isend_irecv, irecv, isend, recv, send
from .reduce_op import ReduceOp
from .stores import FileStore, HashStore, PrefixStore, Store, default_pg_timeout
from .tcp_store import TCPStore
from .work import Work

__all__ = [
    "Backend",
    "DebugLevel",
    "DistBackendError",
    "DistError",
    "DistNetworkError",
    "DistStoreError",
    "FileStore",
    "GradBucket",
    "GroupMember",
    "HashStore",
    "P2POp",
    "PrefixStore",
    "ProcessGroup",
    "ReduceOp",
    "Store",
    "TCPStore",
    "Work",
    "all_gather",
    "all_gather_coalesced",
    "all_gather_into_tensor",
    "all_gather_object",
    "all_reduce",
    "all_reduce_coalesced",
    "all_to_all",
    "all_to_all_single",
    "barrier",
    "batch_isend_irecv",
    "broadcast",
    "broadcast_object_list",
    "default_pg_timeout",
    "destroy_process_group",
    "gather",
    "gather_object",
    "get_backend",
    "get_debug_level",
    "get_global_rank",
    "get_group_rank",
    "get_node_local_rank",
    "get_process_group_ranks",
    "get_rank",
    "get_world_size",
    "group",
    "init_process_group",
    "irecv",
    "is_available",
    "is_gloo_available",
    "is_initialized",
    "is_mpi_available",
    "is_nccl_available",
    "is_torchelastic_launched",
    "isend",
    "monitored_barrier",
    "new_group",
    "new_subgroups",
    "new_subgroups_by_enumeration",
    "recv",
    "recv_object_list",
    "reduce",
    "reduce_scatter",
    "reduce_scatter_tensor",
    "rendezvous",
    "scatter",
    "scatter_object_list",
    "send",
    "send_object_list",
    "set_debug_level",
    "set_debug_level_from_env",
]


def is_available() -> bool:
    """Return True, except on Windows, where programs of several processes are not supported.

    If MPI or NCCL is missing, functions that use it raise errors.

    >>> flambeau.distributed.is_available()
    True
    """
    return sys.platform != "win32"


def is_torchelastic_launched() -> bool:
    """Return True if ``flambeau.distributed.run`` started this process.

    >>> flambeau.distributed.is_torchelastic_launched()
    False
    """
    return "TORCHELASTIC_RUN_ID" in os.environ


def __dir__() -> list[str]:
    return _public_names.public_names(globals(), __all__)


def _joined_group(group: ProcessGroup | None) -> ProcessGroup | None:
    """Return the group over which SyncBatchNorm computes its statistics, or None for a single process."""
    own_group = _member(group) if is_initialized() else None
    return None if own_group is None or own_group.size() == 1 else own_group


def _joined_batch_norm(*args: Any) -> Any:
    # Imported on first use, because it needs autograd.
    return importlib.import_module(f"{__name__}._joined_batch_norm").joined_batch_norm(*args)


_extension_points.joined_group = _joined_group
_extension_points.joined_batch_norm = _joined_batch_norm


def _load(name: str) -> Any:
    if name in ("nn", "optim"):
        return importlib.import_module(f"{__name__}.{name}")
    if name == "_get_global_rank":  # former name in PyTorch, which libraries import
        return get_global_rank
    raise _suggestions.unknown_attribute(__name__, name)


if not TYPE_CHECKING:  # hidden from type checkers, so that they report undefined names
    __getattr__ = _load
