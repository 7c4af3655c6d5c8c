"""Batching rules of network layers: the batch is folded into the mini-batch, or into the groups of a convolution."""

from collections.abc import Callable, Sequence
from typing import Any

import flambeau
from flambeau import Tensor
from flambeau.func._batching.pointwise import aligned
from flambeau.func._placeholders import map_results
from flambeau.func._rules import Call, UnbatchableError, batching, composition


def folded(call: Call, dims: int, tensors: int = 1) -> Any:
    """Run an operator of ``(N, C, *spatial)`` or ``(C, *spatial)`` inputs with the batch folded into the dimension N.

    Args:
        call: the call. Only its first ``tensors`` arguments can be batched.
        dims: number of spatial dimensions.
        tensors: number of arguments that can be batched.
    """
    batches = [call.batch(t) for t in call.values[:tensors]]
    rest = call.values[tensors:]
    if any(isinstance(x, Tensor) and call.is_batched(x) for x in rest):
        raise UnbatchableError(
            f"vmap: the other arguments of {call.operator.__name__} must be equal for all elements of the batch"
        )
    rank = call.values[0].ndim
    if rank == dims + 1:
        return call.run((*batches, *rest))
    if rank != dims + 2:
        raise RuntimeError(
            f"{call.operator.__name__}: expected {dims + 1} or {dims + 2} dimensions, got shape "
            f"{list(call.values[0].shape)}"
        )
    count = call.values[0].shape[0]
    result = call.run((*(t.reshape(call.size * count, *t.shape[2:]) for t in batches), *rest))
    return map_results(result, lambda t: t.reshape(call.size, count, *t.shape[1:]))


def _fold_rule(dims: int, tensors: int = 1) -> Callable[[Call], Any]:
    return lambda call: folded(call, dims, tensors)


for _dims in (1, 2, 3):
    batching(
        f"max_pool{_dims}d avg_pool{_dims}d adaptive_avg_pool{_dims}d _adaptive_avg_pool{_dims}d "
        f"_adaptive_max_pool{_dims}d"
    )(_fold_rule(_dims))
