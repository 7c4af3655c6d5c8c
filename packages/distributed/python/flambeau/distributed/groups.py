"""Groups of processes: the one of all of them, and others of some."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Any

import flambeau

from . import _mpi_start
from ._backend_names import Backend, carriers
from ._rendezvous import Meeting, meeting
from ._transport import Alone, Transport
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
_TWICE = "trying to initialize the default process group twice: call destroy_process_group() before another is made"


class ProcessGroup:
    """Some or all of the processes, and what carries their tensors. `init_process_group` and `new_group` make them."""

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
        """This process's rank within the group."""
        return self._index

    def size(self) -> int:
        """How many processes it has."""
        return len(self.ranks)

    def name(self) -> str:
        """Its backend."""
        return self._backend

    def transport(self, device: flambeau.device) -> Transport | None:
        """What carries the tensors of a device; None for those of a GPU that go through the memory of the CPU.

        Raises: RuntimeError where nothing does.
        """
        found = self.transports.get(device.type)
        if found is None and (device.type != "cuda" or "cpu" not in self.transports):
            raise RuntimeError(
                f"No backend type associated with device type {device.type}: this group was made with the backend "
                f"{self._backend!r}, which carries tensors of {' and '.join(self.transports)} devices; "
                "init_process_group() without a backend takes all there are"
            )
        return found

    def on_the_host(self) -> Transport:
        """What carries tensors of the CPU. Raises: RuntimeError where nothing does."""
        found = self.transport(flambeau.device("cpu"))
        assert found is not None
        return found

    def close(self) -> None:
        """Use it no more."""
        for transport in self.transports.values():
            transport.close()

    def __repr__(self) -> str:
        return f"ProcessGroup(ranks={self.ranks}, backend={self._backend!r})"


