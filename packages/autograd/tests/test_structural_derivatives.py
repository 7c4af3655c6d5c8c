"""The operators that are not rows: first and second derivatives against finite differences, one line a case."""

import numpy as np
import pytest

import flambeau as fb
from flambeau import _core
from flambeau.autograd import gradcheck, gradgradcheck

CASES = []


COVERED = set()


def add(operator, function, *shapes, positive=False, values=None):
    COVERED.add(operator)
    CASES.append(pytest.param(function, shapes, positive, values, id=f"{operator}-{len(CASES)}"))


def integers(*values):
    return fb.tensor(values)


MASK = fb.tensor([[True, False, True], [False, False, True]])
INDEX = fb.tensor([[0, 1, 1], [1, 0, 1]])
CLASSES = fb.tensor([2, 0, 1, 2])

# Complex numbers, of real ones; test_complex.py has the rest
add("complex", fb.complex, (2, 3), (3,))
add("polar", fb.polar, (2, 3), (3,))
add("real", lambda x: (x * (1 + 2j)).real, (2, 3))
add("imag", lambda x: fb.imag(x * (1 + 2j)), (2, 3))
add("view_as_real", lambda x: fb.view_as_real(x * (1 + 2j)), (2, 3))
add("view_as_complex", fb.view_as_complex, (3, 2))
add("conj", lambda x: (x * 1j).conj(), (2, 3))
add("adjoint", lambda x: (x * 1j).adjoint(), (2, 3))
add("cdouble", lambda x: x.cdouble() * 1j, (2, 3))
for name in ("resolve_conj", "resolve_neg"):
    add(name, getattr(fb, name), (2, 3))

# Views
add("view", lambda x: x.view(3, -1), (2, 6))
add("view_as", lambda x: x.view_as(fb.zeros(4, 3)), (2, 6))
add("reshape", lambda x: x.t().reshape(4, 3), (2, 6))
add("reshape_as", lambda x: x.reshape_as(fb.zeros(4, 3)), (2, 6))
add("transpose", lambda x: x.transpose(0, -1), (2, 3, 2))
add("swapaxes", lambda x: x.swapaxes(0, 1), (2, 3))
add("swapdims", lambda x: x.swapdims(0, 1), (2, 3))
add("t", lambda x: x.t(), (2, 3))
add("t", lambda x: x.T + x.mT, (3, 3))
add("permute", lambda x: x.permute(2, 0, 1), (2, 3, 2))
add("movedim", lambda x: x.movedim((0, 1), (1, 2)), (2, 3, 2))
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
add("split", lambda x: x.split(2, 1), (2, 5))
add("split", lambda x: x.split([1, 4], 1)[1], (2, 5))
add("chunk", lambda x: x.chunk(2, 1), (2, 5))
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
add("linear", lambda x, w, b: fb.linear(x, w, b), (4, 3), (2, 3), (2,))
add("linear", lambda x, w: fb.linear(x, w), (2, 2, 3), (2, 3))
add("linear", lambda x, w, b: fb.linear(x, w, b), (3,), (2, 3), (2,))

# Convolution and pooling
add("conv2d", lambda x, w, b: fb.conv2d(x, w, b), (1, 2, 4, 4), (2, 2, 3, 2), (2,))
add("conv2d", lambda x, w: fb.conv2d(x, w, stride=2, padding=1), (2, 1, 4, 5), (1, 1, 3, 3))
add("conv2d", lambda x, w: fb.conv2d(x, w, stride=(1, 2), padding=(0, 1), dilation=(2, 1)), (1, 1, 5, 4), (2, 1, 2, 2))
add("conv2d", lambda x, w, b: fb.conv2d(x, w, b, groups=2), (1, 4, 3, 3), (2, 2, 2, 2), (2,))
add("conv2d", lambda x, w: fb.conv2d(x, w, padding="same"), (1, 1, 3, 4), (1, 1, 3, 2))
add("conv2d", lambda x, w: fb.conv2d(x, w, padding="valid"), (1, 3, 3), (2, 1, 1, 1))
add("max_pool2d", lambda x: fb.max_pool2d(x, 2), (1, 2, 4, 4))
add("max_pool2d", lambda x: fb.max_pool2d(x, 3, 2, 1, ceil_mode=True), (1, 1, 4, 5))
add("max_pool2d", lambda x: fb.max_pool2d(x, 2, 1, dilation=2), (1, 4, 4))
add("max_pool2d", lambda x: fb.max_pool2d(x, 2, return_indices=True)[0], (1, 1, 4, 4))
add("avg_pool2d", lambda x: fb.avg_pool2d(x, 2), (1, 2, 4, 4))
add("avg_pool2d", lambda x: fb.avg_pool2d(x, 3, 2, 1, ceil_mode=True, count_include_pad=False), (1, 1, 4, 5))
add("avg_pool2d", lambda x: fb.avg_pool2d(x, (2, 3), 1, divisor_override=5), (1, 3, 4))

# Joining and indexing
for name in ("cat", "concat", "concatenate"):
    add(name, lambda x, y, f=name: getattr(fb, f)([x, y, x], 1), (2, 1), (2, 3))
