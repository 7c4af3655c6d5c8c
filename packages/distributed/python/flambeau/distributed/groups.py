"""Process groups: the default group of all processes, and subgroups."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Any

import flambeau

from . import _mpi_start
from ._backend_names import Backend, backends_by_device
from ._rendezvous import RendezvousResult, complete_rendezvous
from ._transport import SingleProcessTransport, Transport
from ._watch import Peers
from .stores import PrefixStore, Store, default_pg_timeout, seconds

__all__ = [
    "GroupMember",
    "ProcessGroup",
    "destroy_process_group",
    "get_backend",
    "get_global_rank",
    "get_group_rank",
    "get_node_local_rank",
    "get_process_group_ranks",
    "get_rank",
    "get_world_size",
    "group",
    "init_process_group",
    "is_initialized",
    "member",
    "new_group",
    "new_subgroups",
    "new_subgroups_by_enumeration",
]

_NOT_INITIALIZED = (
    "Default process group has not been initialized: call flambeau.distributed.init_process_group() first, in every "
    "process"
)
_TWICE = "trying to initialize the default process group twice! Call destroy_process_group() first"


class ProcessGroup:
    """Group of processes and its transports, created by `init_process_group` and `new_group`.

    >>> from flambeau import distributed
    >>> distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    >>> distributed.group.WORLD
    ProcessGroup(ranks=[0], backend='gloo')
    >>> distributed.destroy_process_group()
    """

    def __init__(
        self,
        ranks: Sequence[int],
        index: int,
        transports: dict[str, Transport],
        backend: str,
        timeout: timedelta | float,
        name: str,
    ) -> None:
        self.ranks, self._index = list(ranks), index
        self.transports, self._backend, self.timeout = transports, backend, timeout
        self.group_name, self.group_desc = name, "undefined"

    def rank(self) -> int:
        """Return this process's rank within the group."""
        return self._index

    def size(self) -> int:
        """Return the number of processes."""
        return len(self.ranks)

    def name(self) -> str:
        """Return the name of the backend."""
        return self._backend

    def transport(self, device: flambeau.device) -> Transport | None:
        """Return the transport for a device, or None if GPU tensors must be copied to the CPU to be sent.

        Raises: RuntimeError if the group has no transport for the device.
        """
        found = self.transports.get(device.type)
        if found is None and (device.type != "cuda" or "cpu" not in self.transports):
            raise RuntimeError(
                f"No backend type associated with device type {device.type}: this group was created with the backend "
                f"{self._backend!r}, which only supports tensors on {' and '.join(self.transports)} devices; "
                "init_process_group() without a backend uses all available backends"
            )
        return found

    def on_the_host(self) -> Transport:
        """Return the transport for CPU tensors. Raises RuntimeError if it does not exist."""
        found = self.transport(flambeau.device("cpu"))
        assert found is not None
        return found

    def close(self) -> None:
        """Close the transports."""
        for transport in self.transports.values():
            transport.close()

    def __repr__(self) -> str:
        return f"ProcessGroup(ranks={self.ranks}, backend={self._backend!r})"


class _Program:
    """State of this process: the processes of the program, and their groups."""

    def __init__(self, rendezvous: RendezvousResult, backend: str | None, timeout: timedelta | float):
        self.store, self.rank, self.size, self.watch = rendezvous
        self.groups: list[ProcessGroup] = []
        self.made = 0
        self.mpi: Any = None  # module mpi4py.MPI after MPI is started
        self.whole = self.group(range(self.size), backend, timeout)

    def group(self, ranks: Sequence[int], backend: str | None, timeout: timedelta | float) -> ProcessGroup | None:
        """Create a group of ``ranks``. Return None if this process does not belong to it."""
        name = str(self.made)
        self.made += 1
        if self.store is None and self.size > 1 and "nccl" in backends_by_device(backend).values():
            self.store = _mpi_start.shared_store()
        if self.rank not in ranks:
            return None
        transports = {
            device: self._transport(each, ranks, name, timeout) for device, each in backends_by_device(backend).items()
        }
        shown = Backend.UNDEFINED if backend is None else backend.lower()
        made = ProcessGroup(ranks, list(ranks).index(self.rank), transports, shown, timeout, name)
        self.groups.append(made)
        return made

    def _transport(self, backend: str, ranks: Sequence[int], name: str, timeout: timedelta | float) -> Transport:
        if len(ranks) == 1:
            return SingleProcessTransport(backend, timeout)
        peers = None if self.watch is None else Peers(self.watch, ranks, f"{name} {backend}")
        if backend == "nccl":
            from ._nccl import NCCLTransport

            assert self.store is not None  # NCCL requires a store
            store = PrefixStore(f"group {name}", self.store)
            return NCCLTransport(store, list(ranks).index(self.rank), len(ranks), timeout, peers)
        return self._by_mpi(backend, ranks, timeout, peers)

    def _by_mpi(self, backend: str, ranks: Sequence[int], timeout: timedelta | float, peers: Peers | None) -> Transport:
        """Create the MPI transport of ``ranks``. The first call starts MPI."""
        if self.mpi is None:
            with self.blocking("the start of MPI", range(self.size)):
                self.mpi = _mpi_start.start(self.store, self.rank, self.size, self.watch)
        from ._mpi import MPITransport

        with self.blocking("new_group", ranks):
            return MPITransport.of(backend, self.mpi.COMM_WORLD, ranks, timeout, peers)

    def blocking(self, what: str, ranks: Sequence[int]) -> AbstractContextManager[None]:
        """Return a context for a call that cannot be interrupted: this process ends if one of ``ranks`` ends."""
        return nullcontext() if self.watch is None else self.watch.blocking(what, ranks)

    def remove(self, groups: Sequence[ProcessGroup]) -> None:
        """Close and remove groups."""
        for each in groups:
            with self.blocking("destroy_process_group", each.ranks):
                each.close()
            self.groups.remove(each)

    def leave(self) -> None:
        """Tell the other ranks that this process leaves the program."""
        if self.watch is not None:
            self.watch.leave("destroyed its process group")
            self.watch.close()
        if self.store is not None:
            self.store.leave()