class _Program:
    """All processes of a program, as this one knows them."""

    def __init__(self, met: Meeting, backend: str | None, timeout: timedelta | float):
        self.store, self.rank, self.size, self.watch = met
        self.groups: list[ProcessGroup] = []
        self.made = 0
        self.mpi: Any = None  # the module mpi4py.MPI, once it runs
        self.whole = self.group(range(self.size), backend, timeout)

    def group(self, ranks: Sequence[int], backend: str | None, timeout: timedelta | float) -> ProcessGroup | None:
        """A group of some ranks; None if this process is not one of them."""
        name = str(self.made)
        self.made += 1
        if self.store is None and self.size > 1 and "nccl" in carriers(backend).values():
            self.store = _mpi_start.meeting_place()
        if self.rank not in ranks:
            return None
        transports = {device: self._transport(each, ranks, name, timeout) for device, each in carriers(backend).items()}
        shown = Backend.UNDEFINED if backend is None else backend.lower()
        made = ProcessGroup(ranks, list(ranks).index(self.rank), transports, shown, timeout, name)
        self.groups.append(made)
        return made

    def _transport(self, backend: str, ranks: Sequence[int], name: str, timeout: timedelta | float) -> Transport:
        if len(ranks) == 1:
            return Alone(backend, timeout)
        peers = None if self.watch is None else Peers(self.watch, ranks, f"{name} {backend}")
        if backend == "nccl":
            from ._nccl import NCCLTransport

            assert self.store is not None  # there is one where NCCL is
            store = PrefixStore(f"group {name}", self.store)
            return NCCLTransport(store, list(ranks).index(self.rank), len(ranks), timeout, peers)
        return self._by_mpi(backend, ranks, timeout, peers)

    def _by_mpi(self, backend: str, ranks: Sequence[int], timeout: timedelta | float, peers: Peers | None) -> Transport:
        """Return the transport of some ranks by MPI, which the first group that needs it starts."""
        if self.mpi is None:
            with self.blocking("the start of MPI", range(self.size)):
                self.mpi = _mpi_start.start(self.store, self.rank, self.size, self.watch)
        from ._mpi import MPITransport

        with self.blocking("new_group", ranks):
            return MPITransport.of(backend, self.mpi.COMM_WORLD, ranks, timeout, peers)

    def blocking(self, what: str, ranks: Sequence[int]) -> AbstractContextManager[None]:
        """Surround a call that cannot be interrupted, but has to end if one of the ranks does."""
        return nullcontext() if self.watch is None else self.watch.blocking(what, ranks)

    def remove(self, groups: Sequence[ProcessGroup]) -> None:
        """Use some groups no more."""
        for each in groups:
            with self.blocking("destroy_process_group", each.ranks):
                each.close()
            self.groups.remove(each)

    def leave(self) -> None:
        """Take leave of the other ranks."""
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
    """Makes the group of all processes of a program, which each of them calls.

    The processes are started by ``python -m flambeau.distributed.run``, by ``mpiexec``, by
    ``flambeau.multiprocessing.spawn``, or by hand.

    Args:
        backend: ``"gloo"`` or ``"mpi"``, which are both MPI, for tensors of the CPU (and of GPUs, by copies of them),
            ``"nccl"`` for those of GPUs, or ``"cpu:gloo,cuda:nccl"``; None takes what is there.
        init_method: how the processes find each other: ``"env://"``, ``"tcp://host:port"`` (of the process of rank 0)
            or ``"file:///path"``. None: ``mpiexec`` started them, or ``"env://"``.
        timeout: how long processes wait for each other, 30 minutes by default.
        world_size: how many processes there are; -1: the environment says it.
        rank: which of them this is.
        store: where they meet, instead of ``init_method``.
        device_id: this process's GPU, which becomes the current one.
    Raises: ValueError where rank, number or place were not said; ImportError without MPI; RuntimeError if there is
        such a group, or if processes are missing after the timeout. A single process needs neither MPI nor NCCL.

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
        raise ValueError("Cannot specify both init_method and store: they say the same")
    carriers(backend)  # refuses unknown names before anything is waited for
    limit = default_pg_timeout if timeout is None else timeout
    seconds(limit)
    if device_id is not None:
        flambeau.cuda.set_device(device_id)
    met = meeting(init_method, store, rank, world_size, limit)
    try:
        _program = _Program(met, backend, limit)
    except BaseException as error:
        if met.watch is not None:
            met.watch.fail("init_process_group", error)
        raise


def _running() -> _Program:
    if _program is None:
        raise ValueError(_NOT_INITIALIZED)
    return _program


class _Group:
    """``group.WORLD``: the group of all processes, or None."""

    @property
    def WORLD(self) -> ProcessGroup | None:
        return None if _program is None else _program.whole


class _GroupMember(_Group):
    """Also what `new_group` returns in the processes that do not belong to the group."""

    NON_GROUP_MEMBER = object()


group, GroupMember = _Group(), _GroupMember()


def is_initialized() -> bool:
    """Whether the group of all processes was made."""
    return _program is not None


def member(group: Any) -> ProcessGroup | None:
    """A group, by default of all processes; None if this process does not belong to it."""
    whole = _running().whole
    if group is None:
        return whole
    if group is GroupMember.NON_GROUP_MEMBER:
        return None
    if not isinstance(group, ProcessGroup):
        raise TypeError(f"group should be a ProcessGroup, as new_group() returns it, not {type(group).__name__}")
    if group not in _running().groups:
        raise ValueError("this group was destroyed: destroy_process_group() ends it for all later calls")
    return group


def get_rank(group: ProcessGroup | None = None) -> int:
    """This process's rank in a group, by default of all processes; -1 if it does not belong to it."""
    found = member(group)
    return -1 if found is None else found.rank()


def get_world_size(group: ProcessGroup | None = None) -> int:
    """How many processes a group has; -1 if this one does not belong to it."""
    found = member(group)
    return -1 if found is None else found.size()


def get_backend(group: ProcessGroup | None = None) -> Backend:
    """The backend that a group was made with."""
    found = member(group)
    if found is None:
        raise ValueError("Invalid process group specified: this process does not belong to it")
    return Backend(found.name())


def get_node_local_rank(fallback_rank: int | None = None) -> int:
    """This process's rank on its machine, as the launcher has it in LOCAL_RANK."""
    text = os.environ.get("LOCAL_RANK")
    if text is not None:
        return int(text)
    if fallback_rank is None:
        raise RuntimeError("LOCAL_RANK is not in the environment: use a launcher that sets it, or give fallback_rank")
    return fallback_rank


