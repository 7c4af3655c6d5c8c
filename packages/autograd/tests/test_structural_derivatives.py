"""First and second derivatives of operators that are not pointwise, compared with finite differences."""

import numpy as np
import pytest

import flambeau as fb
from flambeau import _core
from flambeau.autograd import gradcheck, gradgradcheck

CASES = []


def add(operator, function, *shapes, positive=False, values=None):
    CASES.append(pytest.param(function, shapes, positive, values, id=f"{operator}-{len(CASES)}"))


def integers(*values):
    return fb.tensor(values)


MASK = fb.tensor([[True, False, True], [False, False, True]])
INDEX = fb.tensor([[0, 1, 1], [1, 0, 1]])
CLASSES = fb.tensor([2, 0, 1, 2])
UNIQUE = fb.tensor([[0, 1, 2], [2, 0, 1]])

# Conversions between complex and real numbers; test_complex.py tests other complex operators
add("complex", fb.complex, (2, 3), (3,))
add("polar", fb.polar, (2, 3), (3,))
add("real", lambda x: (x * (1 + 2j)).real, (2, 3))
add("imag", lambda x: fb.imag(x * (1 + 2j)), (2, 3))
add("view_as_real", lambda x: fb.view_as_real(x * (1 + 2j)), (2, 3))
add("view_as_complex", fb.view_as_complex, (3, 2))
add("adjoint", lambda x: (x * 1j).adjoint(), (2, 3))
add("cdouble", lambda x: x.cdouble() * 1j, (2, 3))