_program: _Program | None = None


def init_process_group(
    backend: str | None = None,
    init_method: str | None = None,
    timeout: timedelta | float | None = None,
    world_size: int = -1,
    rank: int = -1,
    store: Store | None = None,
    group_name: str = "",
    pg_options: Any = None,
    device_id: Any = None,
) -> None:
    """Create the default group of all processes of a program. Every process must call this function.

    Start the processes with ``python -m flambeau.distributed.run``, with ``mpiexec``, with
    ``flambeau.multiprocessing.spawn``, or by hand.

    Args:
        backend: ``"gloo"`` or ``"mpi"`` (both are MPI) for CPU tensors and, by copies, GPU tensors; ``"nccl"`` for GPU
            tensors; or ``"cpu:gloo,cuda:nccl"``. None uses all available backends.
        init_method: how the processes find each other: ``"env://"``, ``"tcp://host:port"`` (address of rank 0) or
            ``"file:///path"``. None: through MPI if ``mpiexec`` started them, else ``"env://"``.
        timeout: time limit for waiting for other processes (default: 30 minutes).
        world_size: number of processes; -1 reads it from the environment.
        rank: rank of this process; -1 reads it from the environment.
        store: store for the rendezvous, instead of ``init_method``.
        device_id: this process's GPU, which becomes the current GPU.
    Raises: ValueError if the group exists already, or if rank, number of processes or address are unknown; ImportError
        without MPI; RuntimeError if processes are missing after the timeout. A single process needs no backend.

    >>> from flambeau import distributed
    >>> distributed.init_process_group(store=distributed.HashStore(), rank=0, world_size=1)
    >>> distributed.get_rank(), distributed.get_world_size()
    (0, 1)
    >>> distributed.destroy_process_group()
    """
    global _program
    if _program is not None:
        raise ValueError(_TWICE)
    if store is not None and init_method is not None:
        raise ValueError("Cannot specify both init_method and store.")
    backends_by_device(backend)  # unknown names raise an error before this process waits
    limit = default_pg_timeout if timeout is None else timeout
    seconds(limit)
    if device_id is not None:
        flambeau.cuda.set_device(device_id)
    rendezvous = complete_rendezvous(init_method, store, rank, world_size, limit)
    try:
        _program = _Program(rendezvous, backend, limit)
    except BaseException as error:
        if rendezvous.watch is not None:
            rendezvous.watch.fail("init_process_group", error)
        raise


def _require_program() -> _Program:
    if _program is None:
        raise ValueError(_NOT_INITIALIZED)
    return _program


class _Group:
    """Namespace of ``group.WORLD``: the default group, or None."""

    @property
    def WORLD(self) -> ProcessGroup | None:
        return None if _program is None else _program.whole


class _GroupMember(_Group):
    """Namespace of ``WORLD`` and of ``NON_GROUP_MEMBER``, which `new_group` returns outside the group."""

    NON_GROUP_MEMBER = object()


group, GroupMember = _Group(), _GroupMember()


def _get_default_group() -> ProcessGroup | None:
    """Return the default group. Raises: ValueError if the group is not initialized."""
    return _require_program().whole