def get_process_group_ranks(group: ProcessGroup | None) -> list[int]:
    """The ranks among all processes that a group has."""
    found = member(group)
    return [] if found is None else list(found.ranks)


def get_global_rank(group: ProcessGroup, group_rank: int) -> int:
    """The rank among all processes of whom a group has at ``group_rank``."""
    ranks = get_process_group_ranks(group)
    if not 0 <= group_rank < len(ranks):
        raise ValueError(f"Group rank {group_rank} is not part of group {group}")
    return ranks[group_rank]


def get_group_rank(group: ProcessGroup, global_rank: int) -> int:
    """The rank within a group of whom all processes know as ``global_rank``."""
    ranks = get_process_group_ranks(group)
    if global_rank not in ranks:
        raise ValueError(f"Global rank {global_rank} is not part of group {group}")
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
    """Makes a group of some processes, which all processes call, in the same order, also those outside it.

    Args:
        ranks: whom it has, in the order of their ranks; None: all.
        timeout: as of `init_process_group`; that of the group of all by default.
        backend: likewise.
        use_local_synchronization: only the processes of the group call.
    Returns: the group, or ``GroupMember.NON_GROUP_MEMBER`` in the processes outside it.
    """
    program = _running()
    whole = program.whole
    assert whole is not None  # all processes belong to it
    chosen = list(range(program.size)) if ranks is None else sorted(ranks)
    if not chosen or len(set(chosen)) < len(chosen) or not 0 <= chosen[0] <= chosen[-1] < program.size:
        raise ValueError(f"ranks should be different ones of 0 to {program.size - 1}, but are {ranks}")
    if backend is None and whole.name() != Backend.UNDEFINED:
        backend = whole.name()
    limit = whole.timeout if timeout is None else timeout
    seconds(limit)
    made = program.group(chosen, backend, limit)
    if made is None:
        return GroupMember.NON_GROUP_MEMBER
    made.group_desc = group_desc or "undefined"
    return made


def new_subgroups_by_enumeration(
    ranks_per_subgroup_list: Sequence[Sequence[int]],
    timeout: timedelta | float | None = None,
    backend: str | None = None,
    pg_options: Any = None,
    group_desc: str | None = None,
) -> tuple[ProcessGroup | None, list[Any]]:
    """Makes several groups, none of which share a process. Returns: this process's group, and all of them."""
    named = [rank for ranks in ranks_per_subgroup_list for rank in ranks]
    if not named or len(set(named)) < len(named):
        raise ValueError(f"subgroups should have processes, each in one of them, but are {ranks_per_subgroup_list}")
    groups = [new_group(ranks, timeout, backend, pg_options, False, group_desc) for ranks in ranks_per_subgroup_list]
    own = [each for each in groups if each is not GroupMember.NON_GROUP_MEMBER]
    return (own[0] if own else None), groups


def new_subgroups(
    group_size: int | None = None,
    group: ProcessGroup | None = None,
    timeout: timedelta | float | None = None,
    backend: str | None = None,
    pg_options: Any = None,
    group_desc: str | None = None,
) -> tuple[ProcessGroup | None, list[Any]]:
    """Makes groups of ``group_size`` processes each, in the order of their ranks; by default one for each machine.

    Returns: this process's group, and all of them.
    """
    if group is not None:
        raise NotImplementedError("new_subgroups divides all processes; those of a group it does not")
    size = group_size or int(os.environ.get("LOCAL_WORLD_SIZE", 0))
    everyone = _running().size
    if not size or everyone % size:
        raise ValueError(f"group_size should divide the number of processes, {everyone}, but is {group_size}")
    parts = [range(first, first + size) for first in range(0, everyone, size)]
    return new_subgroups_by_enumeration(parts, timeout, backend, pg_options, group_desc)


def destroy_process_group(group: ProcessGroup | None = None) -> None:
    """Ends a group, by default all of them; every process of it calls it. What was sent before still arrives."""
    global _program
    found = member(group)
    if found is None:
        return
    program = _running()
    if found is not program.whole:
        program.remove([found])
    else:
        program.remove(program.groups[::-1])
        program.leave()
        _program = None
