"""Reductions, broadcast and barriers over the processes of a group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flambeau
from flambeau import Tensor

from ._buffers import copy_received, receive_buffer, send_buffer, stack_rows, transport_for, wait_unless_async
from ._checks import among_members, check_list, check_operation, check_same_call, check_tensor, resolve_group_rank
from .errors import DistBackendError
from .reduce_op import ReduceOp
from .stores import seconds
from .work import Work

__all__ = [
    "all_reduce",
    "all_reduce_coalesced",
    "barrier",
    "broadcast",
    "monitored_barrier",
    "reduce",
    "reduce_scatter",
    "reduce_scatter_tensor",
]

# Tag of messages of `monitored_barrier`; programs must not use it.
_MONITORED = 32_767


@among_members
def all_reduce(tensor: Tensor, op: ReduceOp = ReduceOp.SUM, group: Any = None, async_op: bool = False) -> Work | None:
    """Reduce the tensors of all processes elementwise, in place. All processes get the result.

    Args:
        tensor: tensor with the same shape and dtype in all processes.
        op: reduction (`ReduceOp`).
        group: group of processes; None for all.
        async_op: if True, return a `Work` immediately; if False, wait. All collectives have this argument.
    Returns: a `Work` if ``async_op`` is True, otherwise None.
    Raises: TypeError, ValueError for unsupported arguments; RuntimeError if processes do not take part in time.

    >>> total = fb.tensor([1.0, 2.0])
    >>> flambeau.distributed.all_reduce(total)  # a group of one process
    >>> total
    tensor([1., 2.])
    """
    check_operation("all_reduce", op, check_tensor("all_reduce", "tensor", tensor).dtype)
    check_same_call(group, "all_reduce", op.name, tensor)
    transport, device = transport_for(group, tensor)
    sent = send_buffer(tensor, device)
    return wait_unless_async(copy_received(transport.all_reduce(sent, op), tensor, sent), async_op, [tensor])


@among_members
def all_reduce_coalesced(
    tensors: Sequence[Tensor], op: ReduceOp = ReduceOp.SUM, group: Any = None, async_op: bool = False
) -> Work | None:
    """Reduce several tensors of one dtype and device like `all_reduce`, in one message.

    >>> totals = [fb.ones(2), fb.tensor([3.0])]
    >>> flambeau.distributed.all_reduce_coalesced(totals)  # a group of one process
    >>> totals
    [tensor([1., 1.]), tensor([3.])]
    """
    checked = check_list("all_reduce_coalesced", "tensors", tensors, len(tensors), None)
    if not checked:
        raise ValueError("all_reduce_coalesced: tensors should not be empty")
    first = checked[0]
    check_operation("all_reduce_coalesced", op, first.dtype)
    if any((each.dtype, each.device) != (first.dtype, first.device) for each in checked):
        kinds = ", ".join(sorted({f"{each.dtype} on {each.device}" for each in checked}))
        raise ValueError(f"all_reduce_coalesced: tensors should have the same dtype and device, got {kinds}")
    check_same_call(group, "all_reduce_coalesced", op.name, *checked)
    transport, device = transport_for(group, first)
    sent = [send_buffer(each, device) for each in checked]
    work = transport.all_reduce_coalesced(sent, op)
    for each, one in zip(checked, sent, strict=True):
        copy_received(work, each, one)
    return wait_unless_async(work, async_op, checked)


@among_members
def reduce(
    tensor: Tensor,
    dst: int | None = None,
    op: ReduceOp = ReduceOp.SUM,
    group: Any = None,
    async_op: bool = False,
    group_dst: int | None = None,
) -> Work | None:
    """Reduce the tensors of all processes like `all_reduce`. Only the process of rank ``dst`` gets the result.

    In other processes, the contents of ``tensor`` are undefined afterwards.

    >>> total = fb.tensor([1.0, 2.0])
    >>> flambeau.distributed.reduce(total, dst=0)  # a group of one process
    >>> total
    tensor([1., 2.])
    """
    check_operation("reduce", op, check_tensor("reduce", "tensor", tensor).dtype)
    root = resolve_group_rank("reduce", "dst", group, dst, group_dst)
    check_same_call(group, "reduce", op.name, root, tensor)
    transport, device = transport_for(group, tensor)
    sent = send_buffer(tensor, device)
    return wait_unless_async(copy_received(transport.reduce(sent, root, op), tensor, sent), async_op, [tensor])


@among_members
def reduce_scatter_tensor(
    output: Tensor, input: Tensor, op: ReduceOp = ReduceOp.SUM, group: Any = None, async_op: bool = False
) -> Work | None:
    """Reduce the tensors of all processes and scatter the result: each process gets one part.

    Args:
        output: tensor that receives the part of this process.
        input: parts for all processes, concatenated or stacked.
        op: reduction (`ReduceOp`).

    >>> part = fb.empty(2)
    >>> flambeau.distributed.reduce_scatter_tensor(part, fb.tensor([1.0, 2.0]))  # a group of one process
    >>> part
    tensor([1., 2.])
    """
    check_operation("reduce_scatter_tensor", op, check_tensor("reduce_scatter_tensor", "input", input).dtype)
    check_tensor("reduce_scatter_tensor", "output", output)
    if output.dtype != input.dtype or output.numel() * group.size() != input.numel():
        raise ValueError(
            f"reduce_scatter_tensor: the input should have the elements of {group.size()} outputs, got input shape "
            f"{list(input.shape)} of {input.dtype} and output shape {list(output.shape)} of {output.dtype}"
        )
    check_same_call(group, "reduce_scatter_tensor", op.name, input)
    transport, device = transport_for(group, input)
    buffer = receive_buffer(output, device)
    work = transport.reduce_scatter(buffer, send_buffer(input, device), op)
    return wait_unless_async(copy_received(work, output, buffer), async_op, [output])


@among_members
def reduce_scatter(
    output: Tensor,
    input_list: Sequence[Tensor],
    op: ReduceOp = ReduceOp.SUM,
    group: Any = None,
    async_op: bool = False,
) -> Work | None:
    """Reduce and scatter a list of parts, with one tensor per process, like `reduce_scatter_tensor`.

    >>> part = fb.empty(2)
    >>> flambeau.distributed.reduce_scatter(part, [fb.tensor([1.0, 2.0])])  # a group of one process
    >>> part
    tensor([1., 2.])
    """
    check_operation("reduce_scatter", op, check_tensor("reduce_scatter", "output", output).dtype)
    inputs = check_list("reduce_scatter", "input_list", input_list, group.size(), output)
    check_same_call(group, "reduce_scatter", op.name, output)
    transport, device = transport_for(group, output)
    buffer, parts = receive_buffer(output, device), stack_rows(inputs, device)
    assert parts is not None  # because the group is not empty
    work = transport.reduce_scatter(buffer, parts, op)
    return wait_unless_async(copy_received(work, output, buffer), async_op, [output])


@among_members
def broadcast(
    tensor: Tensor, src: int | None = None, group: Any = None, async_op: bool = False, group_src: int | None = None
) -> Work | None:
    """Copy the tensor of rank ``src`` to all processes. Its shape and dtype must be the same in all processes.

    >>> weight = fb.tensor([1.0, 2.0])
    >>> flambeau.distributed.broadcast(weight, src=0)  # a group of one process
    >>> weight
    tensor([1., 2.])
    """
    check_tensor("broadcast", "tensor", tensor)
    root = resolve_group_rank("broadcast", "src", group, src, group_src)
    check_same_call(group, "broadcast", root, tensor)
    transport, device = transport_for(group, tensor)
    sent = send_buffer(tensor, device) if group.rank() == root else receive_buffer(tensor, device)
    work = transport.broadcast(sent, root)
    return wait_unless_async(work if group.rank() == root else copy_received(work, tensor, sent), async_op, [tensor])


@among_members
def barrier(group: Any = None, async_op: bool = False, device_ids: Any = None) -> Work | None:
    """Wait until all processes of the group have called this function.

    Args:
        device_ids: list with the index of this process's GPU. If given, also wait for the GPUs' work.

    >>> flambeau.distributed.barrier()  # a group of one process: returns immediately
    """
    check_same_call(group, "barrier")
    kinds = list(group.transports)
    transport = group.transports["cuda" if device_ids and "cuda" in kinds else kinds[0]]
    return wait_unless_async(transport.barrier(), async_op, [])


@among_members
def monitored_barrier(group: Any = None, timeout: Any = None, wait_all_ranks: bool = False) -> None:
    """Wait like `barrier`. Rank 0 of the group raises an error that names the processes that are late.

    Args:
        timeout: time limit (default: the group's timeout).
        wait_all_ranks: if True, name all missing processes, not only the first.
    Raises: RuntimeError if processes are missing.

    >>> flambeau.distributed.monitored_barrier(timeout=60.0, wait_all_ranks=True)
    """
    limit = seconds(timeout, group.timeout)
    transport = group.on_the_host()
    if group.rank():
        transport.send(flambeau.zeros(1), 0, _MONITORED).wait(limit)
        transport.receive(flambeau.zeros(1), 0, _MONITORED).wait(limit)
        return
    missing = []
    for rank in range(1, group.size()):
        try:
            transport.receive(flambeau.zeros(1), rank, _MONITORED).wait(limit)
        except DistBackendError:
            missing.append(group.ranks[rank])
            if not wait_all_ranks:
                break
    if missing:
        ranks = ", ".join(str(rank) for rank in missing)
        raise DistBackendError(f"Ranks {ranks} failed to pass monitoredBarrier in {limit:g} s")
    for rank in range(1, group.size()):
        transport.send(flambeau.zeros(1), rank, _MONITORED).wait(limit)
    return
