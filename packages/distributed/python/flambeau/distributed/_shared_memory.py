"""Collectives of ranks on one machine through shared memory, in native code (src/shared_group.h)."""

from __future__ import annotations

import contextlib
import enum
import mmap
import os
import sys
import uuid
import weakref
from collections.abc import Sequence
from functools import cache
from typing import Any

import flambeau
from flambeau import Tensor

from . import _native
from ._signatures import Signature, mismatch
from .reduce_op import ReduceOp
from .work import Work

__all__ = ["Kind", "SharedMemory", "SharedRequest", "reduces"]

_MAX_RANKS, _MAX_CHUNK, _MEMORY = 64, 64 * 1024, 16 * 1024 * 1024
# Size in bytes above which ranks read tensors directly from each other's memory. Ranks then need not run at the same
# time, so that this is several times faster if there are more processes than processors.
_MIN_POLLED_BYTES = 256 * 1024
_POLL_SECONDS = 100e-6  # maximum seconds that one poll works on a collective
_MAX_TENSORS = 4096  # maximum number of tensors whose addresses fit into a slot
_DONE, _MISMATCH = 1, 2


class Kind(enum.IntEnum):
    """Numbers of the collectives in the native code."""

    CHECK = 0
    ALL_REDUCE = 1
    BROADCAST = 2
    ALL_GATHER = 3
    REDUCE_SCATTER = 4
    ALL_REDUCE_IN_PLACE = 5


@cache
def _name(dtype: flambeau.dtype) -> str:
    return str(dtype).rpartition(".")[2]


@cache
def reduces(op: ReduceOp, dtype: flambeau.dtype) -> bool:
    """Return True if the native code supports reduction ``op`` for ``dtype``."""
    return _native.supports(op.value, _name(dtype))


def _addresses_and_sizes(tensors: Sequence[Tensor]) -> list[tuple[int, int]]:
    return [(each.data_ptr(), each.nbytes) for each in tensors if each.numel()]


class SharedRequest:
    """Request for a collective in progress, with the interface of an MPI request."""

    def __init__(self, memory: SharedMemory, job: object) -> None:
        self._memory, self._job = memory, job

    def Test(self, status: Any = None) -> bool:
        """Make progress, and return whether the collective is complete.

        Raises: RuntimeError if ranks call different collectives.
        """
        state = _native.wait(self._memory.group, self._job, _POLL_SECONDS)
        if state in (_DONE, _MISMATCH):
            self._memory.left.pop(self, None)
        if state == _MISMATCH:
            raise mismatch(self._memory.ranks, _native.texts(self._job))
        return state == _DONE


class SharedMemory:
    """Shared memory of all ranks of a group, with the collectives that use it.

    Args:
        memory: mapping of the same memory in all ranks, initially zero.
        ranks: global ranks of the group, for errors.
        in_place: True if ranks may read each other's private memory, which is required for large tensors.
    """

    def __init__(self, memory: mmap.mmap, rank: int, ranks: Sequence[int], in_place: bool) -> None:
        self.ranks = ranks
        self.group = _native.open_group(memory, rank, len(ranks), _chunk(len(ranks)))
        self._in_place = in_place
        self.left: dict[SharedRequest, Work] = {}  # works that no thread waits for
        self._end = weakref.finalize(self, _native.close_group, self.group)

    @classmethod
    def open(cls, communicator: Any, ranks: Sequence[int]) -> SharedMemory | None:
        """Create the shared memory of the ranks of a communicator. Return None if this is not possible."""
        size = communicator.Get_size()
        if size > _MAX_RANKS or not _on_one_machine(communicator):
            return None
        memory = _mapped(communicator, _native.memory_size(size, _chunk(size)))
        return None if memory is None else cls(memory, communicator.Get_rank(), ranks, _readable(communicator))

    def takes(self, kind: Kind, share: int, signature: Signature) -> bool:
        """Return True if shared memory supports a collective, False if MPI must be used."""
        op, tensor = signature.op, signature.tensor
        if op is not None and tensor is not None and not reduces(op, tensor.dtype):
            return False
        in_place = kind is Kind.ALL_REDUCE and self._in_place and len(signature.shapes) <= _MAX_TENSORS
        return share <= _MIN_POLLED_BYTES or in_place

    def begin(
        self,
        kind: Kind,
        signature: Signature,
        inputs: Sequence[Tensor] = (),
        outputs: Sequence[Tensor] = (),
        share: int = 0,
    ) -> SharedRequest:
        """Start a collective of contiguous tensors.

        Args:
            share: number of bytes that each rank contributes.
        """
        op = "" if signature.op is None else signature.op.value
        dtype = "" if signature.tensor is None else _name(signature.tensor.dtype)
        key, text = signature.encoded()
        given, got = _addresses_and_sizes(inputs), _addresses_and_sizes(outputs)
        if kind is Kind.ALL_REDUCE and share > _MIN_POLLED_BYTES:
            kind = Kind.ALL_REDUCE_IN_PLACE
        return SharedRequest(
            self, _native.begin(self.group, kind, key, text, given, got, share, signature.root, op, dtype)
        )

    def attend(self, request: SharedRequest, work: Work) -> None:
        """Make a native thread complete ``work``, which no thread waits for, and keep the work alive until then."""
        for other in list(self.left.values()):
            other.progress()
        self.left[request] = work
        _native.attend(self.group)


def _chunk(size: int) -> int:
    """Return the size in bytes of the chunks that each rank copies to shared memory, for a group of ``size`` ranks."""
    slots = _native.memory_size(size, 1) - _native.memory_size(size, 0)
    return min(_MAX_CHUNK, _MEMORY // slots // 4096 * 4096)


def _on_one_machine(communicator: Any) -> bool:
    from mpi4py import MPI

    here = communicator.Split_type(MPI.COMM_TYPE_SHARED)
    try:
        return here.Get_size() == communicator.Get_size()  # type: ignore[no-any-return]
    finally:
        here.Free()


def _readable(communicator: Any) -> bool:
    """Return True if all ranks may read each other's private memory. Some systems forbid it."""
    sample = flambeau.ones(1)
    others = communicator.allgather((os.getpid(), sample.data_ptr()))
    readable = all(_native.may_read(*other) for other in others)
    return bool(min(communicator.allgather(readable)))


def _mapped(communicator: Any, size: int) -> mmap.mmap | None:
    """Map the same ``size`` bytes of a file in all ranks and unlink the file. Return None in all ranks if one fails."""
    path = communicator.bcast(_create_file(size) if communicator.Get_rank() == 0 else None, 0)
    mapping = None
    with contextlib.suppress(OSError):  # no /dev/shm, or not enough memory: MPI is used instead
        descriptor = os.open(path, os.O_RDWR)
        try:
            mapping = mmap.mmap(descriptor, size)
        finally:
            os.close(descriptor)
    everywhere = min(communicator.allgather(mapping is not None))
    if communicator.Get_rank() == 0 and path:
        os.unlink(path)
    return mapping if everywhere else None


def _create_file(size: int) -> str:
    """Create a file of ``size`` bytes in /dev/shm and return its path, or an empty string if that fails."""
    if sys.platform != "linux":  # there is no such folder
        return ""
    path = f"/dev/shm/flambeau-{os.getpid()}-{uuid.uuid4().hex}"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError:
        return ""
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError:
        os.unlink(path)
        return ""
    finally:
        os.close(descriptor)
    return path
