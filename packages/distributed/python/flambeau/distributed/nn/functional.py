"""Differentiable collectives. Each process computes the gradients of the sum of the losses of all processes.

The derivatives are differentiable collectives, so that gradients can be differentiated again. All processes of the
group must make the same calls. If one process runs ``backward()``, all processes must run it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flambeau
from flambeau import Tensor, distributed
from flambeau.autograd import Function
from flambeau.distributed import ReduceOp
from flambeau.distributed.groups import get_group_rank, member

__all__ = [
    "all_gather",
    "all_reduce",
    "all_to_all",
    "all_to_all_single",
    "broadcast",
    "gather",
    "reduce",
    "reduce_scatter",
    "scatter",
]


def _linear(call: str, op: ReduceOp) -> ReduceOp:
    if op not in (ReduceOp.SUM, ReduceOp.AVG):
        raise NotImplementedError(f"{call}: gradients are supported only for ReduceOp.SUM and ReduceOp.AVG, got {op}.")
    return op


def _root(group: Any, rank: int) -> tuple[bool, int]:
    """Return True if ``rank`` is the global rank of this process, else False, and the size of the group."""
    own_group = member(group)
    if own_group is None:
        raise ValueError("Invalid process group specified: this process does not belong to it")
    return get_group_rank(own_group, rank) == own_group.rank(), own_group.size()


def _alike(tensor: Tensor) -> Tensor:
    return flambeau.empty_like(tensor, memory_format=flambeau.contiguous_format)


def all_reduce(tensor: Tensor, op: ReduceOp = ReduceOp.SUM, group: Any = None) -> Tensor:
    """Return the sum, or with ``ReduceOp.AVG`` the mean, of the tensors of all processes.

    >>> from flambeau.distributed.nn.functional import all_reduce
    >>> distributed.init_process_group(store=distributed.HashStore(), rank=0, world_size=1)
    >>> x = fb.tensor([2.0], requires_grad=True)
    >>> all_reduce(x).square().backward()
    >>> x.grad
    tensor([4.])
    >>> distributed.destroy_process_group()
    """
    return _AllReduce.apply(_linear("all_reduce", op), group, tensor)  # type: ignore[no-any-return]


class _AllReduce(Function):
    @staticmethod
    def forward(ctx: Any, op: ReduceOp, group: Any, tensor: Tensor) -> Tensor:
        ctx.op, ctx.group = op, group
        result = tensor.clone()
        distributed.all_reduce(result, op, group)
        return result

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, all_reduce(grad, ctx.op, ctx.group)


def broadcast(tensor: Tensor, src: int, group: Any = None) -> Tensor:
    """Return the tensor of rank ``src`` in all processes. All tensors must have the same size and dtype.

    >>> distributed.init_process_group(store=distributed.HashStore(), rank=0, world_size=1)
    >>> x = fb.tensor([2.0], requires_grad=True)
    >>> distributed.nn.broadcast(x, src=0).square().backward()
    >>> x.grad
    tensor([4.])
    >>> distributed.destroy_process_group()
    """
    return _Broadcast.apply(src, group, tensor)  # type: ignore[no-any-return]


class _Broadcast(Function):
    @staticmethod
    def forward(ctx: Any, src: int, group: Any, tensor: Tensor) -> Tensor:
        ctx.src, ctx.group = src, group
        result = tensor.clone()
        distributed.broadcast(result, src, group)
        return result

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, reduce(grad, ctx.src, ReduceOp.SUM, ctx.group)


def reduce(tensor: Tensor, dst: int, op: ReduceOp = ReduceOp.SUM, group: Any = None) -> Tensor:
    """Return the sum or mean of the tensors of all processes in rank ``dst``, and zeros in the other ranks.

    >>> distributed.init_process_group(store=distributed.HashStore(), rank=0, world_size=1)
    >>> x = fb.tensor([2.0], requires_grad=True)
    >>> distributed.nn.reduce(x, dst=0).square().backward()
    >>> x.grad
    tensor([4.])
    >>> distributed.destroy_process_group()
    """
    return _Reduce.apply(dst, _linear("reduce", op), group, tensor)  # type: ignore[no-any-return]


class _Reduce(Function):
    @staticmethod
    def forward(ctx: Any, dst: int, op: ReduceOp, group: Any, tensor: Tensor) -> Tensor:
        ctx.dst, ctx.group = dst, group
        here, size = _root(group, dst)
        ctx.divisor = size if op is ReduceOp.AVG else 1
        result = tensor.clone()
        distributed.reduce(result, dst, op, group)
        return result if here else result.zero_()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, None, broadcast(grad, ctx.dst, ctx.group) / ctx.divisor


def all_gather(tensor: Tensor, group: Any = None) -> tuple[Tensor, ...]:
    """Return the tensors of all processes, which must have the same size.

    >>> distributed.init_process_group(store=distributed.HashStore(), rank=0, world_size=1)
    >>> x = fb.tensor([[1.0, 2.0]], requires_grad=True)
    >>> fb.cat(distributed.nn.all_gather(x)).square().sum().backward()
    >>> x.grad
    tensor([[2., 4.]])
    >>> distributed.destroy_process_group()
    """
    return _AllGather.apply(group, tensor)  # type: ignore[no-any-return]


class _AllGather(Function):
    @staticmethod
    def forward(ctx: Any, group: Any, tensor: Tensor) -> tuple[Tensor, ...]:
        ctx.group = group
        results = [_alike(tensor) for _ in range(distributed.get_world_size(group))]
        distributed.all_gather(results, tensor, group)
        return tuple(results)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return None, reduce_scatter(_alike(grads[0]), grads, ReduceOp.SUM, ctx.group)


def reduce_scatter(
    output: Tensor, input_list: Sequence[Tensor], op: ReduceOp = ReduceOp.SUM, group: Any = None
) -> Tensor:
    """Return the sum or mean of ``input_list[rank]`` over all processes, where ``rank`` is the rank of this process.

    Args:
        output: tensor with the size and dtype of the result.
        input_list: one tensor for each process.

    >>> distributed.init_process_group(store=distributed.HashStore(), rank=0, world_size=1)
    >>> x = fb.tensor([2.0], requires_grad=True)
    >>> distributed.nn.reduce_scatter(fb.empty(1), [x]).square().backward()
    >>> x.grad
    tensor([4.])
    >>> distributed.destroy_process_group()
    """
    return _ReduceScatter.apply(_alike(output), _linear("reduce_scatter", op), group, *input_list)  # type: ignore[no-any-return]


class _ReduceScatter(Function):
    @staticmethod
    def forward(ctx: Any, output: Tensor, op: ReduceOp, group: Any, *inputs: Tensor) -> Tensor:
        ctx.group, ctx.divisor = group, len(inputs) if op is ReduceOp.AVG else 1
        distributed.reduce_scatter(output, list(inputs), op, group)
        return output.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, None, *(each / ctx.divisor for each in all_gather(grad, ctx.group))


def gather(tensor: Tensor, dst: int = 0, group: Any = None) -> tuple[Tensor, ...]:
    """Return the tensors of all processes in rank ``dst``, and zeros in other ranks. All tensors have the same size.

    >>> distributed.init_process_group(store=distributed.HashStore(), rank=0, world_size=1)
    >>> x = fb.tensor([[1.0, 2.0]], requires_grad=True)
    >>> fb.cat(distributed.nn.gather(x, dst=0)).square().sum().backward()
    >>> x.grad
    tensor([[2., 4.]])
    >>> distributed.destroy_process_group()
    """
    return _Gather.apply(dst, group, tensor)  # type: ignore[no-any-return]


class _Gather(Function):
    @staticmethod
    def forward(ctx: Any, dst: int, group: Any, tensor: Tensor) -> tuple[Tensor, ...]:
        ctx.dst, ctx.group = dst, group
        here, size = _root(group, dst)
        results = [flambeau.zeros_like(tensor, memory_format=flambeau.contiguous_format) for _ in range(size)]
        distributed.gather(tensor, results if here else None, dst, group)
        return tuple(results)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, scatter(grads, ctx.dst, ctx.group)


def scatter(tensors: Sequence[Tensor], src: int = 0, group: Any = None) -> Tensor:
    """Return this process's entry in the list of rank ``src``. Other ranks pass lists of the same size and dtype.

    >>> distributed.init_process_group(store=distributed.HashStore(), rank=0, world_size=1)
    >>> x = fb.tensor([2.0], requires_grad=True)
    >>> distributed.nn.scatter([x], src=0).square().backward()
    >>> x.grad
    tensor([4.])
    >>> distributed.destroy_process_group()
    """
    return _Scatter.apply(src, group, *tensors)  # type: ignore[no-any-return]


class _Scatter(Function):
    @staticmethod
    def forward(ctx: Any, src: int, group: Any, *tensors: Tensor) -> Tensor:
        ctx.src, ctx.group = src, group
        here, _ = _root(group, src)
        result = _alike(tensors[0])
        distributed.scatter(result, list(tensors) if here else None, src, group)
        return result

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, *gather(grad, ctx.src, ctx.group)


def all_to_all(
    output_tensor_list: Sequence[Tensor], input_tensor_list: Sequence[Tensor], group: Any = None
) -> tuple[Tensor, ...]:
    """Send ``input_tensor_list[i]`` to process ``i``, and return the tensors that this process receives.

    Args:
        output_tensor_list: one tensor for each process. Entry ``i`` has the size of the tensor from process ``i``.
        input_tensor_list: one tensor for each process.

    >>> distributed.init_process_group(store=distributed.HashStore(), rank=0, world_size=1)
    >>> x = fb.tensor([2.0], requires_grad=True)
    >>> distributed.nn.all_to_all([fb.empty(1)], [x])[0].square().backward()
    >>> x.grad
    tensor([4.])
    >>> distributed.destroy_process_group()
    """
    sizes = [tuple(each.shape) for each in output_tensor_list]
    return _AllToAll.apply(sizes, group, *input_tensor_list)  # type: ignore[no-any-return]


class _AllToAll(Function):
    @staticmethod
    def forward(ctx: Any, sizes: Sequence[tuple[int, ...]], group: Any, *inputs: Tensor) -> tuple[Tensor, ...]:
        ctx.group, ctx.sizes = group, [tuple(each.shape) for each in inputs]
        results = [inputs[0].new_empty(size) for size in sizes]
        distributed.all_to_all(results, list(inputs), group)
        return tuple(results)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, *_AllToAll.apply(ctx.sizes, ctx.group, *grads)


def all_to_all_single(
    output: Tensor,
    input: Tensor,
    output_split_sizes: Sequence[int] | None = None,
    input_split_sizes: Sequence[int] | None = None,
    group: Any = None,
) -> Tensor:
    """Send rows of ``input`` to each process, and return the concatenated rows that this process receives.

    Args:
        output: tensor with the size and dtype of the result.
        input: rows for all processes, in rank order.
        output_split_sizes, input_split_sizes: numbers of rows from and to each process; None for equal numbers.

    >>> distributed.init_process_group(store=distributed.HashStore(), rank=0, world_size=1)
    >>> x = fb.tensor([1.0, 2.0], requires_grad=True)
    >>> distributed.nn.all_to_all_single(fb.empty(2), x).square().sum().backward()
    >>> x.grad
    tensor([2., 4.])
    >>> distributed.destroy_process_group()
    """
    splits = (output_split_sizes, input_split_sizes)
    return _AllToAllSingle.apply(tuple(output.shape), *splits, group, input)  # type: ignore[no-any-return]


class _AllToAllSingle(Function):
    @staticmethod
    def forward(ctx: Any, size: tuple[int, ...], received: Any, sent: Any, group: Any, input: Tensor) -> Tensor:
        ctx.group, ctx.splits, ctx.size = group, (sent, received), tuple(input.shape)
        result = input.new_empty(size)
        distributed.all_to_all_single(result, input.contiguous(), received, sent, group)
        return result

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, None, None, _AllToAllSingle.apply(ctx.size, *ctx.splits, ctx.group, grad)
