"""Every converter, with fixed and with dynamic shapes in ONNX Runtime; one line for each operator."""

import numpy as np
import pytest

import flambeau as fb
from flambeau.nn import functional as F
from flambeau.onnx import export

# Functions of x (4, 6), y (4, 6) and i (4, 6), integers below 4. x and y are positive: signs come
# from the expressions. The first dimension is dynamic in one of the two runs.
# fmt: off
OF_MATRICES = {
    # pointwise
    "unary": lambda x, y, i: [
        getattr(x - 0.5, n)()
        for n in ["abs", "neg", "exp", "sin", "cos", "tan", "atan", "sinh", "asinh", "tanh", "erf"]
    ],
    "roots": lambda x, y, i: [
        getattr(x, n)() for n in ["sqrt", "rsqrt", "log", "log2", "log10", "log1p", "reciprocal", "logit"]
    ],
    "powers": lambda x, y, i: [x.expm1(), x.exp2(), x.square(), x**2, 2**x, x**y, x.erfc(), x.sigmoid(), i**2],
    "turns": lambda x, y, i: [x.asin(), x.acos(), x.atanh(), (x + 1).acosh(), x.deg2rad(), x.rad2deg(), x.cosh()],
    "rounded": lambda x, y, i: [
        t
        for z in [x * 9 - 4]
        for t in [z.floor(), z.ceil(), z.trunc(), z.round(), z.round(decimals=1), z.frac(), z.sign(), z.int().sign()]
    ],
    "arithmetic": lambda x, y, i: [
        x + y, x - i, x * 2, 2 / y, x + True, 1 - x, -x, i // 3, x // 0.3, x.add(y, alpha=3),
    ],
    "integers": lambda x, y, i: [
        i + 1, i * i, (i - 2) // 3, (i - 2) % 3, i / 2, fb.div(i - 2, 3, rounding_mode="trunc"),
    ],
    "quotients": lambda x, y, i: [
        (x - 0.5) % 0.3, fb.fmod(x - 0.5, 0.3), fb.div(x - 0.5, y, rounding_mode="floor"),
        fb.div(x - 0.5, y, rounding_mode="trunc"),
    ],
    "compared": lambda x, y, i: [x < y, x <= 0.5, x > i, x >= y, i == 2, i != 2, x > 0.5, i > 1.5],
    "logical": lambda x, y, i: [
        (x > 0.5) + (y > 0.5), (x > 0.5) * (y > 0.5), fb.maximum(x > 0.5, y > 0.5), fb.minimum(x > 0.5, y > 0.5),
        (x > 0.5) & (y > 0.5), (x > 0.5) | (i > 1), (x > 0.5) ^ (y > 0.5), ~(x > 0.5), i & 2, i | 2, i ^ 1, ~i,
        fb.logical_and(x, i), fb.logical_not(i), fb.logical_xor(i, x), fb.logical_or(i, i),
    ],
    "extremes": lambda x, y, i: [
        fb.maximum(x, y), fb.minimum(x, i), x.clamp(0.2, 0.8), x.clamp(min=0.3), i.clamp(1, 2),
    ],
    "clamped": lambda x, y, i: [x.clamp(max=0.3), x.clamp(y, 0.9), x.clamp_min(0.2), x.clamp_max(0.2)],
    "chosen": lambda x, y, i: [
        fb.where(x > y, x, y), fb.where(x > 0.5, x, 0.0), fb.where(i > 1, i, -1), x.masked_fill(x > y, -3.0),
    ],
    "combined": lambda x, y, i: [
        x.lerp(y, 0.3), fb.addcmul(x, y, y, value=2), fb.addcdiv(x, y, y + 1), fb.hypot(x, y), fb.logaddexp(x, y),
        fb.atan2(x - 0.5, y - 0.5), fb.rsub(x, y), F.softsign(x - 0.5),
    ],
    "other names": lambda x, y, i: [
        x.absolute(), x.clip(0.2, 0.8), x.multiply(y), x.subtract(y), x.divide(y), x.arccos(), x.greater(y),
        x.not_equal(y),
        fb.special.expit(x), fb.special.log1p(x), x[0].ger(y[0]), (x * 1).clip_(0.1, 0.2), (x * 9 - 4).fix(),
    ],
    "less common": lambda x, y, i: [
        fb.copysign(x, y - 0.5), fb.fmax(x, y), fb.fmin(x, y), fb.heaviside(x - 0.5, y), fb.isclose(x, y, 0.5),
        fb.logaddexp2(x, y), fb.sinc(x - 0.5), fb.xlogy(i, x), fb.float_power(x, 2),
    ],
    "special": lambda x, y, i: [
        t for z in (fb.where(x > 0.7, float("inf"), x),) for t in (z.isinf(), z.isfinite(), z.isnan(), fb.nan_to_num(z))
    ],
    "activations": lambda x, y, i: [
        f(x * 8 - 4)
        for f in (
            F.relu, F.gelu, F.silu, F.elu, F.selu, F.celu, F.mish, F.hardswish, F.hardsigmoid, F.hardtanh, F.relu6,
            F.leaky_relu, F.softplus, F.logsigmoid, F.hardshrink, F.softshrink, F.tanhshrink, F.glu,
        )
    ],
    "parametric": lambda x, y, i: [
        F.gelu(x - 0.5, approximate="tanh"), F.elu(x - 0.5, 0.7), F.threshold(x, 0.5, 7.0), F.softplus(x - 0.5, beta=3),
        F.softplus(x, threshold=0.5), F.softplus(x, beta=3, threshold=2),
        F.leaky_relu(x - 0.5, 0.2), F.hardtanh(x, 0.1, 0.6), F.prelu(x - 0.5, fb.tensor([0.1])),
        F.prelu(x - 0.5, fb.arange(6) / 6), F.celu(x - 0.5, 0.4), F.softshrink(x - 0.5, 0.1),
    ],
    "casts": lambda x, y, i: [
        x.double(), x.long(), (x * 3).int(), i.float(), x.half(), x.bool(), x.to(i.dtype), i.type_as(x),
    ],
    # sums and sorting
    "sums": lambda x, y, i: [
        x.sum(), x.sum(1), x.sum(0, keepdim=True), i.sum(1), (x > 0.5).sum(1), x.mean(), x.mean((0, 1)), x.prod(1),
        i.prod(1),
        x.sum(-1, dtype=fb.float64),
    ],
    "greatest": lambda x, y, i: [
        x.amax(1), x.amin(), x.max(), *x.max(1), *x.min(0, keepdim=True), x.argmax(1), x.argmin(1, keepdim=True),
        x.argmax(),
        fb.max(x, y),
    ],
    "truths": lambda x, y, i: [(x > 0.9).any(1), (x > 0.1).all(1), (x > 2).any(), i.all(), i.any(1, keepdim=True)],
    "spreads": lambda x, y, i: [
        x.var(1), x.std(0), x.std(), x.var(1, unbiased=False, keepdim=True), *fb.var_mean(x, 1), *fb.std_mean(x, 0),
    ],
    "norms": lambda x, y, i: [
        x.norm(), x.norm(dim=1), x.norm(1, 1), fb.linalg.vector_norm(x, 3, 1), x.norm(float("inf"), 1),
        F.normalize(x, dim=1),
    ],
    "exponents": lambda x, y, i: [
        x.softmax(1), x.log_softmax(0), x.logsumexp(1), F.softmin(x, 1), i.float().softmax(-1),
    ],
    "other sums": lambda x, y, i: [
        *x.aminmax(dim=1), *x.kthvalue(2, 1), *x.kthvalue(3, 1, keepdim=True), x.nansum(1), x.nanmean(),
        fb.nanprod(x, 1), fb.nanprod(x.log(), 0, keepdim=True),
        x[:3, :3].trace(),
        F.mse_loss(x, y), F.mse_loss(x, y, reduction="none"), fb.linalg.det(x[:2, :2] + fb.eye(2)),
    ],
    "orders": lambda x, y, i: [
        *x.topk(2), *x.topk(3, largest=False), *x.sort(1), x.argsort(1, descending=True), x.cumsum(1),
    ],
    # products
    "products": lambda x, y, i: [
        x @ y.T, fb.mm(x, y.t()), x @ fb.ones(6), fb.addmm(y @ y.T, x, y.T, beta=2, alpha=0.5),
        fb.einsum("ij,kj->ik", x, y),
        F.linear(x, fb.ones(3, 6), fb.arange(3.0)), x[0].dot(y[0]), x[:, 0].outer(y[0]),
        fb.einsum("ij , ij -> i", x, y),
    ],
    "batches": lambda x, y, i: [
        fb.bmm(x.unsqueeze(1), y.unsqueeze(2)),
        fb.baddbmm(x.unsqueeze(1), x.unsqueeze(1), fb.ones(1, 6, 6).expand(len(x), 6, 6)),
        F.linear(x.view(len(x), 2, 3), fb.ones(5, 3)), F.bilinear(x, y, fb.ones(2, 6, 6)),
    ],
    "distances": lambda x, y, i: [
        F.cosine_similarity(x, y), F.pairwise_distance(x, y), fb.cdist(x, y), fb.cdist(x, y, p=1), F.pdist(x[:2]),
    ],
    # shapes
    "reshaped": lambda x, y, i: [
        x.view(-1), x.reshape(len(x) * 2, 3), x.flatten(), x.unflatten(1, (2, 3)), x.unsqueeze(1),
        x.unsqueeze(0).squeeze(0),
        x.view(len(x), -1, 2), x.view_as(y), x.ravel(), x.view(2, -1),
    ],
    "turned": lambda x, y, i: [
        x.t(), x.T, x.mT, x.transpose(0, 1), x.view(-1, 2, 3).permute(2, 0, 1), x.view(-1, 2, 3).permute((1, 2, 0)),
        x.view(-1, 2, 3).movedim(0, 2), x.swapaxes(0, 1), x.swapdims(0, 1), x.moveaxis(0, 1),
    ],
    "expanded": lambda x, y, i: [
        x.unsqueeze(0).expand(3, -1, -1), x[:, :1].expand(len(x), 5), x[:1].expand_as(y), x.repeat(2, 3),
        x.repeat(2, 1, 1),
        x.tile(2), x.repeat_interleave(2, 1), *fb.broadcast_tensors(x[:, :1], y),
        *fb.meshgrid(x[:, 0], y[0], indexing="ij"),
    ],
    "joined": lambda x, y, i: [
        fb.cat([x, y]), fb.cat([x, i], 1), fb.stack([x, y], 1), fb.stack([x, y], -1), fb.hstack([x, y]),
        fb.vstack([x, y]), fb.concat([x, y]), fb.concatenate([x, i], 1),
    ],
    "parted": lambda x, y, i: [
        *x.split(2, 1), *x.chunk(3, 1), *x.split([1, 5], 1), *x.unbind(1), x.narrow(1, 2, 3), x.select(1, 2),
        *x.tensor_split(2, 1),
    ],
    "moved": lambda x, y, i: [
        x.flip(1), x.flip(0, 1), x.roll(2, 1), x.roll((1, -2), (0, 1)), x.tril(), x.triu(1),
        x.view(-1, 2, 3).diagonal(0, 1, 2),
        (x > 0.5).tril(-1), x.roll(1), x.roll(23), x.roll(13, 1), x.roll(-13, 1), x.roll(6, 1),
    ],
    "windows": lambda x, y, i: [
        x.unfold(1, 3, 2), x.unfold(0, 2, 1), x.diff(), x.diff(2, 0), fb.diag(x[0]), fb.diag(x[:3, :3]),
        x.diag_embed(1),
        x.fliplr(), x.flipud(), fb.column_stack([x[:, 0], y]), x.as_strided((2, 3), (1, 2)),
        fb.cross(x[:, :3], y[:, 3:], 1),
    ],
    "padded": lambda x, y, i: [
        F.pad(x, (1, 2)), F.pad(x, (1, 2, 0, 1), value=3.0), F.pad(x[None], (2, 1), mode="reflect"),
        F.pad(x[None], (2, 1), mode="replicate"), F.pad(x[None], (2, 1), mode="circular"), F.pad(x, (-1, -2)),
    ],
    # indices
    "indexed": lambda x, y, i: [
        x[0], x[-1], x[:, 1], x[:, -2:], x[:, ::2], x[1:3, 2:4], x[None], x[..., 0], x[:, None, 1:], x[:, 5:1], x[0, 1],
        x[: len(x) // 2], x[len(x) - 1], x[:, [0, 2]],
        x[:, np.array([1, 3])], x[fb.tensor([0, 2])], x[i[:, 0]], x[i[:, 0], i[:, 1]],
        x[:, i[0]],
        x[:, i[:2, :2]], x[fb.arange(len(x)), i[:, 0]],
    ],
    "gathered": lambda x, y, i: [
        x.gather(1, i), x.gather(0, i), x.index_select(1, i[0]), x.gather(1, i[:, :2]), F.embedding(i, x), x.take(i),
        fb.take_along_dim(x, i, 1),
    ],
    "put": lambda x, y, i: [
        x.index_put((fb.tensor([0, 1]), fb.tensor([2, 3])), fb.tensor([8.0, 9.0])),
        x.index_copy(1, fb.tensor([2, 0]), y[:, :2]),
    ],
    "scattered": lambda x, y, i: [
        x.scatter(1, i[:, :1], 7.0), x.scatter(1, i[:, :1], y), x.scatter_add(1, i, y), x.index_add(1, i[0], y),
        x.scatter_reduce(1, i, y, "amax"), x.index_fill(1, fb.tensor([1, 3]), 9.0), F.one_hot(i, 4),
        F.one_hot(i[:, 0], 5).float(), x.select_scatter(y[:, 0], 1, 2), x.slice_scatter(y[:, :2], 1, 1, 3),
        x[:4, :4].diagonal_scatter(y[0, :4]),
    ],
    # operators that are written in Python, or decomposed in all programs
    "opened": lambda x, y, i: [
        *fb.atleast_2d(x[0], x), fb.atleast_3d(x), fb.dstack([x, y]), fb.isin(i, fb.tensor([1, 2])), fb.ldexp(x, i),
        fb.fft.fftshift(x, 1), fb.fft.ifftshift(x, 1), fb.diagflat(x[:2]), fb.cov(x), fb.trapezoid(x, dim=1),
        *fb.gradient(x, dim=1), fb.vander(x[0], 3), fb.linalg.matrix_norm(x), fb.quantile(x, 0.3, dim=1),
        *fb.unravel_index(i, (3, 4)), x * fb.hann_window(6), fb.fake_quantize_per_tensor_affine(x, 0.1, 0, 0, 255),
    ],
    "copies of views": lambda x, y, i: [
        fb.expand_copy(x[:, :1], (-1, 5)), fb.narrow_copy(x, 1, 2, 3), fb.permute_copy(x, (1, 0)), fb.t_copy(x),
        fb.unsqueeze_copy(x, 1), *fb.unbind_copy(x, 1), fb.select_copy(x, 1, 2), fb.view_copy(x, (-1,)),
        *fb.split_copy(x, 2, 1),
    ],
    # tensors computed from sizes
    "made": lambda x, y, i: [
        x * x.new_tensor([1.0, 2, 3, 4, 5, 6]), x * fb.tensor([[2.0]]), x + fb.tensor(len(x)), x.new_ones(3) * x[:, :3],
        x + fb.zeros_like(x), x * fb.ones(len(x), 1), fb.arange(len(x)) + i[:, 0], x + fb.full((len(x), 6), 2.5),
        fb.arange(0, 6, 2) * i[:, :3], x.new_zeros(len(x), 2), x.new_full((2, len(x)), 3.0), x / len(x),
        x.sum() / x.numel(),
        fb.arange(len(x) * 2).view(len(x), 2), fb.eye(6) + x[:1],
    ],
}
# fmt: on


def matrices(rows):
    rng = np.random.default_rng(rows)
    x, y = (fb.from_numpy(rng.uniform(0.05, 0.95, (rows, 6)).astype("float32")) for _ in range(2))
    return x, y, fb.from_numpy(rng.integers(0, 4, (rows, 6)))


@pytest.mark.parametrize("name", OF_MATRICES)
def test_operators_with_fixed_shapes_are_exported(name, compare):
    inputs = matrices(4)
    compare(export(OF_MATRICES[name], inputs), OF_MATRICES[name], *inputs)


@pytest.mark.parametrize("name", OF_MATRICES)
def test_operators_with_a_dynamic_dimension_are_exported(name, compare):
    program = export(OF_MATRICES[name], matrices(4), dynamic_axes={name: {0: "rows"} for name in "xyi"})
    for rows in (4, 6, 10):
        compare(program, OF_MATRICES[name], *matrices(rows))
