"""Layers and functions that hostile_layers.py calls, with random arguments, a few of which are invalid."""

from collections.abc import Callable
from functools import partial
from typing import Any

from hostile_geometry import Draw

Target = Callable[[Draw], Any]
TARGETS: dict[str, Target] = {}


def target(function: Target) -> Target:
    TARGETS[function.__name__] = function
    return function


def target_in_each_dimension(function: Callable[[Draw, int], Any]) -> Callable[[Draw, int], Any]:
    for dims in (1, 2, 3):
        TARGETS[f"{function.__name__}{dims}d"] = partial(function, dims=dims)
    return function


# Convolutions


def convolution_options(draw: Draw, dims: int) -> dict[str, Any]:
    return {
        "stride": draw.each(dims, 1, 1, 2, 3, odd=(0, -1, 2**40)),
        "padding": draw.each(dims, 0, 0, 1, 2, 5, odd=(-1, 2**40)),
        "dilation": draw.each(dims, 1, 1, 2, 3, odd=(0, -1, 2**40)),
    }


@target_in_each_dimension
def conv(draw: Draw, dims: int) -> Any:
    groups, channels, filters = draw.choice(1, 1, 2, 3, odd=(0, -1)), draw.size(), draw.size()
    kernel = [draw.choice(1, 2, 3, 4, odd=(0,)) for _ in range(dims)]
    x = draw.tensor(*draw.batch(), channels * max(groups, 1), *draw.shape(dims))
    weight = draw.tensor(filters * max(groups, 1), channels, *kernel)
    bias = draw.tensor(weight.shape[0]) if draw.rarely(2) else None
    options = convolution_options(draw, dims)
    if draw.rarely(8):
        options |= {"padding": draw.choice("same", "valid"), "stride": 1}
    return draw.call(getattr(draw.F, f"conv{dims}d"), x, weight, bias, groups=groups, **options)


@target_in_each_dimension
def conv_transpose(draw: Draw, dims: int) -> Any:
    groups, channels, filters = draw.choice(1, 1, 2, 3, odd=(0, -1)), draw.size(), draw.size()
    kernel = [draw.choice(1, 2, 3, 4, odd=(0,)) for _ in range(dims)]
    x = draw.tensor(*draw.batch(), channels * max(groups, 1), *draw.shape(dims))
    weight = draw.tensor(channels * max(groups, 1), filters, *kernel)
    bias = draw.tensor(filters * max(groups, 1)) if draw.rarely(2) else None
    options = convolution_options(draw, dims) | {"output_padding": draw.each(dims, 0, 0, 0, 1, 2, odd=(-1, 2**40))}
    return draw.call(getattr(draw.F, f"conv_transpose{dims}d"), x, weight, bias, groups=groups, **options)


@target_in_each_dimension
def ConvModule(draw: Draw, dims: int) -> Any:
    kind = getattr(draw.nn, f"Conv{draw.choice('', 'Transpose')}{dims}d")
    channels, filters, groups = draw.size(), draw.size(), draw.choice(1, 1, 2, odd=(0, -1))
    options = convolution_options(draw, dims)
    if draw.rarely(4) and "Transpose" not in kind.__name__:
        options["padding_mode"] = draw.choice("reflect", "replicate", "circular", odd=("none",))
    kernel = draw.each(dims, 1, 2, 3, odd=(0, -1))
    module = draw.module(kind, channels * max(groups, 1), filters * max(groups, 1), kernel, groups=groups, **options)
    return draw.call(module, draw.tensor(*draw.batch(), channels * max(groups, 1), *draw.shape(dims)))


# Pooling and resampling


def pool_options(draw: Draw, dims: int) -> dict[str, Any]:
    return {
        "stride": draw.each(dims, 1, 2, 3, odd=(0, -1, 2**40)) if draw.rarely(2) else None,
        "padding": draw.each(dims, 0, 0, 1, odd=(-1, 5, 2**40)),
        "ceil_mode": draw.rarely(2),
    }