# Views
add("view", lambda x: x.view(3, -1), (2, 6))
add("view_as", lambda x: x.view_as(fb.zeros(4, 3)), (2, 6))
add("reshape", lambda x: x.t().reshape(4, 3), (2, 6))
add("reshape_as", lambda x: x.reshape_as(fb.zeros(4, 3)), (2, 6))
add("transpose", lambda x: x.transpose(0, -1), (2, 3, 2))
add("t", lambda x: x.t(), (2, 3))
add("t", lambda x: x.T + x.mT, (3, 3))
add("permute", lambda x: x.permute(2, 0, 1), (2, 3, 2))
add("expand", lambda x: x.expand(2, 3, -1), (3, 1))
add("expand", lambda x: x.expand(2, 3, 4), (3, 1))
add("expand_as", lambda x: x.expand_as(fb.zeros(2, 3)), (3,))
add("broadcast_to", lambda x: x.broadcast_to((2, 3)), (3,))
add("squeeze", lambda x: x.squeeze(), (1, 3, 1))
add("squeeze", lambda x: x.squeeze(0), (1, 3, 1))
add("unsqueeze", lambda x: x.unsqueeze(1), (2, 3))
add("flatten", lambda x: x.flatten(1), (2, 3, 2))
add("ravel", lambda x: x.ravel(), (2, 3))
add("unflatten", lambda x: x.unflatten(1, (2, 3)), (2, 6))
add("select", lambda x: x.select(1, -1), (2, 3))
add("narrow", lambda x: x.narrow(1, 1, 2), (2, 4))
add("diagonal", lambda x: x.diagonal(1), (3, 4))
add("diagonal", lambda x: x.diagonal(-1, 1, 2), (2, 3, 3))
add("as_strided", lambda x: x.as_strided((2, 2), (3, 1), 1), (2, 3))
add("view_copy", lambda x: fb.view_copy(x, (3, 4)), (2, 6))
add("expand_copy", lambda x: fb.expand_copy(x, (2, 3, 4)), (3, 1))
add("permute_copy", lambda x: fb.permute_copy(x, (2, 0, 1)), (2, 3, 2))
add("squeeze_copy", lambda x: fb.squeeze_copy(x, 0), (1, 3))
add("unsqueeze_copy", lambda x: fb.unsqueeze_copy(x, 0), (3,))
add("t_copy", lambda x: fb.t_copy(x), (2, 3))
add("transpose_copy", lambda x: fb.transpose_copy(x, 0, 2), (2, 3, 2))
add("select_copy", lambda x: fb.select_copy(x, 1, 2), (2, 3))
add("slice_copy", lambda x: fb.slice_copy(x, 1, 0, 5, 2), (2, 5))
add("diagonal_copy", lambda x: fb.diagonal_copy(x, 1), (3, 4))
add("unfold_copy", lambda x: fb.unfold_copy(x, 0, 2, 1), (5,))
add("alias_copy", lambda x: fb.alias_copy(x), (2, 3))
add("narrow_copy", lambda x: x.narrow_copy(1, 1, 2), (2, 4))
add("as_strided_copy", lambda x: fb.as_strided_copy(x, (2, 2), (3, 1), 1), (2, 3))
add("split_copy", lambda x: fb.split_copy(x, 2), (5,))
add("split_with_sizes_copy", lambda x: fb.split_with_sizes_copy(x, [1, 4]), (5,))
add("unbind_copy", lambda x: fb.unbind_copy(x, 1), (2, 3))
add("as_strided", lambda x: x.as_strided((3, 2), (1, 1), 1), (2, 3))
add("as_strided", lambda x: x.t().as_strided((2, 2), (2, 3)), (2, 3))
add("as_strided", lambda x: x.expand(2, 3).as_strided((2,), (2,)), (3,))
add("as_strided_", lambda x: (x * 1).as_strided_((2, 2), (3, 1), 1) * x[0, 0], (2, 3))
add("transpose_", lambda x: (x * 2).transpose_(0, 1) * x.t(), (2, 3))
add("swapaxes_", lambda x: (x * 2).swapaxes_(0, 1) * x.t(), (2, 3))
add("swapdims_", lambda x: (x * 2).swapdims_(0, 1) * x.t(), (2, 3))
add("t_", lambda x: (x * 2).t_() * x.t(), (2, 3))
add("squeeze_", lambda x: (x * x).squeeze_(0), (1, 3))
add("unsqueeze_", lambda x: (x * x).unsqueeze_(1), (3,))
add("unfold", lambda x: x.unfold(1, 3, 2), (2, 7))
add("unfold", lambda x: x.unfold(0, 2, 1).unfold(1, 2, 2), (3, 4))
add("moveaxis", lambda x: x.moveaxis((0, 1), (1, 2)), (2, 3, 2))
add("sum_to_size", lambda x: x.sum_to_size(3, 1), (2, 3, 2))
add("split_with_sizes", lambda x: x.split_with_sizes([1, 4], 1), (2, 5))
add("broadcast_tensors", lambda x, y: fb.broadcast_tensors(x, y), (2, 1), (3,))
add("meshgrid", lambda x, y: fb.meshgrid(x, y, indexing="xy"), (2,), (3,))
for name in ("atleast_1d", "atleast_2d", "atleast_3d"):
    add(name, lambda x, y, f=name: getattr(fb, f)(x, y), (), (3,))
add("unbind", lambda x: x.unbind(1), (2, 3))
add("repeat", lambda x: x.repeat(2, 3), (2, 2))
add("tril", lambda x: x.tril(-1), (3, 3))
add("triu", lambda x: x.triu(1), (2, 3, 3))
add("getitem", lambda x: x[1], (3, 2))
add("getitem", lambda x: x[..., 1:, None, ::2], (2, 3, 5))
add("getitem", lambda x: x[1:, 0], (3, 2))
add("getitem", lambda x: x[-1, 1:][0], (3, 4))

# Copies
add("clone", lambda x: x.clone(), (2, 3))
add("contiguous", lambda x: x.t().contiguous(), (2, 3))
add("to", lambda x: x.to(fb.float64, copy=True), (2, 3))
add("type_as", lambda x: x.type_as(fb.zeros(1, dtype=fb.float64)), (2, 3))
add("double", lambda x: x.double() * 2, (2, 3))
add("cpu", lambda x: x.cpu() * 2, (2, 3))
add("copy_", lambda x, y: (x * 1).copy_(y), (2, 3), (3,))
add("fill_", lambda x, y: (x * 1).fill_(2.0) * y, (2, 3), (3,))
add("zero_", lambda x, y: (x * 1).zero_() * y + x, (2, 3), (3,))

