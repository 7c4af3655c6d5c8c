"""Batch normalisation with statistics over several processes."""

from __future__ import annotations

from typing import Any

import flambeau
from flambeau import Tensor, batch_norm, distributed
from flambeau.autograd import Function
from flambeau.autograd.function import once_differentiable
from flambeau.distributed.groups import ProcessGroup

_ONE_VALUE = "Expected more than 1 value per channel when training, got input size {shape} in {size} processes together"


def joined_batch_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running: tuple[Tensor, Tensor] | None,
    momentum: float,
    eps: float,
    group: ProcessGroup,
) -> Tensor:
    """Normalise each channel with mean and variance of the inputs of all processes of a group.

    Args:
        running: running mean and variance, updated with weight ``momentum``.
    Raises: ValueError if there is only one value per channel in total.
    """
    with flambeau.no_grad():
        mean, variance, total = _statistics(input, group)
        if total < 2:
            raise ValueError(_ONE_VALUE.format(shape=list(input.shape), size=group.size()))
        if running is not None:
            running[0].lerp_(mean.to(running[0].dtype), momentum)
            running[1].lerp_((variance * (total / (total - 1))).to(running[1].dtype), momentum)
    return _Normalised.apply(input, weight, bias, mean, variance, total, eps, group)  # type: ignore[no-any-return]


def _to_accumulation_dtype(tensor: Tensor) -> Tensor:
    """Convert a half-precision tensor to float32, the dtype for accumulation; return other tensors unchanged."""
    return tensor.float() if tensor.dtype.itemsize < 4 else tensor


def _reduced_dims(tensor: Tensor) -> list[int]:
    """Return the dimensions over which statistics are computed: all but the channels (dimension 1)."""
    return [0, *range(2, tensor.ndim)]


def _statistics(input: Tensor, group: ProcessGroup) -> tuple[Tensor, Tensor, float]:
    """Return mean and variance of each channel over all processes, and the number of values.

    Each process sends its own statistics, which are combined with the counts as weights (Chan, Golub, LeVeque 1979).
    Sums of squares would lose precision by cancellation for large means.
    """
    wide, channels = _to_accumulation_dtype(input), input.shape[1]
    count = input.numel() // max(channels, 1)
    own_sums = wide.new_zeros(2 * channels + 1)
    if count:
        variance, mean = flambeau.var_mean(wide, _reduced_dims(wide), correction=0)
        own_sums[:channels], own_sums[channels:-1], own_sums[-1] = mean, variance, float(count)
    everyone = own_sums.new_empty((group.size(), own_sums.numel()))
    distributed.all_gather_into_tensor(everyone, own_sums, group)
    means, variances, counts = everyone[:, :channels], everyone[:, channels:-1], everyone[:, -1:]
    total = float(counts.sum().item())
    shares = counts / max(total, 1.0)
    mean = (shares * means).sum(0)
    return mean, (shares * (variances + (means - mean).square())).sum(0), total


class _Normalised(Function):
    """Normalisation of the input. Its derivative needs two sums per channel over all processes."""

    @staticmethod
    def forward(
        ctx: Any,
        input: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        mean: Tensor,
        variance: Tensor,
        total: float,
        eps: float,
        group: ProcessGroup,
    ) -> Tensor:
        ctx.save_for_backward(input, weight, mean, variance)
        ctx.total, ctx.eps, ctx.group = total, eps, group
        return batch_norm(
            _to_accumulation_dtype(input),
            _cast_like(weight, mean),
            _cast_like(bias, mean),
            mean,
            variance,
            False,
            0.0,
            eps,
        ).to(input.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        input, weight, mean, variance = ctx.saved_tensors
        column = [-1, *[1] * (input.ndim - 2)]
        wide, scale = _to_accumulation_dtype(grad), (variance + ctx.eps).rsqrt()
        normal = (_to_accumulation_dtype(input) - mean.view(column)) * scale.view(column)
        sums = flambeau.stack([wide.sum(_reduced_dims(wide)), (wide * normal).sum(_reduced_dims(wide))])
        grads = [None, *(sums[1 - number] if ctx.needs_input_grad[1 + number] else None for number in range(2))]
        if ctx.needs_input_grad[0]:
            joined = sums.clone()
            distributed.all_reduce(joined, group=ctx.group)
            along, across = (joined / ctx.total).view([2, *column])
            factor = scale if weight is None else scale * weight
            grads[0] = ((wide - along - normal * across) * factor.view(column)).to(input.dtype)
        return (*grads, None, None, None, None, None)


def _cast_like(tensor: Tensor | None, like: Tensor) -> Tensor | None:
    return None if tensor is None else tensor.to(like.dtype)
