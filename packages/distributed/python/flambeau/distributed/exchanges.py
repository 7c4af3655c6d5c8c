"""Gather, scatter and all-to-all over the processes of a group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flambeau import Tensor

from ._buffers import copy_received, receive_buffer, send_buffer, stack_rows, transport_for, wait_unless_async
from ._checks import among_members, check_list, check_same_call, check_tensor, resolve_group_rank
from .work import Work

__all__ = [
    "all_gather",
    "all_gather_coalesced",
    "all_gather_into_tensor",
    "all_to_all",
    "all_to_all_single",
    "gather",
    "scatter",
]


@among_members
def all_gather_into_tensor(
    output_tensor: Tensor, input_tensor: Tensor, group: Any = None, async_op: bool = False
) -> Work | None:
    """Concatenate or stack the tensors of all processes, in all processes.

    Args:
        output_tensor: tensor that receives the concatenated or stacked tensors. It has
            ``group size * input_tensor.numel()`` elements.
        input_tensor: tensor with the same shape and dtype in all processes.

    >>> stacked = fb.empty(1, 2)  # a group of one process
    >>> flambeau.distributed.all_gather_into_tensor(stacked, fb.tensor([1.0, 2.0]))
    >>> stacked
    tensor([[1., 2.]])
    """
    check_tensor("all_gather_into_tensor", "input_tensor", input_tensor)
    check_tensor("all_gather_into_tensor", "output_tensor", output_tensor)
    if output_tensor.dtype != input_tensor.dtype or output_tensor.numel() != group.size() * input_tensor.numel():
        raise ValueError(
            f"all_gather_into_tensor: the output should have the elements of {group.size()} inputs, got output shape "
            f"{list(output_tensor.shape)} of {output_tensor.dtype} and input shape {list(input_tensor.shape)} of "
            f"{input_tensor.dtype}"
        )
    check_same_call(group, "all_gather_into_tensor", input_tensor)
    transport, device = transport_for(group, input_tensor)
    buffer = receive_buffer(output_tensor, device)
    work = transport.all_gather(buffer, send_buffer(input_tensor, device))
    return wait_unless_async(copy_received(work, output_tensor, buffer), async_op, [output_tensor])


@among_members
def all_gather(tensor_list: Sequence[Tensor], tensor: Tensor, group: Any = None, async_op: bool = False) -> Work | None:
    """Copy the tensors of all processes to a list, in all processes.

    Args:
        tensor_list: list of one tensor per process, which receives the data.
        tensor: tensor with the same shape and dtype in all processes.

    >>> gathered = [fb.empty(2)]
    >>> flambeau.distributed.all_gather(gathered, fb.tensor([1.0, 2.0]))
    >>> gathered
    [tensor([1., 2.])]
    """
    check_tensor("all_gather", "tensor", tensor)
    outputs = check_list("all_gather", "tensor_list", tensor_list, group.size(), tensor)
    check_same_call(group, "all_gather", tensor)
    transport, device = transport_for(group, tensor)
    buffer = tensor.new_empty((group.size(), tensor.numel()), device=device)
    work = transport.all_gather(buffer, send_buffer(tensor, device))
    return wait_unless_async(_copy_to_outputs(work, outputs, buffer), async_op, outputs)


def _copy_to_outputs(work: Work, outputs: Sequence[Tensor], buffer: Tensor) -> Work:
    """Make ``work`` copy row ``i`` of ``buffer`` to ``outputs[i]`` when it is complete."""
    for output, row in zip(outputs, buffer, strict=True):
        copy_received(work, output, row)
    return work


@among_members
def all_gather_coalesced(
    output_tensor_lists: Sequence[Sequence[Tensor]],
    input_tensor_list: Sequence[Tensor],
    group: Any = None,
    async_op: bool = False,
) -> Work | None:
    """Gather several tensors: ``output_tensor_lists[rank][i]`` receives ``input_tensor_list[i]`` of that rank.

    >>> gathered = [[fb.empty(2), fb.empty(1)]]  # a group of one process
    >>> flambeau.distributed.all_gather_coalesced(gathered, [fb.tensor([1.0, 2.0]), fb.tensor([3.0])])
    >>> gathered
    [[tensor([1., 2.]), tensor([3.])]]
    """
    inputs = check_list("all_gather_coalesced", "input_tensor_list", input_tensor_list, len(input_tensor_list), None)
    columns = list(zip(*output_tensor_lists, strict=True))
    if len(columns) != len(inputs):
        raise ValueError(
            f"all_gather_coalesced: expected lists of {len(inputs)} outputs, one for each input, got {len(columns)}"
        )
    works = [all_gather(column, each, group, async_op=True) for column, each in zip(columns, inputs, strict=True)]
    if not works:
        return None
    last = works.pop()
    assert last is not None
    last.finish_with(lambda: [work.wait() for work in works if work is not None])
    return wait_unless_async(last, async_op, [output for column in columns for output in column])


@among_members
def gather(
    tensor: Tensor,
    gather_list: Sequence[Tensor] | None = None,
    dst: int | None = None,
    group: Any = None,
    async_op: bool = False,
    group_dst: int | None = None,
) -> Work | None:
    """Copy the tensors of all processes to a list in the process of rank ``dst``, 0 by default.

    Args:
        tensor: tensor with the same shape and dtype in all processes.
        gather_list: in rank ``dst``, one tensor per process, which receives the data; None in other processes.

    >>> gathered = [fb.empty(2)]  # a group of one process
    >>> flambeau.distributed.gather(fb.tensor([1.0, 2.0]), gathered, dst=0)
    >>> gathered
    [tensor([1., 2.])]
    """
    check_tensor("gather", "tensor", tensor)
    root = resolve_group_rank("gather", "dst", group, dst, group_dst, default=0)
    outputs: list[Tensor] = []
    if group.rank() == root:
        outputs = check_list("gather", "gather_list", gather_list, group.size(), tensor)
    elif gather_list:
        raise ValueError(
            f"gather: gather_list should be passed only in the process of rank {root} in the group, which gathers"
        )
    check_same_call(group, "gather", root, tensor)
    transport, device = transport_for(group, tensor)
    buffer = tensor.new_empty((group.size(), tensor.numel()), device=device) if outputs else None
    work = transport.gather(buffer, send_buffer(tensor, device), root)
    return wait_unless_async(work if buffer is None else _copy_to_outputs(work, outputs, buffer), async_op, outputs)


@among_members
def scatter(
    tensor: Tensor,
    scatter_list: Sequence[Tensor] | None = None,
    src: int | None = None,
    group: Any = None,
    async_op: bool = False,
    group_src: int | None = None,
) -> Work | None:
    """Send each process one tensor of a list of the process of rank ``src``, 0 by default.

    Args:
        tensor: tensor that receives the data, with the same shape and dtype in all processes.
        scatter_list: in rank ``src``, one tensor per process; None in other processes.

    >>> received = fb.empty(2)
    >>> flambeau.distributed.scatter(received, [fb.tensor([1.0, 2.0])], src=0)  # a group of one process
    >>> received
    tensor([1., 2.])
    """
    check_tensor("scatter", "tensor", tensor)
    root = resolve_group_rank("scatter", "src", group, src, group_src, default=0)
    inputs: list[Tensor] = []
    if group.rank() == root:
        inputs = check_list("scatter", "scatter_list", scatter_list, group.size(), tensor)
    elif scatter_list:
        raise ValueError(
            f"scatter: scatter_list should be passed only in the process of rank {root} in the group, which scatters"
        )
    check_same_call(group, "scatter", root, tensor)
    transport, device = transport_for(group, tensor)
    buffer = receive_buffer(tensor, device)
    work = transport.scatter(buffer, stack_rows(inputs, device), root)
    return wait_unless_async(copy_received(work, tensor, buffer), async_op, [tensor])


@among_members
def all_to_all_single(
    output: Tensor,
    input: Tensor,
    output_split_sizes: Sequence[int] | None = None,
    input_split_sizes: Sequence[int] | None = None,
    group: Any = None,
    async_op: bool = False,
) -> Work | None:
    """Send rows of ``input`` to each process, and concatenate the received rows in ``output``.

    Args:
        output: tensor that receives the rows.
        input: rows for the processes in rank order, along the first dimension.
        output_split_sizes: number of rows from each process; None for equal numbers.
        input_split_sizes: number of rows for each process; None for equal numbers.

    >>> received = fb.empty(2)
    >>> flambeau.distributed.all_to_all_single(received, fb.tensor([1.0, 2.0]))  # a group of one process
    >>> received
    tensor([1., 2.])
    """
    check_tensor("all_to_all_single", "output", output)
    check_tensor("all_to_all_single", "input", input)
    if output.dtype != input.dtype:
        raise ValueError(
            f"all_to_all_single: output and input should have the same dtype, got {output.dtype} and {input.dtype}"
        )
    received = _counts("output", output, output_split_sizes, group.size())
    sent = _counts("input", input, input_split_sizes, group.size())
    check_same_call(group, "all_to_all_single", input.dtype)
    transport, device = transport_for(group, input)
    buffer = receive_buffer(output, device)
    work = transport.all_to_all(buffer, send_buffer(input, device), received, sent)
    return wait_unless_async(copy_received(work, output, buffer), async_op, [output])


def _counts(name: str, tensor: Tensor, sizes: Sequence[int] | None, ranks: int) -> list[int]:
    """Convert the numbers of rows per rank, None for equal numbers, to numbers of elements."""
    rows = tensor.shape[0] if tensor.ndim else 1
    if not sizes:
        if rows % ranks:
            raise ValueError(f"all_to_all_single: {name} has {rows} rows, which {ranks} processes cannot divide evenly")
        sizes = [rows // ranks] * ranks
    if len(sizes) != ranks or sum(sizes) != rows or min(sizes) < 0:
        raise ValueError(
            f"all_to_all_single: {name}_split_sizes should be {ranks} non-negative numbers with the sum {rows}, got "
            f"{list(sizes)}"
        )
    each = tensor.numel() // rows if rows else 0
    return [size * each for size in sizes]


@among_members
def all_to_all(
    output_tensor_list: Sequence[Tensor],
    input_tensor_list: Sequence[Tensor],
    group: Any = None,
    async_op: bool = False,
) -> Work | None:
    """Send each process one tensor of a list, and receive one tensor from each process.

    Args:
        output_tensor_list: one tensor per process. Entry ``i`` receives the tensor from process ``i`` and has its size.
        input_tensor_list: one tensor per process. Sizes may differ; the dtype is the same for all.

    >>> received = [fb.empty(2)]  # a group of one process
    >>> flambeau.distributed.all_to_all(received, [fb.tensor([1.0, 2.0])])
    >>> received
    [tensor([1., 2.])]
    """
    outputs = check_list("all_to_all", "output_tensor_list", output_tensor_list, group.size(), None)
    inputs = check_list("all_to_all", "input_tensor_list", input_tensor_list, group.size(), None)
    if len(dtypes := {each.dtype for each in outputs + inputs}) > 1:
        listed = ", ".join(sorted(map(str, dtypes)))
        raise ValueError(f"all_to_all: tensors should have the same dtype, got {listed}")
    check_same_call(group, "all_to_all", inputs[0].dtype)
    transport, device = transport_for(group, inputs[0])
    sent, received = [each.numel() for each in inputs], [each.numel() for each in outputs]
    packed = inputs[0].new_empty(sum(sent), device=device)
    buffer = inputs[0].new_empty(sum(received), device=device)
    for part, each in zip(packed.split(sent), inputs, strict=True):
        part.copy_(each.detach().reshape(-1))
    work = transport.all_to_all(buffer, packed, received, sent)
    for output, part in zip(outputs, buffer.split(received), strict=True):
        copy_received(work, output, part)
    return wait_unless_async(work, async_op, outputs)