# Reductions
for reduction in ("sum", "mean", "prod", "var", "std", "amax", "amin"):
    add(reduction, lambda x, f=reduction: getattr(x, f)(), (2, 3))
    add(reduction, lambda x, f=reduction: getattr(x, f)(1), (2, 3, 2))
    add(reduction, lambda x, f=reduction: getattr(x, f)(-1, keepdim=True), (2, 3))
for reduction in ("sum", "mean", "var", "std", "amax", "amin", "logsumexp"):
    add(reduction, lambda x, f=reduction: getattr(x, f)((0, 2)), (2, 3, 2))
    add(reduction, lambda x, f=reduction: getattr(x, f)((0, -1), keepdim=True), (2, 3, 2))
add("sum", lambda x: x.t().sum(0, dtype=fb.float64), (2, 3))
add("var", lambda x: x.var(1, correction=0), (2, 3))
add("std", lambda x: x.std(0, unbiased=False), (3, 2))
add("prod", lambda x: x.prod(), values=[[[2.0, 0.0, -3.0]]])
add("prod", lambda x: x.prod(1), values=[[[2.0, 0.0, -3.0], [0.0, 1.5, 0.0], [1.0, 2.0, 3.0]]])
add("prod", lambda x: x.prod(0, keepdim=True), values=[[[2.0, 0.0], [0.5, 1.5], [1.0, 2.0]]])
for extreme in ("max", "min"):
    add(extreme, lambda x, f=extreme: getattr(x, f)(), (2, 3))
    add(extreme, lambda x, f=extreme: getattr(x, f)(1).values, (2, 3))
    add(extreme, lambda x, f=extreme: getattr(x, f)(0, keepdim=True)[0], (3, 2))
    add(extreme, lambda x, y, f=extreme: getattr(x, f)(y), (2, 3), (3,))
add("logsumexp", lambda x: x.logsumexp(0), (3, 2))
add("norm", lambda x: x.norm(), (2, 3))
for order in (1, 1.5, 3, float("inf"), -float("inf"), 0.5):
    add("norm", lambda x, p=order: x.norm(p, 1, keepdim=True), (2, 3))
add("cumsum", lambda x: x.cumsum(1), (2, 4))
add("cumsum", lambda x: x.cumsum(0), (3, 2))
add("cumprod", lambda x: x.cumprod(1), (2, 4))
add("cumprod", lambda x: x.cumprod(0), values=[[[1.5, 0.0], [0.0, 2.0], [3.0, 0.5], [0.0, 1.0]]])
add("cummax", lambda x: x.cummax(1).values, (2, 5))
add("cummin", lambda x: x.cummin(0).values, (4, 2))
add("logcumsumexp", lambda x: x.logcumsumexp(1), (2, 4))
add("diff", lambda x, y: fb.diff(x, 2, 0, y), (3, 2), (1, 2))
add("trapezoid", lambda y, x: fb.trapezoid(y, x), (2, 4), (4,))
add("trapz", lambda y: fb.trapz(y, dx=0.5, dim=0), (3, 2))
add("cumulative_trapezoid", lambda y, x: fb.cumulative_trapezoid(y, x, dim=0), (3, 2), (3, 2))
add("softmax", lambda x: x.softmax(0), (3, 2))
add("softmax", lambda x: fb.softmax(x, -1), (2, 3))
add("log_softmax", lambda x: x.log_softmax(1), (2, 3, 2))
add("log_softmax", lambda x: fb.log_softmax(x, -1), (2, 3))

# Products
add("matmul", lambda x, y: x @ y, (3,), (3,))
add("matmul", lambda x, y: x @ y, (2, 3), (3,))
add("matmul", lambda x, y: x @ y, (3,), (3, 2))
add("matmul", lambda x, y: x @ y, (2, 3), (3, 2))
add("matmul", lambda x, y: x @ y, (2, 2, 3), (3, 2))
add("matmul", lambda x, y: x @ y, (2, 3), (2, 3, 2))
add("matmul", lambda x, y: x @ y, (2, 1, 2, 3), (3, 3, 2))
add("matmul", lambda x: x @ x.t(), (2, 3))
add("mm", lambda x, y: x.mm(y.t()), (2, 3), (2, 3))
add("bmm", lambda x, y: x.bmm(y), (2, 2, 3), (2, 3, 1))
add("mv", lambda x, y: x.mv(y), (2, 3), (3,))
add("dot", lambda x, y: x.dot(y), (3,), (3,))
add("outer", lambda x, y: x.outer(y), (2,), (3,))
add("addmm", lambda i, x, y: fb.addmm(i, x, y, beta=0.5, alpha=2), (2,), (3, 2), (2, 2))
add("addmm", lambda i, x, y: (i * 1).addmm_(x, y), (3, 2), (3, 2), (2, 2))
add("baddbmm", lambda i, x, y: fb.baddbmm(i, x, y, beta=0.5, alpha=2), (2, 1), (2, 2, 3), (2, 3, 1))
add("addmv", lambda i, x, y: fb.addmv(i, x, y, alpha=2), (2,), (2, 3), (3,))
add("linear", lambda x, w: fb.linear(x, w), (2, 2, 3), (2, 3))