add("cat", lambda x: fb.cat([x, fb.zeros(0, dtype=fb.float64), x * 2]), (2, 2))
add("stack", lambda x, y: fb.stack([x, y], -1), (2, 3), (2, 3))
add("gather", lambda x: x.gather(0, INDEX), (2, 3))
add("gather", lambda x: x.gather(1, INDEX[:, :2]), (3, 2))
add("take_along_dim", lambda x: x.take_along_dim(INDEX, 0), (2, 1))
add("scatter_add", lambda x, y: x.scatter_add(0, INDEX, y), (2, 3), (2, 3))
add("scatter_add", lambda x, y: x.scatter_add(1, INDEX[:, :2], y), (2, 3), (3, 3))
add("scatter_add", lambda x, y: (x * 1).scatter_add_(0, INDEX, y), (2, 3), (2, 3))
add("index_select", lambda x: x.index_select(1, integers(2, 0, 2)), (2, 3))
add("index_add", lambda x, y: x.index_add(0, integers(1, 1), y, alpha=0.5), (2, 3), (2, 3))
add("index_add", lambda x, y: (x * 1).index_add_(1, integers(2, 0), y), (2, 3), (2, 2))
add("index_put_", lambda x, y: (x * 1).index_put_((integers(1, 0),), y), (3, 2), (2, 2))
add("index_put_", lambda x, y: (x * 1).index_put_((integers(1, 1),), y, accumulate=True), (3, 2), (2,))
add("masked_select", lambda x: x.masked_select(MASK), (2, 3))
add("masked_fill", lambda x: x.masked_fill(MASK, 2.0), (2, 3))
add("masked_fill", lambda x, v: x.masked_fill(MASK, v), (2, 3), ())
add("masked_fill", lambda x, v: (x * 1).masked_fill_(MASK, v), (2, 3), ())
add("where", lambda x, y: fb.where(MASK, x, y), (2, 3), (3,))
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
add("batch_norm", lambda x, w, b: fb.batch_norm(x, None, None, w, b, True), BATCH, (2,), (2,))
add("batch_norm", lambda x: fb.batch_norm(x, fb.zeros(2), fb.ones(2), training=True), (4, 2))
add("batch_norm", lambda x, w, b: fb.batch_norm(x, STATISTICS, STATISTICS, w, b, False), BATCH, (2,), (2,))
add("dropout", lambda x: seeded_dropout(x), (4, 5))
add("dropout", lambda x: fb.dropout(x, 0.5, False) * 2, (2, 3))
add("add", lambda x, y: fb.add(x, y, alpha=0.5), (2, 3), (3,))
add("sub", lambda x, y: fb.sub(x, y, alpha=2), (2, 3), (3,))
add("subtract", lambda x, y: fb.subtract(x, y, alpha=2), (2, 3), (3,))
add("rsub", lambda x, y: fb.rsub(x, y, alpha=2), (2, 3), (3,))
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
add("addcmul", lambda x, y, z: fb.addcmul(x, y, z, value=0.5), (2, 3), (3,), (2, 1))
add("addcdiv", lambda x, y, z: fb.addcdiv(x, y, z, value=0.5), (2, 3), (3,), (2, 1), positive=True)
add("einsum", lambda x, y: fb.einsum("ij,kj->ik", x, y), (2, 3), (4, 3))

STATISTICS = fb.tensor([0.5, 1.5], dtype=fb.float64)


def seeded_dropout(x):
    fb.manual_seed(3)
    return fb.dropout(x, 0.4)


@pytest.mark.parametrize(("function", "shapes", "positive", "values"), CASES)
def test_derivatives(function, shapes, positive, values):
    generator = np.random.default_rng(7)
    arrays = [np.array(v) for v in values] if values else [generator.standard_normal(s) for s in shapes]
    inputs = [fb.tensor(np.abs(a) + 0.5 if positive else a, requires_grad=True) for a in arrays]
    assert gradcheck(function, inputs)
    assert gradgradcheck(function, inputs)


# What has no derivative: constructors, conversions to other kinds of data, orderings, draws, queries.
NOT_DIFFERENTIABLE = set(
    """
    __complex__ __dlpack__ __dlpack_device__ _set_grad_enabled adam_ sgd_ all any allclose arange argmax argmin
    as_tensor asarray
    bernoulli bernoulli_ bitwise_not bool byte can_cast char count_nonzero data_ptr detach dim element_size
    empty empty_like equal eye from_dlpack from_numpy frombuffer full full_like get_device greater int
    is_complex is_conj is_contiguous is_floating_point is_grad_enabled is_neg is_nonzero is_same_size is_set_to isclose
    isreal item less
    linspace long ndimension nelement new_empty new_full new_ones new_tensor new_zeros nonzero normal normal_ numel
    one_hot ones ones_like promote_types rand rand_like randint randint_like randn randn_like random_ randperm
    requires_grad_ result_type short size storage_offset stride tensor tolist uniform_ zeros zeros_like
    """.split()  # noqa: SIM905  (a list of 90 quoted names is not readable)
)
LOW_PRECISION = {"float", "half", "bfloat16", "cfloat"}  # differentiable; test_dtypes.py
FORWARDED = {"backward", "register_hook", "retain_grad", "register_post_accumulate_grad_hook", "detach_"}


def test_every_operator_is_covered_or_listed_as_not_differentiable():
    registered = {entry["name"] for entry in _core.signatures()} - FORWARDED
    missing = registered - COVERED - LOW_PRECISION - NOT_DIFFERENTIABLE
    assert not missing, f"neither a case nor listed: {sorted(missing)}"


def test_the_lists_name_registered_operators_only():
    registered = {entry["name"] for entry in _core.signatures()} | {row["name"] for row in _core.pointwise_rows()}
    assert registered >= NOT_DIFFERENTIABLE
    assert registered | {"getitem", "setitem", "einsum"} >= COVERED
    assert not NOT_DIFFERENTIABLE & COVERED


def test_every_floating_point_row_has_a_derivative():
    integral = ("Integral", "Comparison", "Logical")
    without = {r["name"] for r in _core.pointwise_rows() if not r["differentiable"] and r["domain"] not in integral}
    assert without == set()