def is_initialized() -> bool:
    """Return True if the default group exists.

    >>> from flambeau import distributed
    >>> distributed.init_process_group(store=distributed.HashStore(), rank=0, world_size=1)
    >>> distributed.is_initialized()
    True
    >>> distributed.destroy_process_group()
    """
    return _program is not None


def member(group: Any) -> ProcessGroup | None:
    """Return ``group``, or the default group for None. Return None if this process does not belong to the group.

    >>> from flambeau import distributed
    >>> distributed.init_process_group(store=distributed.HashStore(), rank=0, world_size=1)
    >>> distributed.groups.member(None) is distributed.group.WORLD
    True
    >>> distributed.destroy_process_group()
    """
    whole = _require_program().whole
    if group is None:
        return whole
    if group is GroupMember.NON_GROUP_MEMBER:
        return None
    if not isinstance(group, ProcessGroup):
        raise TypeError(f"group should be a ProcessGroup, as new_group() returns it, got {type(group).__name__}")
    if group not in _require_program().groups:
        raise ValueError("this group was destroyed by destroy_process_group(): create another one")
    return group


def _rank_not_in_group(group: Any) -> bool:
    """Return True if this process is not a member of the group."""
    return group is not None and group is GroupMember.NON_GROUP_MEMBER


def get_rank(group: ProcessGroup | None = None) -> int:
    """Return this process's rank in ``group`` (None: the default group), or -1 if it does not belong to the group.

    >>> from flambeau import distributed
    >>> distributed.init_process_group(store=distributed.HashStore(), rank=0, world_size=1)
    >>> distributed.get_rank(), distributed.get_rank(distributed.GroupMember.NON_GROUP_MEMBER)
    (0, -1)
    >>> distributed.destroy_process_group()
    """
    own_group = member(group)
    return -1 if own_group is None else own_group.rank()


def get_world_size(group: ProcessGroup | None = None) -> int:
    """Return the number of processes of ``group``, or -1 if this process does not belong to the group.

    >>> from flambeau import distributed
    >>> distributed.init_process_group(store=distributed.HashStore(), rank=0, world_size=1)
    >>> distributed.get_world_size()
    1
    >>> distributed.destroy_process_group()
    """
    own_group = member(group)
    return -1 if own_group is None else own_group.size()


def get_backend(group: ProcessGroup | None = None) -> Backend:
    """Return the backend of a group.

    >>> from flambeau import distributed
    >>> distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    >>> distributed.get_backend()
    'gloo'
    >>> distributed.destroy_process_group()
    """
    own_group = member(group)
    if own_group is None:
        raise ValueError("Invalid process group specified: this process does not belong to it")
    return Backend(own_group.name())


def get_node_local_rank(fallback_rank: int | None = None) -> int:
    """Return this process's rank on its machine, from the launcher's variable LOCAL_RANK.

    >>> flambeau.distributed.get_node_local_rank(fallback_rank=0)  # without a launcher
    0
    """
    text = os.environ.get("LOCAL_RANK")
    if text is not None:
        return int(text)
    if fallback_rank is None:
        raise RuntimeError("LOCAL_RANK is not in the environment: use a launcher that sets it, or pass fallback_rank")
    return fallback_rank


def get_process_group_ranks(group: ProcessGroup | None) -> list[int]:
    """Return the global ranks of a group.

    >>> from flambeau import distributed
    >>> distributed.init_process_group(store=distributed.HashStore(), rank=0, world_size=1)
    >>> distributed.get_process_group_ranks(distributed.group.WORLD)
    [0]
    >>> distributed.destroy_process_group()
    """
    own_group = member(group)
    return [] if own_group is None else list(own_group.ranks)


def get_global_rank(group: ProcessGroup, group_rank: int) -> int:
    """Return the global rank of the process with rank ``group_rank`` in a group.

    >>> from flambeau import distributed
    >>> distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    >>> distributed.get_global_rank(distributed.new_group([0]), 0)
    0
    >>> distributed.destroy_process_group()
    """
    ranks = get_process_group_ranks(group)
    if not 0 <= group_rank < len(ranks):
        raise ValueError(f"Group rank {group_rank} is not part of the group of the global ranks {ranks}")
    return ranks[group_rank]


def get_group_rank(group: ProcessGroup, global_rank: int) -> int:
    """Return the rank within a group of the process with global rank ``global_rank``.

    >>> from flambeau import distributed
    >>> distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    >>> distributed.get_group_rank(distributed.new_group([0]), 0)
    0
    >>> distributed.destroy_process_group()
    """
    ranks = get_process_group_ranks(group)
    if global_rank not in ranks:
        raise ValueError(f"Global rank {global_rank} is not part of the group of the global ranks {ranks}")
    return ranks.index(global_rank)