# Convolution and pooling
add("conv2d", lambda x, w, b: fb.conv2d(x, w, b), (1, 2, 4, 4), (2, 2, 3, 2), (2,))
add("conv2d", lambda x, w: fb.conv2d(x, w, stride=2, padding=1), (2, 1, 4, 5), (1, 1, 3, 3))
add("conv2d", lambda x, w: fb.conv2d(x, w, stride=(1, 2), padding=(0, 1), dilation=(2, 1)), (1, 1, 5, 4), (2, 1, 2, 2))
add("conv2d", lambda x, w, b: fb.conv2d(x, w, b, groups=2), (1, 4, 3, 3), (2, 2, 2, 2), (2,))
add("conv2d", lambda x, w: fb.conv2d(x, w, padding="same"), (1, 1, 3, 4), (1, 1, 3, 2))
add("conv2d", lambda x, w: fb.conv2d(x, w, padding="valid"), (1, 3, 3), (2, 1, 1, 1))
add("max_pool2d", lambda x: fb.max_pool2d(x, 3, 2, 1, ceil_mode=True), (1, 1, 4, 5))
add("max_pool2d", lambda x: fb.max_pool2d(x, 2, 1, dilation=2), (1, 4, 4))
add("max_pool2d", lambda x: fb.max_pool2d(x, 2, return_indices=True)[0], (1, 1, 4, 4))
add("avg_pool2d", lambda x: fb.avg_pool2d(x, 3, 2, 1, ceil_mode=True, count_include_pad=False), (1, 1, 4, 5))
add("avg_pool2d", lambda x: fb.avg_pool2d(x, (2, 3), 1, divisor_override=5), (1, 3, 4))

# Joining and indexing
for name in ("cat", "concat", "concatenate"):
    add(name, lambda x, y, f=name: getattr(fb, f)([x, y, x], 1), (2, 1), (2, 3))
add("cat", lambda x: fb.cat([x, fb.zeros(0, dtype=fb.float64), x * 2]), (2, 2))
add("stack", lambda x, y: fb.stack([x, y], -1), (2, 3), (2, 3))
add("flip", lambda x: x.flip(0, 2), (2, 3, 2))
add("fliplr", lambda x: x.fliplr(), (2, 3))
add("flipud", lambda x: x.flipud(), (2, 3))
add("rot90", lambda x: x.rot90(), (2, 3))
add("tile", lambda x: x.tile(2, 2), (3,))
add("constant_pad_nd", lambda x: fb.constant_pad_nd(x, (1, -1, 2, 0), 3.0), (2, 3))
add("diag_embed", lambda x: x.diag_embed(1, 0, 2), (2, 3))
add("diag", lambda x: x.diag(-1), (3,))
add("diag", lambda x: x.diag(1), (3, 4))
add("diagflat", lambda x: x.diagflat(), (2, 2))
add("trace", lambda x: x.trace(), (3, 4))
for name in ("hstack", "vstack", "row_stack", "dstack", "column_stack"):
    add(name, lambda x, y, f=name: getattr(fb, f)([x, y]), (3,), (3,))