def image(draw: Draw, dims: int) -> Any:
    return draw.tensor(*draw.batch(), draw.size(), *draw.shape(dims))


@target_in_each_dimension
def max_pool(draw: Draw, dims: int) -> Any:
    options = pool_options(draw, dims) | {"dilation": draw.each(dims, 1, 1, 2, odd=(0, -1, 2**40))}
    kernel = draw.each(dims, 1, 2, 3, odd=(0, -1, 2**40))
    function = getattr(draw.F, f"max_pool{dims}d")
    return draw.call(function, image(draw, dims), kernel, return_indices=draw.rarely(2), **options)


@target_in_each_dimension
def avg_pool(draw: Draw, dims: int) -> Any:
    options = pool_options(draw, dims) | {"count_include_pad": draw.rarely(2)}
    if dims > 1 and draw.rarely(4):
        options["divisor_override"] = draw.choice(1, 3, -1, odd=(0,))
    kernel = draw.each(dims, 1, 2, 3, odd=(0, -1, 2**40))
    return draw.call(getattr(draw.F, f"avg_pool{dims}d"), image(draw, dims), kernel, **options)


@target_in_each_dimension
def lp_pool(draw: Draw, dims: int) -> Any:
    stride = draw.each(dims, 1, 2, 3, odd=(0, -1)) if draw.rarely(2) else None
    kernel = draw.each(dims, 1, 2, 3, odd=(0, -1))
    function = getattr(draw.F, f"lp_pool{dims}d")
    return draw.call(function, image(draw, dims), draw.choice(1, 2, 3.0), kernel, stride, draw.rarely(2))


@target_in_each_dimension
def adaptive_pool(draw: Draw, dims: int) -> Any:
    kind = draw.choice("max", "avg")
    size = draw.each(dims, 0, 1, 2, 5, odd=(-1, None))
    return draw.call(getattr(draw.F, f"adaptive_{kind}_pool{dims}d"), image(draw, dims), size)


@target_in_each_dimension
def max_unpool(draw: Draw, dims: int) -> Any:
    x = image(draw, dims)
    indices = draw.indices(max(x[0, 0].numel(), 1) if x.numel() else 1, *x.shape)
    kernel, stride = draw.each(dims, 1, 2, 3, odd=(0, -1)), draw.each(dims, 1, 2, odd=(0, -1))
    return draw.call(getattr(draw.F, f"max_unpool{dims}d"), x, indices, kernel, stride, draw.each(dims, 0, 0, 1))


@target
def fractional_max_pool(draw: Draw) -> Any:
    dims = draw.choice(2, 3)
    x = image(draw, dims)
    batch = (x.shape[0] if x.dim() == dims + 2 else 1, x.shape[-dims - 1])
    samples = draw.tensor(*batch, dims, gradient=False).abs()
    kernel, size = draw.each(dims, 1, 2, odd=(0, -1)), draw.each(dims, 1, 2, 3, odd=(0, -1))
    function = getattr(draw.F, f"fractional_max_pool{dims}d")
    return draw.call(function, x, kernel, output_size=size, _random_samples=samples)


@target_in_each_dimension
def interpolate(draw: Draw, dims: int) -> Any:
    mode = draw.choice("nearest", "nearest-exact", "area", ("linear", "bilinear", "trilinear")[dims - 1])
    if dims == 2 and draw.rarely(3):
        mode = "bicubic"
    options: dict[str, Any] = {"mode": mode}
    if draw.rarely(2):
        options["size"] = draw.each(dims, 1, 2, 5, 9, odd=(0, -1))
    else:
        options["scale_factor"] = draw.each(dims, 0.5, 1.0, 2.0, 2.3, odd=(0.0, 0.1, -1.0))
    if "linear" in mode or "cubic" in mode:
        options["align_corners"] = draw.rarely(2)
    return draw.call(draw.F.interpolate, image(draw, dims), **options)