def new_group(
    ranks: Sequence[int] | None = None,
    timeout: timedelta | float | None = None,
    backend: str | None = None,
    pg_options: Any = None,
    use_local_synchronization: bool = False,
    group_desc: str | None = None,
    device_id: Any = None,
) -> Any:
    """Create a group. All processes must call this function in the same order, including those outside the group.

    Args:
        ranks: global ranks of the members; None for all.
        timeout: see `init_process_group` (default: the timeout of the default group).
        backend: see `init_process_group` (default: the backend of the default group).
        use_local_synchronization: if True, only members call this function.
    Returns: the group, or ``GroupMember.NON_GROUP_MEMBER`` in the processes outside it.

    >>> from flambeau import distributed
    >>> distributed.init_process_group(store=distributed.HashStore(), rank=0, world_size=1)
    >>> group = distributed.new_group([0])
    >>> distributed.get_process_group_ranks(group)
    [0]
    >>> distributed.destroy_process_group()
    """
    program = _require_program()
    whole = program.whole
    assert whole is not None  # all processes belong to the default group
    chosen = list(range(program.size)) if ranks is None else sorted(ranks)
    if not chosen or len(set(chosen)) < len(chosen) or not 0 <= chosen[0] <= chosen[-1] < program.size:
        raise ValueError(f"ranks should be different ints from 0 to {program.size - 1}, got {ranks}")
    if backend is None and whole.name() != Backend.UNDEFINED:
        backend = whole.name()
    limit = whole.timeout if timeout is None else timeout
    seconds(limit)
    created = program.group(chosen, backend, limit)
    if created is None:
        return GroupMember.NON_GROUP_MEMBER
    created.group_desc = group_desc or "undefined"
    return created


def new_subgroups_by_enumeration(
    ranks_per_subgroup_list: Sequence[Sequence[int]],
    timeout: timedelta | float | None = None,
    backend: str | None = None,
    pg_options: Any = None,
    group_desc: str | None = None,
) -> tuple[ProcessGroup | None, list[Any]]:
    """Create several disjoint groups. Return this process's group, and all groups.

    >>> from flambeau import distributed
    >>> distributed.init_process_group(store=distributed.HashStore(), rank=0, world_size=1)
    >>> own, groups = distributed.new_subgroups_by_enumeration([[0]])
    >>> own is groups[0]
    True
    >>> distributed.destroy_process_group()
    """
    named = [rank for ranks in ranks_per_subgroup_list for rank in ranks]
    if not named or len(set(named)) < len(named):
        raise ValueError(f"subgroups should be disjoint and not empty, got {ranks_per_subgroup_list}")
    groups = [new_group(ranks, timeout, backend, pg_options, False, group_desc) for ranks in ranks_per_subgroup_list]
    joined = [each for each in groups if each is not GroupMember.NON_GROUP_MEMBER]
    return (joined[0] if joined else None), groups


def new_subgroups(
    group_size: int | None = None,
    group: ProcessGroup | None = None,
    timeout: timedelta | float | None = None,
    backend: str | None = None,
    pg_options: Any = None,
    group_desc: str | None = None,
) -> tuple[ProcessGroup | None, list[Any]]:
    """Create groups of ``group_size`` consecutive ranks. By default, create one group per machine.

    Returns: this process's group, and a list of all groups.

    >>> from flambeau import distributed
    >>> distributed.init_process_group(store=distributed.HashStore(), rank=0, world_size=1)
    >>> own, groups = distributed.new_subgroups(group_size=1)
    >>> own.rank(), len(groups)
    (0, 1)
    >>> distributed.destroy_process_group()
    """
    if group is not None:
        raise NotImplementedError("new_subgroups divides all processes, and does not support the argument 'group'")
    size = group_size or int(os.environ.get("LOCAL_WORLD_SIZE", 0))
    everyone = _require_program().size
    if not size or everyone % size:
        given = f"{size}" if size else "None, without the environment variable LOCAL_WORLD_SIZE"
        raise ValueError(f"group_size should divide the number of processes, {everyone}, got {given}")
    parts = [range(first, first + size) for first in range(0, everyone, size)]
    return new_subgroups_by_enumeration(parts, timeout, backend, pg_options, group_desc)


def destroy_process_group(group: ProcessGroup | None = None) -> None:
    """Destroy a group, by default all groups. Every member must call this function. Sent messages still arrive.

    >>> from flambeau import distributed
    >>> distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    >>> distributed.destroy_process_group()
    >>> distributed.is_initialized()
    False
    """
    global _program
    own_group = member(group)
    if own_group is None:
        return
    program = _require_program()
    if own_group is not program.whole:
        program.remove([own_group])
    else:
        program.remove(program.groups[::-1])
        program.leave()
        _program = None