add("block_diag", lambda x, y: fb.block_diag(x, y), (2, 3), (2,))
add("cartesian_prod", lambda x, y: fb.cartesian_prod(x, y), (2,), (3,))
add("combinations", lambda x: fb.combinations(x), (4,))
add("kron", lambda x, y: fb.kron(x, y), (2, 2), (3,))
add("tensordot", lambda x, y: fb.tensordot(x, y, ([0, 2], [2, 0])), (2, 3, 2), (2, 2, 2))
add("inner", lambda x, y: fb.inner(x, y), (2, 3), (2, 3))
add("cross", lambda x, y: fb.cross(x, y, 1), (2, 3), (1, 3))
add("addr", lambda x, y, z: fb.addr(x, y, z, beta=2, alpha=0.5), (3,), (2,), (3,))
add("addr_", lambda x, y, z: (x * 1).addr_(y, z), (2, 3), (2,), (3,))
add("gradient", lambda x: fb.gradient(x, spacing=0.5, edge_order=2), (3, 4))
add("gradient", lambda x: fb.gradient(x, spacing=(fb.tensor([0.0, 1.0, 3.0]),), dim=0), (3, 2))
add("scatter", lambda x, y: x.scatter(1, UNIQUE, y), (2, 3), (2, 3))
add("scatter", lambda x, y: x.scatter(0, UNIQUE, y), (3, 3), (3, 4))
add("scatter", lambda x: x.scatter(1, INDEX[:, :2], 2.0), (2, 3))
add("scatter", lambda x, y: x.scatter(0, INDEX, y, reduce="multiply"), (2, 3), (2, 3))
add("scatter_", lambda x, y: (x * x).scatter_(0, UNIQUE, y), (3, 3), (2, 3))
for fold in ("sum", "prod", "mean", "amax", "amin"):
    for own in (True, False):
        add(
            "scatter_reduce",
            lambda x, y, f=fold, s=own: x.scatter_reduce(0, INDEX, y, f, include_self=s),
            (2, 3),
            (3, 3),
        )
        if fold != "sum":
            add(
                "index_reduce",
                lambda x, y, f=fold, s=own: x.index_reduce(1, integers(0, 2, 0), y, f, include_self=s),
                (2, 3),
                (2, 3),
            )
add("scatter_reduce_", lambda x, y: (x * x).scatter_reduce_(0, INDEX, y, "prod"), (2, 3), (2, 3))
add("index_reduce_", lambda x, y: (x * x).index_reduce_(0, integers(1), y, "amax"), (2, 3), (1, 3))
add("scatter_add_", lambda x, y: (x * x).scatter_add_(0, INDEX, y), (2, 3), (2, 3))
add("index_add_", lambda x, y: (x * x).index_add_(0, integers(1, 1), y), (2, 3), (2, 3))
add("index_copy_", lambda x, y: (x * x).index_copy_(1, integers(2, 0), y), (2, 3), (2, 2))
add("index_fill", lambda x, v: x.index_fill(1, integers(0, 0), v), (2, 3), ())
add("index_fill_", lambda x, v: (x * x).index_fill_(1, integers(1), v), (2, 3), ())
add("index_put", lambda x, y: x.index_put((None, integers(1, 0)), y), (3, 2), (2,))
add("index_put", lambda x, y: x.index_put((MASK,), y), (2, 3), ())
add("take", lambda x: x.take(INDEX - 2), (2, 3))
add("put", lambda x, y: x.t().put(integers(4, 4), y, accumulate=True), (2, 3), (2,))
add("put_", lambda x, y: (x * x).put_(integers(4, 0), y), (2, 3), (2,))
add("masked_scatter", lambda x, y: x.masked_scatter(MASK, y), (2, 3), (2, 2))
add("masked_scatter_", lambda x, y: (x * x).masked_scatter_(MASK, y), (2, 3), (4,))
add("masked_fill_", lambda x, v: (x * x).masked_fill_(MASK, v), (2, 3), ())
add("embedding", lambda w: fb.embedding(w, INDEX) ** 2, (3, 2))
add("gather", lambda x: x.gather(0, INDEX), (2, 3))
add("gather", lambda x: x.gather(1, INDEX[:, :2]), (3, 2))
add("scatter_add", lambda x, y: x.scatter_add(0, INDEX, y), (2, 3), (2, 3))
add("scatter_add", lambda x, y: x.scatter_add(1, INDEX[:, :2], y), (2, 3), (3, 3))
add("scatter_add", lambda x, y: (x * 1).scatter_add_(0, INDEX, y), (2, 3), (2, 3))
add("index_select", lambda x: x.index_select(1, integers(2, 0, 2)), (2, 3))
add("index_add", lambda x, y: (x * 1).index_add_(1, integers(2, 0), y), (2, 3), (2, 2))
add("index_put_", lambda x, y: (x * 1).index_put_((integers(1, 0),), y), (3, 2), (2, 2))
add("index_put_", lambda x, y: (x * 1).index_put_((integers(1, 1),), y, accumulate=True), (3, 2), (2,))
add("masked_select", lambda x: x.masked_select(MASK), (2, 3))
add("masked_fill", lambda x, v: x.masked_fill(MASK, v), (2, 3), ())
add("masked_fill", lambda x, v: (x * 1).masked_fill_(MASK, v), (2, 3), ())
add("where", lambda x, y: x.where(MASK, y), (2, 3), (2, 1))
add("getitem", lambda x: x[MASK], (2, 3))
add("getitem", lambda x: x[integers(1, 0, 1)], (2, 3))
add("getitem", lambda x: x[:, integers(1, 0, 1)], (2, 3))
add("getitem", lambda x: x[integers(1, 0), :, integers(0, 1)], (2, 3, 2))
add("getitem", lambda x: x[[1, 0], 1:], (2, 3))
add("getitem", lambda x: x[INDEX, integers(0, 1, 2)], (2, 3))
add("setitem", lambda x, y: assigned(x, (0,), y), (2, 3), (3,))
add("setitem", lambda x, y: assigned(x, (slice(None), 1), y), (2, 3), (2,))
add("setitem", lambda x, y: assigned(x, (..., slice(1, None)), y), (2, 3), ())
add("setitem", lambda x, y: assigned(x, (integers(1, 0), 2), y), (2, 3), (2,))
add("setitem", lambda x, y: assigned(x, MASK, y), (2, 3), ())
add("setitem", lambda x: assigned(x, 0, 5.0), (2, 3))


