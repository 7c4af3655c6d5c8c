"""Derivatives of operators that are not pointwise, as functions that call operators. See ``_derivatives``."""

from __future__ import annotations

import math
from typing import Any

import flambeau
from flambeau import Tensor

from ._decompositions import run
from ._derivatives import Differentiated, rule

Gradients = tuple[Any, ...] | None


def _conjugate(x: Tensor) -> Tensor:
    return x.conj() if x.is_complex() else x


@rule("add", "sub")
def _sum(call: Differentiated) -> Gradients:
    (g,) = call.gradients
    sign = 1 if call.overload._opname.startswith("add") else -1
    factor = sign * call.kwargs.get("alpha", 1)
    gradients = []
    for operand, scale in zip(call.args, (1, factor), strict=False):
        if isinstance(operand, Tensor):
            gradients.append(g if scale == 1 else -g if scale == -1 else g * scale)
    return tuple(gradients)


@rule("mul")
def _product(call: Differentiated) -> Gradients:
    (g,) = call.gradients
    a, b = call.args
    if not isinstance(b, Tensor) or not isinstance(a, Tensor):
        return (
            (g * (b if isinstance(a, Tensor) else a),)
            if not isinstance(a if isinstance(b, Tensor) else b, complex)
            else None
        )
    return (
        g * _conjugate(b) if call.needs[0] else None,
        g * _conjugate(a) if call.needs[1] else None,
    )


@rule("mm", "bmm")
def _matrices(call: Differentiated) -> Gradients:
    (g,) = call.gradients
    a, b = call.args[:2]
    product = flambeau.mm if a.dim() == 2 else flambeau.bmm
    return (
        product(g, _conjugate(_swap_last_dims(b))) if call.needs[0] else None,
        product(_conjugate(_swap_last_dims(a)), g) if call.needs[1] else None,
    )


def _swap_last_dims(x: Tensor) -> Tensor:
    return flambeau.t(x) if x.dim() == 2 else flambeau.transpose(x, 1, 2)


@rule("addmm", "baddbmm")
def _matrices_and_sum(call: Differentiated) -> Gradients:
    (g,) = call.gradients
    beta, alpha = call.kwargs.get("beta", 1), call.kwargs.get("alpha", 1)
    matrix_call = call._replace(args=call.args[1:], needs=call.needs[1:])
    products = tuple(p if p is None or alpha == 1 else p * alpha for p in _matrices(matrix_call) or ())
    return (g if beta == 1 else g * beta) if call.needs[0] else None, *products


@rule("mv")
def _matrix_and_vector(call: Differentiated) -> Gradients:
    (g,) = call.gradients
    a, v = call.args
    return (
        flambeau.mm(g.unsqueeze(1), _conjugate(v).unsqueeze(0)) if call.needs[0] else None,
        flambeau.mv(_conjugate(flambeau.t(a)), g) if call.needs[1] else None,
    )


@rule("dot")
def _vectors(call: Differentiated) -> Gradients:
    (g,) = call.gradients
    a, b = call.args
    return g * _conjugate(b) if call.needs[0] else None, g * _conjugate(a) if call.needs[1] else None


@rule("view", "_unsafe_view", "_reshape_alias")
def _gradient_of_view(call: Differentiated) -> Gradients:
    if isinstance(call.args[1], flambeau.dtype):
        return None
    return (call.gradients[0].reshape(list(call.args[0].shape)),)


@rule("t")
def _transposed_matrix(call: Differentiated) -> Gradients:
    return (flambeau.t(call.gradients[0]),)


@rule("transpose")
def _transposed(call: Differentiated) -> Gradients:
    return (flambeau.transpose(call.gradients[0], *call.args[1:]),)


@rule("permute")
def _permuted(call: Differentiated) -> Gradients:
    count = call.args[0].dim()
    order = [dim % count for dim in call.args[1]]
    return (call.gradients[0].permute([order.index(dim) for dim in range(count)]),)


@rule("unsqueeze")
def _unsqueezed(call: Differentiated) -> Gradients:
    dim = call.args[1]
    return (call.gradients[0].squeeze(dim),)


@rule("squeeze")
def _squeezed(call: Differentiated) -> Gradients:
    return (call.gradients[0].reshape(list(call.args[0].shape)),)


@rule("expand", "alias", "clone", "lift_fresh", "contiguous", "_to_copy", "copy", "positive")
def _gradient_of_copy(call: Differentiated) -> Gradients:
    (g,) = call.gradients
    source = call.tensors[-1 if call.overload._opname == "copy_" else 0]
    if g.device != source.device:
        g = g.to(source.device)
    if call.overload._opname in ("copy_", "copy"):
        return (flambeau.zeros_like(g) if call.needs[0] else None, g if call.needs[1] else None)
    return (g, *[None] * (len(call.tensors) - 1))


@rule("sum")
def _summed(call: Differentiated) -> Gradients:
    (g,) = call.gradients
    x = call.args[0]
    return (
        _expand_reduced(g, x, call.argument("dim"), call.argument("keepdim"))
        if len(call.args) > 1
        else g.expand(x.shape),
    )


def _expand_reduced(g: Tensor, x: Tensor, dims: Any, keepdim: Any) -> Tensor:
    """Broadcast the gradient of a reduction over the reduced dimensions."""
    if dims is not None and not keepdim:
        for dim in sorted(dim % max(x.dim(), 1) for dim in ([dims] if isinstance(dims, int) else dims)):
            if x.dim():
                g = g.unsqueeze(dim)
    return g.expand(x.shape)