@target_in_each_dimension
def pad(draw: Draw, dims: int) -> Any:
    mode = draw.choice("constant", "reflect", "replicate", "circular")
    amounts = [draw.choice(0, 1, 2, 3, odd=(-1, -5, 9, 2**40)) for _ in range(2 * dims)]
    return draw.call(draw.F.pad, image(draw, dims), amounts, mode=mode)


@target
def grid_sample(draw: Draw) -> Any:
    dims = draw.choice(2, 3)
    batch = draw.choice(0, 1, 2)
    x, grid = draw.tensor(batch, draw.size(), *draw.shape(dims)), draw.tensor(batch, *draw.shape(dims), dims)
    mode = draw.choice("bilinear", "nearest", *(["bicubic"] if dims == 2 else []))
    padding = draw.choice("zeros", "border", "reflection")
    return draw.call(draw.F.grid_sample, x, grid, mode=mode, padding_mode=padding, align_corners=draw.rarely(2))


@target
def affine_grid(draw: Draw) -> Any:
    dims = draw.choice(2, 3)
    batch = draw.choice(0, 1, 2)
    size = [batch, draw.size(), *draw.shape(dims)]
    return draw.call(draw.F.affine_grid, draw.tensor(batch, dims, dims + 1), size, align_corners=draw.rarely(2))


def fold_options(draw: Draw) -> dict[str, Any]:
    return {
        "kernel_size": draw.each(2, 1, 2, 3, odd=(0, -1, 2**40)),
        "dilation": draw.each(2, 1, 1, 2, odd=(0, -1, 2**40)),
        "padding": draw.each(2, 0, 0, 1, 4, odd=(-1, 2**40)),
        "stride": draw.each(2, 1, 2, odd=(0, -1, 2**40)),
    }


@target
def unfold(draw: Draw) -> Any:
    return draw.call(draw.F.unfold, image(draw, 2), **fold_options(draw))