def assigned(x, key, value):
    out = x * 1
    out[key] = value
    return out


# Losses
LOGITS = (4, 3)
for kind in ("none", "mean", "sum"):
    add("mse_loss", lambda x, y, r=kind: fb.mse_loss(x, y, r), (2, 3), (2, 3))
    add("nll_loss", lambda x, r=kind: fb.nll_loss(x, CLASSES, reduction=r), LOGITS)
    add("cross_entropy", lambda x, r=kind: fb.cross_entropy(x, CLASSES, reduction=r), LOGITS)
    add("cross_entropy", lambda x, r=kind: fb.cross_entropy(x, CLASSES, ignore_index=0, reduction=r), LOGITS)
    add("cross_entropy", lambda x, r=kind: fb.cross_entropy(x, CLASSES, label_smoothing=0.2, reduction=r), LOGITS)
    add("cross_entropy", lambda x, w, r=kind: fb.cross_entropy(x, CLASSES, w.exp(), reduction=r), LOGITS, (3,))
    add("cross_entropy", lambda x, p, r=kind: fb.cross_entropy(x, p, reduction=r, label_smoothing=0.1), LOGITS, LOGITS)
add("nll_loss", lambda x, w: fb.nll_loss(x, CLASSES, w.exp(), ignore_index=0), LOGITS, (3,))
add("nll_loss", lambda x: fb.nll_loss(x, INDEX), (2, 2, 3))
add("cross_entropy", lambda x: fb.cross_entropy(x, INDEX), (2, 2, 3))
add("cross_entropy", lambda x: fb.cross_entropy(x, fb.tensor(1)), (3,))