@rule("mean")
def _gradient_of_mean(call: Differentiated) -> Gradients:
    (g,) = call.gradients
    x = call.args[0]
    if len(call.args) == 1 or call.args[1] is None:
        return (g.expand(x.shape) / x.numel(),)
    dims = [call.args[1]] if isinstance(call.args[1], int) else call.args[1]
    count = math.prod(x.shape[dim] for dim in dims)
    return (_expand_reduced(g, x, dims, call.argument("keepdim")) / count,)


@rule("cat")
def _concatenated(call: Differentiated) -> Gradients:
    (g,) = call.gradients
    dim = call.argument("dim")
    gradients: list[Any] = []
    start = 0
    for tensor, needed in zip(call.tensors, call.needs, strict=True):
        if tensor.dim() == 1 and tensor.shape[0] == 0:
            gradients.append(None)
            continue
        size = tensor.shape[dim]
        gradients.append(g.narrow(dim, start, size) if needed else None)
        start += size
    return tuple(gradients)


@rule("stack")
def _stacked(call: Differentiated) -> Gradients:
    parts = flambeau.unbind(call.gradients[0], call.argument("dim"))
    return tuple(part if needed else None for part, needed in zip(parts, call.needs, strict=True))


@rule("select")
def _selected(call: Differentiated) -> Gradients:
    x, dim, index = call.args
    return (run("select_backward", "default", call.gradients[0], list(x.shape), dim, index),)


@rule("slice")
def _sliced(call: Differentiated) -> Gradients:
    x, dim, start, end = (*call.args, 0, None, None)[:4] if len(call.args) < 4 else call.args[:4]
    step = call.args[4] if len(call.args) > 4 else 1
    size = x.shape[dim]
    start, end, step = slice(start, end, step).indices(size)
    return (run("slice_backward", "default", call.gradients[0], list(x.shape), dim, start, end, step),)


@rule("split", "unbind", "split_with_sizes", reads_results=True)
def _split(call: Differentiated) -> Gradients:
    x = call.args[0]
    dim = call.argument("dim")
    parts = [
        g if g is not None else flambeau.zeros_like(part) for g, part in zip(call.gradients, call.results, strict=True)
    ]
    return ((flambeau.stack if call.overload._opname == "unbind" else flambeau.cat)(parts, dim if x.dim() else 0),)


@rule("_softmax", reads_results=True)
def _softmax(call: Differentiated) -> Gradients:
    x, dim = call.args[:2]
    return (run("_softmax_backward_data", "default", call.gradients[0], call.results[0], dim, x.dtype),)


@rule("_log_softmax", reads_results=True)
def _log_softmax(call: Differentiated) -> Gradients:
    x, dim = call.args[:2]
    return (run("_log_softmax_backward_data", "default", call.gradients[0], call.results[0], dim, x.dtype),)


@rule("masked_fill")
def _masked(call: Differentiated) -> Gradients:
    (g,) = call.gradients
    mask, value = call.args[1:3]
    own = g.masked_fill(mask, 0) if call.needs[0] else None
    if not isinstance(value, Tensor):
        return own, None
    return own, None, flambeau.where(mask, g, 0).sum() if call.needs[2] else None


@rule("where")
def _gradient_of_where(call: Differentiated) -> Gradients:
    (g,) = call.gradients
    condition, a, b = call.args
    gradients: list[Any] = [None]
    if isinstance(a, Tensor):
        gradients.append(flambeau.where(condition, g, 0))
    if isinstance(b, Tensor):
        gradients.append(flambeau.where(condition, 0, g))
    return tuple(gradients)


@rule("fill", "zero")
def _gradient_of_fill(call: Differentiated) -> Gradients:
    (g,) = call.gradients
    gradients = (flambeau.zeros_like(g) if call.needs[0] else None,)
    return gradients if len(call.tensors) == 1 else (*gradients, g.sum())


@rule("gather")
def _gathered(call: Differentiated) -> Gradients:
    (g,) = call.gradients
    x, dim, index = call.args[:3]
    return flambeau.zeros_like(x).scatter_add(dim, index, g), None


@rule("relu", reads_results=True)
def _gradient_of_relu(call: Differentiated) -> Gradients:
    return (run("threshold_backward", "default", call.gradients[0], call.results[0], 0),)


@rule("sigmoid", reads_results=True)
def _sigmoid(call: Differentiated) -> Gradients:
    return (run("sigmoid_backward", "default", call.gradients[0], call.results[0]),)


@rule("tanh", reads_results=True)
def _tanh(call: Differentiated) -> Gradients:
    return (run("tanh_backward", "default", call.gradients[0], call.results[0]),)


@rule("silu")
def _silu(call: Differentiated) -> Gradients:
    return (run("silu_backward", "default", call.gradients[0], call.args[0]),)


@rule("gelu")
def _gelu(call: Differentiated) -> Gradients:
    return (run("gelu_backward", "default", call.gradients[0], call.args[0], **call.kwargs),)


@rule("embedding")
def _embedded(call: Differentiated) -> Gradients:
    weight, indices = call.args[:2]
    padding, scale, sparse = (call.argument(name) for name in ("padding_idx", "scale_grad_by_freq", "sparse"))
    if sparse:
        return None
    g = call.gradients[0]
    return run("embedding_dense_backward", "default", g, indices, weight.shape[0], padding, scale), None


@rule("convolution")
def _convolved(call: Differentiated) -> Gradients:
    input, weight, bias, *settings = call.args
    sizes = None if bias is None else list(bias.shape)
    needs = [*call.needs, False][:3]
    gradients = run("convolution_backward", "default", call.gradients[0], input, weight, sizes, *settings, needs)
    return tuple(gradients)[: len(call.tensors)]