batching("_fractional_max_pool2d")(lambda call: _pooled_by_samples(call, 2))
batching("_fractional_max_pool3d")(lambda call: _pooled_by_samples(call, 3))
batching("_unfold_windows")(_fold_rule(2))
batching("_fold_windows")(_fold_rule(1))
batching("_max_unpool")(lambda call: folded(call, len(call.argument("output_size")), 2))
batching("interpolate")(lambda call: folded(call, call.values[0].ndim - 2))
batching("channel_shuffle", "native_channel_shuffle")(lambda call: folded(call, call.values[0].ndim - 2))
batching("_pad_edges")(lambda call: folded(call, len(call.argument("pad")) // 2))
batching("_grid_sample_values")(lambda call: folded(call, call.values[0].ndim - 2, 2))


def _pooled_by_samples(call: Call, dims: int) -> Any:
    """Apply fractional max-pooling to batched inputs and random samples, folded into the examples."""
    x, kernel_size, output_size, samples = call.values
    value, samples = call.batch(x), call.batch(samples)
    if x.ndim == dims + 2:
        value, samples = value.flatten(0, 1), samples.flatten(0, 1)
    elif samples.ndim == 4:  # a single example
        samples = samples.flatten(0, 1)
    result = call.run((value, kernel_size, output_size, samples))
    return map_results(result, lambda t: t.reshape(call.size, *x.shape[: x.ndim - dims], *t.shape[-dims:]))


@batching("constant_pad_nd", "pixel_shuffle", "pixel_unshuffle")
def last_dimensions(call: Call) -> Any:
    """Apply an operator on the last dimensions, which accepts any leading dimensions, to a batch."""
    x = call.values[0]
    needed = 3 if call.operator.__name__.startswith("pixel") else (len(call.values[1]) + 1) // 2
    if x.ndim < needed:
        raise RuntimeError(
            f"{call.operator.__name__}: expected at least {needed} dimensions, got shape {list(x.shape)}"
        )
    return call.run(call.value(call.values))


@batching("conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d")
def convolution(call: Call) -> Any:
    """Apply a convolution to a batch, folded into the examples or, if the weights are batched, into the groups."""
    names = call.operator.parameters
    values = dict(zip(names, call.values, strict=True))
    x, weight, bias = call.values[:3]
    dims = int(call.operator.__name__[-2])
    single = x.ndim == dims + 1
    if x.ndim not in (dims + 1, dims + 2) or weight.ndim != dims + 2:
        raise RuntimeError(
            f"{call.operator.__name__}: expected an input with {dims + 1} or {dims + 2} dimensions and a weight with "
            f"{dims + 2}, got shapes {list(x.shape)} and {list(weight.shape)}"
        )
    shared_bias = bias if not call.is_batched(weight) and not call.is_batched(bias) else None
    values["bias"] = shared_bias
    if not call.is_batched(weight):
        result = _convolved_examples(call, values, call.value(x), single, call.is_batched(x))
    else:
        result = _convolved_groups(call, values, x, single)
    if bias is None or shared_bias is not None:
        return result
    b = call.value(bias)
    ones = (1,) * dims
    shape = (call.size, *(() if single else (1,)), -1, *ones) if call.is_batched(bias) else (-1, *ones)
    return result + b.reshape(shape)


def _convolved_examples(call: Call, values: dict[str, Any], x: Tensor, single: bool, batched: bool) -> Any:
    """Convolve a batch of inputs with the same weights, as one larger mini-batch."""
    joined = x if single or not batched else x.flatten(0, 1)
    result = call.run({**values, "input": joined}.values())
    if not batched:
        return result
    return result if single else result.reshape(call.size, -1, *result.shape[1:])


def _convolved_groups(call: Call, values: dict[str, Any], x: Any, single: bool) -> Any:
    """Convolve each element of a batch with its own weights, as groups of one convolution."""
    value = call.batch(x)
    if single:
        value = value.unsqueeze(1)
    count, channels = value.shape[1:3]
    joined = value.transpose(0, 1).reshape(count, call.size * channels, *value.shape[3:])
    weight = values["weight"].value
    groups = {"input": joined, "weight": weight.flatten(0, 1), "groups": values["groups"] * call.size}
    result = call.run({**values, **groups}.values())
    result = result.reshape(count, call.size, -1, *result.shape[2:]).transpose(0, 1)
    return result.squeeze(1) if single else result


@batching("layer_norm", "rms_norm")
def layer_norm(call: Call) -> Any:
    """Apply ``layer_norm`` or ``rms_norm`` to a batch. A batched weight or bias is applied after the normalisation."""
    values = dict(zip(call.operator.parameters, call.values, strict=True))
    x, affine = values["input"], [values.get("weight"), values.get("bias")]
    if x.ndim < len(values["normalized_shape"]):
        raise RuntimeError(
            f"{call.operator.__name__}: expected an input with at least {len(values['normalized_shape'])} dimensions, "
            f"for normalized_shape={list(values['normalized_shape'])}, got shape {list(x.shape)}"
        )
    if not any(call.is_batched(t) for t in affine):
        return call.run({**values, "input": x.value}.values())
    plain = {**values, "input": call.value(x), "weight": None} | ({"bias": None} if "bias" in values else {})
    result = call.run(plain.values())
    return _apply_affine(call, result, affine, x.ndim, call.is_batched(x))


def _apply_affine(call: Call, result: Tensor, affine: list[Any], rank: int, batched: bool) -> Tensor:
    weight, bias = (aligned(t.value, rank) if call.is_batched(t) else t for t in affine)
    if weight is not None:
        result = result * weight
    return result if bias is None else result + bias


def _per_channel(t: Any, rank: int) -> Any:
    return None if t is None else t.reshape(-1, *(1,) * (rank - 2))


@batching("group_norm")
def group_norm(call: Call) -> Any:
    """Apply ``group_norm`` to a batch, folded into the examples. Apply a batched weight or bias to the result."""
    x, groups, weight, bias, eps, cudnn = call.values
    separate = any(call.is_batched(t) for t in (weight, bias))
    value = call.batch(x).flatten(0, 1)
    result = call.run((value, groups, *((None, None) if separate else (weight, bias)), eps, cudnn))
    result = result.reshape(call.size, *x.shape)
    if not separate:
        return result
    shape = (1, -1, *(1,) * (x.ndim - 2))
    for t, apply in ((weight, flambeau.mul), (bias, flambeau.add)):
        if t is not None:
            result = apply(result, t.value.reshape(call.size, *shape) if call.is_batched(t) else t.reshape(shape))
    return result


@composition("batch_norm")
def batch_norm(
    input: Tensor,
    weight: Any,
    bias: Any,
    running_mean: Any,
    running_var: Any,
    training: bool,
    momentum: float,
    *rest: Any,
) -> Any:
    """Normalise over all dimensions except the channels. Batched running statistics are updated in place."""
    dims = [0, *range(2, input.ndim)]
    if training:
        count = input.shape.numel() // input.shape[1] if input.shape[1] else 0
        if count <= 1:
            raise ValueError(
                f"Expected more than 1 value per channel when training, got input size {list(input.shape)}"
            )
        var, mean = flambeau.var_mean(input, dims, correction=0)
        result = _normalized(input, mean, var, weight, bias, rest[0])
        _update([(running_mean, mean), (running_var, var * (count / (count - 1)))], momentum)
        return result
    return _normalized(input, running_mean, running_var, weight, bias, rest[0])


def _update(statistics: Sequence[tuple[Tensor | None, Tensor]], momentum: float) -> None:
    """Update running statistics with new values. If an error is raised, none of them is changed."""
    updated = [
        (running, running.clone().mul_(1 - momentum).add_(value.detach() * momentum))
        for running, value in statistics
        if running is not None
    ]
    for running, value in updated:
        running.copy_(value)


def _normalized(input: Tensor, mean: Tensor, var: Tensor, weight: Any, bias: Any, eps: float) -> Any:
    rank = input.ndim
    result = (input - _per_channel(mean, rank)) * (_per_channel(var, rank) + eps).rsqrt()
    if weight is not None:
        result = result * _per_channel(weight, rank)
    return result if bias is None else result + _per_channel(bias, rank)


@composition("instance_norm")
def instance_norm(
    input: Tensor, weight: Any, bias: Any, running_mean: Any, running_var: Any, use_input_stats: bool, *rest: Any
) -> Any:
    """Normalise each example and channel. Batched running statistics are updated in place."""
    momentum, eps, rank = rest[0], rest[1], input.ndim
    if not use_input_stats:
        return _normalized(input, running_mean, running_var, weight, bias, eps)
    dims = list(range(2, rank))
    var, mean = flambeau.var_mean(input, dims, correction=0, keepdim=True)
    result = (input - mean) * (var + eps).rsqrt()
    if weight is not None:
        result = result * _per_channel(weight, rank)
    if bias is not None:
        result = result + _per_channel(bias, rank)
    of_batch = [t.reshape(input.shape[:2]).mean(0) for t in (mean, var)]
    if running_var is not None:
        count = input.shape[2:].numel()
        of_batch[1] = of_batch[1] * (count / (count - 1))
    _update(list(zip((running_mean, running_var), of_batch, strict=True)), momentum)
    return result


@batching("_scaled_dot_product_attention")
def attention(call: Call) -> Any:
    """Apply attention to a batch. Attention accepts any dimensions before the position and feature dimensions."""
    query, key, value, mask, is_causal, scale = call.values
    rank = max(t.ndim for t in (query, key, value))
    operands = [aligned(call.batch(t), rank) for t in (query, key, value)]
    if call.is_batched(mask):
        mask = aligned(mask.value, rank)
    return call.run((*operands, mask, is_causal, scale))


@composition("prelu")
def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """Compute ``prelu`` with one slope, or with one slope for each channel."""
    if weight.numel() == 1:
        weight = weight.reshape(())
    elif input.ndim > 1:
        weight = weight.reshape(-1, *(1,) * (input.ndim - 2))
    return flambeau.where(input >= 0, input, weight * input)


@batching("grid_sample", "grid_sampler", "grid_sampler_2d", "grid_sampler_3d")
def grid_sampler(call: Call) -> Any:
    """Apply a grid sampler to batched inputs and grids, folded into the examples."""
    return folded(call, call.values[0].ndim - 2, 2)


@batching("max_unpool1d max_unpool2d max_unpool3d")
def max_unpool(call: Call) -> Any:
    """Apply a max-unpooling operator to batched values and indices, folded into the examples."""
    return folded(call, int(call.operator.__name__[-2]), 2)


@batching("pad")
def pad(call: Call) -> Any:
    """Apply ``pad`` to a batch. Modes other than ``"constant"`` need a channel dimension before the padded ones."""
    widths, mode = call.values[1:3]
    return last_dimensions(call) if mode == "constant" else folded(call, len(widths) // 2)


@composition("bilinear")
def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Any = None) -> Tensor:
    """Compute ``input1 @ weight[k] @ input2`` for each output feature k."""
    result = flambeau.einsum("...i,kij,...j->...k", input1, weight, input2)
    return result if bias is None else result + bias