# Normalisation, dropout, composites
BATCH = (3, 2, 2, 2)
add("batch_norm", lambda x, w, b: fb.batch_norm(x, w, b, None, None, True), BATCH, (2,), (2,))
add("batch_norm", lambda x: fb.batch_norm(x, None, None, fb.zeros(2), fb.ones(2), training=True), (4, 2))
add("batch_norm", lambda x, w, b: fb.batch_norm(x, w, b, STATISTICS, STATISTICS, False), BATCH, (2,), (2,))
add("dropout", lambda x: seeded_dropout(x), (4, 5))
add("dropout", lambda x: fb.dropout(x, 0.5, False) * 2, (2, 3))
add("add", lambda x, y: fb.add(x, y, alpha=0.5), (2, 3), (3,))
add("sub", lambda x, y: fb.sub(x, y, alpha=2), (2, 3), (3,))
add("subtract", lambda x, y: fb.subtract(x, y, alpha=2), (2, 3), (3,))
for name in ("div", "divide", "true_divide", "multiply"):
    add(name, lambda x, y, f=name: getattr(fb, f)(x, y), (2, 3), (3,), positive=True)
for name in ("pow", "float_power"):
    add(name, lambda x, y, f=name: getattr(fb, f)(x, y), (2, 3), (3,), positive=True)
    add(name, lambda x, f=name: getattr(fb, f)(x, 3), (2, 3))
for name in ("negative", "absolute", "round", "gelu", "softplus", "leaky_relu"):
    add(name, lambda x, f=name: getattr(fb, f)(x), (2, 3))
for name in ("clamp", "clip"):
    add(name, lambda x, f=name: getattr(fb, f)(x, -0.5, 0.5), (2, 3))
    add(name, lambda x, y, f=name: getattr(fb, f)(x, min=y), (2, 3), (3,))
    add(name, lambda x, f=name: getattr(fb.Tensor, f"{f}_")(x * 1, -0.5, 0.5), (2, 3))
add("lerp", lambda x, y, w: fb.lerp(x, y, w), (2, 3), (3,), (2, 1))
add("lerp", lambda x, y: fb.lerp(x, y, 0.3), (2, 3), (3,))
add("einsum", lambda x, y: fb.einsum("ij,kj->ik", x, y), (2, 3), (4, 3))

# Sorting and statistics
add("msort", lambda x: x.msort(), (4, 2))
add("nanmedian", lambda x: x.nanmedian(0).values, (3, 2))
add("mode", lambda x: x.mode(1).values, (2, 3))
for name in ("linear", "lower", "midpoint"):
    add("quantile", lambda x, i=name: x.quantile(fb.tensor([0.3, 0.6], dtype=fb.float64), 1, interpolation=i), (2, 4))
add("nanquantile", lambda x: x.nanquantile(0.4), (5,))
add("cov", lambda x: x.cov(aweights=fb.tensor([0.2, 0.5, 0.3], dtype=fb.float64)), (2, 3))
add("cov", lambda x, w: x.cov(aweights=w.square() + 0.5), (2, 4), (4,))
add("corrcoef", lambda x: x.corrcoef(), (2, 5))
for order in (0, 1, 2, 3, float("inf")):
    add("cdist", lambda x, y, p=order: fb.cdist(x, y, p), (3, 2), (2, 4, 2))
    add("cdist of long rows", lambda x, y, p=order: fb.cdist(x, y, p), (2, 9), (2, 9))
    add("pdist", lambda x, p=order: fb.pdist(x, p), (3, 2))
    add("dist", lambda x, y, p=order: x.dist(y, p), (3, 2), (2,))
    add("pairwise_distance", lambda x, y, p=order: fb.pairwise_distance(x, y, p), (3, 2), (2,))
for name in ("sum", "mean", "max", "prod"):
    add("segment_reduce", lambda x, r=name: fb.segment_reduce(x, r, lengths=integers(2, 1)), (3, 2))
add("aminmax", lambda x: x.aminmax(dim=1), (2, 3))
for name in ("var_mean", "std_mean"):
    add(name, lambda x, f=name: getattr(fb, f)(x, 0), (3, 2))
    add(name, lambda x, f=name: getattr(fb, f)(x, correction=0)[1], (3, 2))
add("sum_to_size", lambda x: x.sum_to_size(2, 1), (3, 2, 4))
add("nansum", lambda x: x.nansum(1), values=[[[1.0, 2.0], [0.5, 3.0]]])
add("nanmean", lambda x: x.nanmean(0), (3, 2))
for order in (1, 2, 2.5):
    add("renorm", lambda x, p=order: x.renorm(p, 0, 1.2), (3, 4))
add("cosine_similarity", lambda x, y: fb.cosine_similarity(x, y, 0), (3, 2), (3, 1))