@target
def fold(draw: Draw) -> Any:
    options, size = fold_options(draw), draw.shape(2)
    each = {name: (value, value) if isinstance(value, int) else value for name, value in options.items()}
    blocks, taps = 1, 1
    for i in range(2):
        kernel, dilation, padding, stride = (each[name][i] for name in each)
        reach = dilation * (kernel - 1) + 1
        blocks *= max((size[i] + 2 * padding - reach) // stride + 1, 0) if stride else 1
        taps *= kernel
    if not 0 <= blocks < 1000 or not 0 <= taps < 1000:
        blocks, taps = 2, 4
    return draw.call(draw.F.fold, draw.tensor(*draw.batch(), draw.size() * taps, blocks), size, **options)


@target
def shuffles(draw: Draw) -> Any:
    function = getattr(draw.F, draw.choice("pixel_shuffle", "pixel_unshuffle", "channel_shuffle"))
    factor = draw.choice(1, 2, 3, odd=(0, -1, 2**40))
    count = draw.size() * (min(max(factor, 1), 4) ** 2)
    return draw.call(function, draw.tensor(*draw.batch(), count, *(abs(factor) % 4 * n for n in draw.shape(2))), factor)


# Normalisation


@target_in_each_dimension
def norm(draw: Draw, dims: int) -> Any:
    kind = getattr(draw.nn, f"{draw.choice('Batch', 'Instance')}Norm{dims}d")
    channels = draw.size()
    options = {"affine": draw.rarely(2), "track_running_stats": draw.rarely(2), "momentum": draw.choice(0.1, None)}
    module = draw.module(kind, channels, **options)
    return draw.call(module, draw.tensor(*draw.batch(), channels, *draw.shape(dims))), list(module.buffers())


@target
def layer_norm(draw: Draw) -> Any:
    shape = draw.shape(draw.choice(1, 2, 3))
    own = shape[draw.rng.integers(len(shape)) :]
    weight, bias = (draw.tensor(*own) if draw.rarely(2) else None for _ in range(2))
    if draw.rarely(2):
        return draw.call(draw.F.rms_norm, draw.tensor(*shape), list(own), weight)
    return draw.call(draw.F.layer_norm, draw.tensor(*shape), list(own), weight, bias)


@target
def group_norm(draw: Draw) -> Any:
    groups, channels = draw.choice(1, 2, 3, odd=(0, -1, 2**40)), draw.size()
    channels *= groups if 0 < groups < 10 else 1
    weight, bias = (draw.tensor(channels) if draw.rarely(2) else None for _ in range(2))
    x = draw.tensor(draw.choice(0, 1, 2), channels, *draw.shape(draw.choice(0, 1, 2)))
    return draw.call(draw.F.group_norm, x, groups, weight, bias)


@target
def other_norms(draw: Draw) -> Any:
    x = draw.tensor(*draw.shape(draw.choice(2, 3, 4)))
    if draw.rarely(2):
        return draw.call(draw.F.local_response_norm, x, draw.choice(1, 2, 5, odd=(0, -1)))
    return draw.call(draw.F.normalize, x, p=draw.choice(1.0, 2.0, 0.0, float("inf")), dim=draw.choice(0, 1, -1))


# Linear layers, embeddings, attention and recurrence


@target
def linear(draw: Draw) -> Any:
    inside, outside = draw.size(), draw.size()
    bias = draw.tensor(outside) if draw.rarely(2) else None
    shape = draw.shape(draw.choice(0, 1, 2, 3))
    return draw.call(draw.F.linear, draw.tensor(*shape, inside), draw.tensor(outside, inside), bias)


@target
def bilinear(draw: Draw) -> Any:
    one, two, outside, shape = draw.size(), draw.size(), draw.size(), draw.shape(draw.choice(0, 1, 2))
    weight, bias = draw.tensor(outside, one, two), draw.tensor(outside) if draw.rarely(2) else None
    return draw.call(draw.F.bilinear, draw.tensor(*shape, one), draw.tensor(*shape, two), weight, bias)


@target
def embedding(draw: Draw) -> Any:
    rows = draw.size()
    index = draw.indices(rows, *draw.shape(draw.choice(0, 1, 2)))
    options = {"padding_idx": draw.choice(None, None, 0, -1, odd=(2**40,)), "scale_grad_by_freq": draw.rarely(4)}
    return draw.call(draw.F.embedding, index, draw.tensor(rows, draw.size()), **options)


@target
def embedding_bag(draw: Draw) -> Any:
    rows, mode = draw.size(), draw.choice("sum", "mean", "max")
    weight = draw.tensor(rows, draw.size())
    if draw.rarely(2):
        return draw.call(draw.F.embedding_bag, draw.indices(rows, *draw.shape(2)), weight, mode=mode)
    index = draw.indices(rows, draw.choice(0, 1, 5))
    offsets = draw.library.tensor(draw.choice([0], [0, 0], [0, 1], [], odd=([1], [0, 9], [-1])), dtype=index.dtype)
    last = draw.rarely(3)
    return draw.call(draw.F.embedding_bag, index, weight, offsets, mode=mode, include_last_offset=last)


@target
def attention(draw: Draw) -> Any:
    batch, heads, queries, keys, width = (draw.size() for _ in range(5))
    q, k = draw.tensor(batch, heads, queries, width), draw.tensor(batch, heads, keys, width)
    v = draw.tensor(batch, heads, keys, draw.size())
    options = {"is_causal": True} if draw.rarely(3) else {}
    return draw.call(draw.F.scaled_dot_product_attention, q, k, v, **options)


@target
def MultiheadAttention(draw: Draw) -> Any:
    heads, width = draw.choice(1, 2, odd=(0, -1)), draw.size()
    width *= max(heads, 1)
    batch = draw.batch()
    module = draw.module(draw.nn.MultiheadAttention, width, heads, batch_first=True, bias=draw.rarely(2))
    q = draw.tensor(*batch, draw.size(), width)
    k = draw.tensor(*batch, draw.size(), width)
    return draw.call(module, q, k, k, need_weights=draw.rarely(2))


@target
def transformer_layer(draw: Draw) -> Any:
    kind = draw.choice("TransformerEncoderLayer", "TransformerDecoderLayer")
    heads, width, batch = draw.choice(1, 2), draw.size(), draw.batch()
    width *= heads
    module = draw.module(getattr(draw.nn, kind), width, heads, draw.size(), dropout=0.0, batch_first=True)
    x = draw.tensor(*batch, draw.size(), width)
    return draw.call(module, x, *([draw.tensor(*batch, draw.size(), width)] if "Decoder" in kind else []))


@target
def recurrent(draw: Draw) -> Any:
    kind = getattr(draw.nn, draw.choice("RNN", "LSTM", "GRU"))
    inside, hidden = draw.size(), draw.choice(1, 2, 5, odd=(0, -1))
    options = {"num_layers": draw.choice(1, 2, odd=(0, -1)), "bidirectional": draw.rarely(3), "batch_first": True}
    if kind is draw.nn.LSTM and draw.rarely(4):
        options["proj_size"] = draw.choice(1, odd=(0, -1, 7))
    module = draw.module(kind, inside, hidden, bias=draw.rarely(2), **options)
    return draw.call(module, draw.tensor(*draw.batch(), draw.size(), inside))


@target
def cells(draw: Draw) -> Any:
    kind = getattr(draw.nn, draw.choice("RNNCell", "LSTMCell", "GRUCell"))
    inside, hidden = draw.size(), draw.size()
    module = draw.module(kind, inside, hidden, bias=draw.rarely(2))
    return draw.call(module, draw.tensor(*draw.batch(), inside))


# Activations, losses and distances


@target
def activations(draw: Draw) -> Any:
    names = "softmax log_softmax softmin glu relu elu gelu silu mish hardtanh hardswish softplus logsigmoid celu selu"
    name = draw.choice(*names.split())
    x = draw.tensor(*draw.shape(draw.choice(0, 1, 2, 3)))
    options = {"dim": draw.choice(0, -1, odd=(2, -4))} if name in ("softmax", "log_softmax", "softmin", "glu") else {}
    return draw.call(getattr(draw.F, name), x, **options)


@target
def prelu(draw: Draw) -> Any:
    x = draw.tensor(*draw.shape(draw.choice(0, 1, 2, 3)))
    count = draw.choice(1, x.shape[1] if x.dim() > 1 else 1, odd=(0, 5))
    return draw.call(draw.F.prelu, x, draw.tensor(count))


@target
def cross_entropy(draw: Draw) -> Any:
    classes, shape = draw.size(), draw.shape(draw.choice(0, 1, 2))
    batch = draw.batch()
    options: dict[str, Any] = {"reduction": draw.choice("mean", "sum", "none")}
    if draw.rarely(3):
        options["weight"] = draw.tensor(classes, gradient=False).abs()
    if draw.rarely(3):
        options["ignore_index"] = draw.choice(0, 1, -1)
    x = draw.tensor(*batch, classes, *(shape if batch else ()))
    targets = draw.indices(classes, *batch, *(shape if batch else ()))
    return draw.call(draw.choice(draw.F.cross_entropy, draw.F.nll_loss), x, targets, **options)


@target
def pairwise_losses(draw: Draw) -> Any:
    names = "l1_loss mse_loss smooth_l1_loss huber_loss kl_div poisson_nll_loss soft_margin_loss"
    names += " binary_cross_entropy_with_logits hinge_embedding_loss multilabel_margin_loss multilabel_soft_margin_loss"
    name, shape = draw.choice(*names.split()), draw.shape(draw.choice(0, 1, 2, 3))
    other = draw.indices(2, *shape) if name == "multilabel_margin_loss" else draw.tensor(*shape, gradient=False)
    reduction = draw.choice("mean", "sum", "none", odd=("batchmean", "other"))
    return draw.call(getattr(draw.F, name), draw.tensor(*shape), other, reduction=reduction)


@target
def ranking_losses(draw: Draw) -> Any:
    name, reduction = draw.choice("cosine", "margin", "triplet", "multi_margin"), draw.choice("mean", "sum", "none")
    rows, width = draw.size(), draw.size()
    a, b = draw.tensor(rows, width), draw.tensor(rows, width)
    if name == "cosine":
        sign = draw.indices(2, rows) * 2 - 1
        return draw.call(draw.F.cosine_embedding_loss, a, b, sign, reduction=reduction)
    if name == "margin":
        return draw.call(draw.F.margin_ranking_loss, a, b, draw.tensor(rows, width).sign(), reduction=reduction)
    if name == "triplet":
        return draw.call(draw.F.triplet_margin_loss, a, b, draw.tensor(rows, width), reduction=reduction)
    return draw.call(draw.F.multi_margin_loss, a, draw.indices(width, rows), reduction=reduction)


@target
def ctc_loss(draw: Draw) -> Any:
    steps, batch, classes, longest = draw.size(), draw.choice(0, 1, 2), draw.choice(1, 2, 5, odd=(0,)), draw.size()
    x = draw.tensor(steps, batch, classes).log_softmax(2)
    targets = draw.indices(max(classes - 1, 1), batch, longest) + 1
    lengths = [draw.library.full((batch,), n, dtype=targets.dtype) for n in (steps, draw.choice(longest, 0))]
    options = {"reduction": draw.choice("mean", "sum", "none"), "zero_infinity": draw.rarely(2)}
    return draw.call(draw.F.ctc_loss, x, targets, *lengths, blank=draw.choice(0, odd=(-1, 9)), **options)


@target
def distances(draw: Draw) -> Any:
    name = draw.choice("cosine_similarity", "pairwise_distance", "pdist", "cdist")
    rows, others, width = draw.size(), draw.size(), draw.size()
    p = draw.choice(2.0, 1.0, 0.0, float("inf"), 3.0, odd=(-1.0,))
    if name == "pdist":
        return draw.call(draw.F.pdist, draw.tensor(rows, width), p)
    if name == "cdist":
        return draw.call(draw.library.cdist, draw.tensor(rows, width), draw.tensor(others, width), p)
    a, b = draw.tensor(rows, width), draw.tensor(rows, width)
    return draw.call(getattr(draw.F, name), a, b, **({"p": p} if name == "pairwise_distance" else {}))


@target
def one_hot(draw: Draw) -> Any:
    classes = draw.choice(-1, 1, 3, 7, odd=(0, -2))
    return draw.call(draw.F.one_hot, draw.indices(3, *draw.shape(draw.choice(0, 1, 2))), classes)


@target
def dropouts(draw: Draw) -> Any:
    name = draw.choice("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout")
    p = draw.choice(0.0, 1.0, odd=(-0.1, 1.1))
    return draw.call(getattr(draw.F, name), draw.tensor(*draw.shape(draw.choice(2, 3, 4, 5))), p, draw.rarely(2))


@target
def flattening(draw: Draw) -> Any:
    x = draw.tensor(*draw.shape(draw.choice(0, 1, 2, 3, 4)))
    if draw.rarely(2):
        module = draw.module(draw.nn.Flatten, draw.choice(0, 1, odd=(7,)), draw.choice(-1, 1))
    else:
        module = draw.module(draw.nn.Unflatten, draw.choice(0, 1, -1), draw.choice((-1, 1), (2, 3), (0, -1), (1, 1)))
    return draw.call(module, x)