STATISTICS = fb.tensor([0.5, 1.5], dtype=fb.float64)


def seeded_dropout(x):
    fb.manual_seed(3)
    return fb.dropout(x, 0.4)


@pytest.mark.parametrize(("function", "shapes", "positive", "values"), CASES)
def test_structural_operators_pass_gradcheck(function, shapes, positive, values):
    generator = np.random.default_rng(7)
    arrays = [np.array(v) for v in values] if values else [generator.standard_normal(s) for s in shapes]
    inputs = [fb.tensor(np.abs(a) + 0.5 if positive else a, requires_grad=True) for a in arrays]
    assert gradcheck(function, inputs)
    assert gradgradcheck(function, inputs)


def test_gradient_of_embedding_skips_padding_and_scales_by_frequency():
    weight = fb.zeros(3, 1, requires_grad=True)
    fb.embedding(weight, INDEX, padding_idx=0).sum().backward()
    assert weight.grad.tolist() == [[0], [4], [0]]
    weight.grad = None
    fb.embedding(weight, INDEX, scale_grad_by_freq=True).sum().backward()
    assert weight.grad.tolist() == [[1], [1], [0]]


def test_every_pointwise_operator_has_a_derivative_if_pytorch_has_one():
    integral = ("Integral", "Whole", "Comparison", "Logical")
    without = {r["name"] for r in _core.pointwise_rows() if not r["differentiable"] and r["domain"] not in integral}
    assert {name for name in without if not name.startswith("special_")} == {"heaviside"}
    polynomials = {name for name in without if "_polynomial_" in name}
    bessel = {name for name in without if "bessel" in name or name == "special_airy_ai"}
    assert without == {"heaviside"} | polynomials | bessel  # PyTorch does not have these derivatives either


def test_gradient_of_fill_goes_to_the_value_and_not_to_the_input():
    x, value = fb.ones(3, requires_grad=True), fb.tensor(2.0, dtype=fb.float64, requires_grad=True)
    fb.fill(x, value).sum().backward()
    assert x.grad.tolist() == [0, 0, 0] and value.grad.item() == 3 and value.grad.dtype is fb.float64
    value.grad = None
    fb.zeros(3).fill_(value).sum().backward()
    assert value.grad.item() == 3
    assert not fb.autograd.grad(fb.fill(x, 1.0).sum(), x)[0].any()


def test_logcumsumexp_of_a_number_has_a_constant_gradient():
    x = fb.tensor(1.5, dtype=fb.float64, requires_grad=True)
    assert fb.autograd.grad(x.logcumsumexp(0), x, create_graph=True)[0].item() == 1
    assert gradgradcheck(lambda x: x.logcumsumexp(0) * x, [x])


@pytest.mark.parametrize("output", [0, 1, 2])
def test_every_result_of_native_group_norm_has_a_derivative(output):
    x = fb.tensor(np.random.default_rng(3).standard_normal((2, 4, 3)), requires_grad=True)

    def function(x):
        return fb.native_group_norm(x, None, None, 2, 4, 3, 2, 1e-5)[output]

    assert gradcheck(function, [x])
    assert gradgradcheck(function, [x])


@pytest.mark.parametrize("name", ["scatter_reduce", "index_reduce"])
def test_second_derivatives_of_products_with_several_zeros_raise_an_error(name):
    x = fb.ones(2, dtype=fb.float64, requires_grad=True)
    y = fb.tensor([0.0, 0.0, 3.0], dtype=fb.float64, requires_grad=True)
    z = getattr(x, name)(0, integers(0, 0, 1), y, "prod")
    assert fb.autograd.grad(z.sum(), y, retain_graph=True)[0].tolist() == [0, 0, 1]
    (gradient,) = fb.autograd.grad(z.sum(), y, create_graph=True)
    with pytest.raises(RuntimeError, match=rf"{name}.*Double backward is unsupported for src"):
        gradient.sum().backward()
    (gradient,) = fb.autograd.grad(z[1] * z[1], y, create_graph=True)  # y still has two zeros for position 0
    with pytest.raises(RuntimeError, match="Double backward is unsupported"):
        gradient.sum().backward()
