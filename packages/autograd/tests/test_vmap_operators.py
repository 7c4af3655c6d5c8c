"""Operators of every family under vmap, compared with a loop over the batch.

Warnings are errors, so a test fails if its operator has no batching rule.
"""

import itertools

import pytest

import flambeau as fb
from flambeau.func import vmap

SIZE = 3


def spd(x):
    """Return a symmetric positive definite matrix made from a square one."""
    return x @ x.mT + 3 * fb.eye(x.shape[-1])


def counted(shape, high):
    return ("integers", shape, high)


# (function, shapes of its arguments)
OPERATORS = [
    (lambda x, y: x + y, (2, 3), (3,)),
    (lambda x, y: x + y, (), (2, 2)),
    (lambda x, y: (x - 2 * y).sin().clamp(-0.5, 0.5), (2,), (2, 2)),
    (lambda x, y: fb.add(x, y, alpha=3), (2,), (2,)),
    (lambda x, y: fb.where(x > 0, x, y), (2, 2), ()),
    (lambda x, y, w: fb.lerp(x, y, w), (2,), (2,), ()),
    (lambda x, y, z: fb.addcmul(x, y, z, value=2), (2, 2), (2,), ()),
    (lambda x, y: fb.maximum(x, y) + fb.max(x, y), (2,), (2,)),
    (lambda x, y: x.masked_fill(x > 0, y), (2, 3), ()),
    (lambda x: x.to(fb.int32) // 2, (2, 3)),
    (lambda x: x.half().float(), (2, 3)),
    (lambda x: fb.zeros_like(x) + fb.ones_like(x) + fb.full_like(x, 2), (2, 3)),
    (lambda x: x.new_zeros(4) + x.new_full((4,), 2.0) + x.new_ones(2, 4), (2, 3)),
    (lambda x: fb.special.expit(x), (2,)),
    (lambda x: fb.complex(x, x).abs(), (2,)),
    (lambda x: fb.view_as_real(fb.view_as_complex(x)), (3, 2)),
    (lambda x: x.sum(), (2, 3)),
    (lambda x: x.sum(-1, keepdim=True), (2, 3)),
    (lambda x: x.mean((0, 1)), (2, 3, 4)),
    (lambda x: x.sum(0), ()),
    (lambda x: x.prod() + x.amax() + x.std() + x.var(1).sum(), (2, 3)),
    (lambda x: fb.var(x, False), (2, 3)),
    (lambda x: x.max(), (2, 3)),
    (lambda x: x.max(0), (2, 3)),
    (lambda x: x.argmax(), (2, 3)),
    (lambda x: x.median(), (2, 3)),
    (lambda x: x.norm() + x.norm(p=1, dim=0), (2, 3)),
    (lambda x: fb.linalg.vector_norm(x, dim=0), (2, 3)),
    (lambda x: (x > 0).any() | (x > 0).all(0), (2, 3)),
    (lambda x: x.logsumexp(0), (2, 3)),
    (lambda x: x.quantile(fb.tensor([0.2, 0.5]), 1), (2, 3)),
    (lambda x: x.softmax(-1) + x.log_softmax(0), (2, 3)),
    (lambda x: x.cumsum(0) + x.cumprod(-1), (2, 3)),
    (lambda x: x.sort(0, descending=True), (4, 3)),
    (lambda x: x.topk(2, -1), (4, 3)),
    (lambda x: x.diff(), (5,)),
    (lambda x: x.renorm(2, 0, 1.0), (2, 3)),
    (lambda x: x.permute(2, 0, 1).transpose(0, -1).movedim(0, 1), (2, 3, 4)),
    (lambda x: x.reshape(-1, 2).flatten().unflatten(0, (3, -1)), (2, 3)),
    (lambda x: x.unsqueeze(-1).squeeze().expand(4, 2, 3), (2, 3)),
    (lambda x: x.T + x.mT + x.t(), (3, 3)),
    (lambda x: x.flip(0).roll(1, 1).rot90(), (2, 3)),
    (lambda x: x.repeat(2, 1, 1).tile(2), (2, 3)),
    (lambda x: x.diagonal().diag_embed() + x.tril() + x.triu(1), (3, 3)),
    (lambda x: x.split(2) + x.chunk(2, 1), (4, 4)),
    (lambda x: x.unbind(1), (2, 3)),
    (lambda x: x.narrow(1, 1, 2).select(0, -1), (2, 3)),
    (lambda x: x.unfold(0, 2, 1), (5,)),
    (lambda x: x.unsqueeze_(0).squeeze_().t_() * 1, (2, 3)),
    (lambda x: fb.linalg.diagonal(x) + x.trace(), (3, 3)),
    (lambda x, y: x @ y, (2, 3), (3, 4)),
    (lambda x, y: x @ y, (3,), (3,)),
    (lambda x, y: x @ y, (2, 3), (3,)),
    (lambda x, y: x @ y, (3,), (3, 2)),
    (lambda x, y: x @ y, (2, 2, 3), (3, 4)),
    (lambda x, y: fb.bmm(x, y), (2, 2, 3), (2, 3, 4)),
    (lambda x, y: fb.outer(x, y) + fb.dot(x, x), (2,), (3,)),
    (lambda x, y: fb.einsum("ij,kj->ik", x, y), (2, 3), (4, 3)),
    (lambda x, y: fb.tensordot(x, y, 1) + fb.kron(x, y).sum(), (2, 3), (3, 2)),
    (lambda m, x, y: fb.addmm(m, x, y, beta=2, alpha=3), (2, 4), (2, 3), (3, 4)),
    (lambda x, y: fb.cdist(x, y), (4, 3), (2, 3)),
    (lambda x, y: fb.cat([x, y]), (2, 3), (1, 3)),
    (lambda x, y: fb.stack([x, y], -1), (2, 3), (2, 3)),
    (lambda x, y: fb.hstack([x, y]) + fb.vstack([x, y]).sum(), (2,), (2,)),
    (lambda x, y: fb.meshgrid(x, y, indexing="ij"), (2,), (3,)),
    (lambda x, y: fb.meshgrid(x, y), (2,), (3,)),  # indexing is None
    (lambda x: x[0] + x[-1, 1:].sum() + x[..., None, :2].sum(), (2, 3)),
    (lambda x: x[fb.tensor([1, 0])] + x[:, [0, 0]].sum(), (2, 3)),
    (lambda x: x[fb.tensor([True, False])], (2, 3)),
    (lambda x: x[[0, 1], :, [1, 2]], (2, 4, 3)),
    (lambda x: x[:, [0, 1, 1], 0, [1, 2, 0]], (2, 3, 2, 4)),  # adjacent after the integer has been applied
    (lambda x, i: x[i], (4, 3), counted((2,), 4)),
    (lambda x, i: x[:, i], (4, 3), counted((2,), 3)),
    (lambda x, i: x[i, :, i], (3, 4, 3), counted((2, 2), 3)),
    (lambda x, i: x[1:, i, None], (4, 3), counted((), 3)),
    (lambda x, i: x.gather(1, i), (2, 3), counted((2, 2), 3)),
    (lambda x, i: x.index_select(1, i), (2, 3), counted((4,), 3)),
    (lambda x, i: x.take(i) + x.take_along_dim(i.reshape(1, 4), 1).sum(), (2, 3), counted((4,), 3)),
    (lambda x, i, y: x.scatter(1, i, y), (2, 3), counted((2, 1), 3), (2, 1)),
    (lambda x, i, y: x.scatter_add(0, i, y), (4,), counted((3,), 4), (3,)),
    (lambda x, i, y: x.scatter_reduce(0, i, y, "amax"), (4,), counted((3,), 4), (3,)),
    (lambda x, i, y: x.index_add(0, i, y), (4, 2), counted((3,), 4), (3, 2)),
    (lambda x, i, y: x.index_put((i,), y, accumulate=True), (4, 2), counted((3,), 4), (3, 2)),
    (lambda x, i: x.index_fill(0, i, 7.0), (4, 2), counted((2,), 4)),
    (lambda x, i: fb.searchsorted(x.sort()[0], i.float()), (5,), counted((4,), 2)),
    (lambda x: spd(x).inverse() + fb.linalg.cholesky(spd(x)), (3, 3)),
    (lambda x: fb.linalg.det(x) + fb.linalg.slogdet(spd(x))[1], (3, 3)),
    (lambda x, y: fb.linalg.solve(spd(x), y), (3, 3), (3,)),
    (lambda x, y: fb.linalg.solve(spd(x), y), (3, 3), (3, 2)),
    (lambda x: fb.linalg.eigvalsh(spd(x)) + fb.linalg.svdvals(x), (3, 3)),
    (lambda x: fb.linalg.matrix_norm(x) + fb.linalg.matrix_power(x, 3).sum(), (3, 3)),
    (lambda x, y: fb.linalg.cross(x, y), (2, 3), (2, 3)),
    (lambda x: fb.fft.rfft(x).abs() + fb.fft.fftn(x).abs().sum(), (8,)),
]


def batch(kind):
    if kind and kind[0] == "integers":
        return fb.randint(0, kind[2], (SIZE, *kind[1]))
    return fb.randn(SIZE, *kind)


def listed(result):
    return [result] if isinstance(result, fb.Tensor) else list(result)


@pytest.mark.parametrize("row", OPERATORS, ids=range(len(OPERATORS)))
def test_vmap_of_every_operator_equals_a_loop(row):
    function, *kinds = row
    fb.manual_seed(0)
    batches = [batch(kind) for kind in kinds]
    choices = [set(range(len(kinds)))]
    choices += [{i} for i in range(len(kinds))] if len(kinds) > 1 else []
    for mapped, dim in itertools.product(choices, (0, -1)):
        in_dims = tuple(dim if i in mapped else None for i in range(len(kinds)))
        given = [b.movedim(0, dim) if i in mapped else b[0] for i, b in enumerate(batches)]
        result = listed(vmap(function, in_dims)(*given))
        alone = [
            listed(function(*(b[k if i in mapped else 0].clone() for i, b in enumerate(batches)))) for k in range(SIZE)
        ]
        for got, *expected in zip(result, *alone, strict=True):
            wanted = fb.stack(expected)
            assert got.shape == wanted.shape
            assert got.dtype == wanted.dtype
            assert fb.allclose(got, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mode", ["different", "same"])
@pytest.mark.parametrize(
    "function",
    [
        lambda x: fb.rand(20) + 0 * x.sum(),
        lambda x: fb.randn(4, 5).sum(0) + 0 * x.sum(),
        lambda x: fb.randint(1000, (20,)),
        lambda x: fb.randperm(100),
        lambda x: fb.rand_like(x),
        lambda x: fb.rand_like(fb.zeros(20)),
        lambda x: fb.bernoulli(fb.full((40,), 0.5)),
        lambda x: fb.normal(fb.zeros(20), 1.0),
        lambda x: fb.multinomial(fb.ones(20), 10),
        lambda x: fb.dropout(fb.ones(40)),
    ],
)
def test_randomness_decides_if_examples_draw_different_numbers(function, mode):
    fb.manual_seed(0)
    first, *others = vmap(function, randomness=mode)(fb.zeros(3, 20))
    assert len(others) == 2
    for other in others:
        assert fb.equal(first, other) == (mode == "same")


def test_dropout_in_vmap_draws_a_mask_for_each_example():
    fb.manual_seed(0)
    dropped = vmap(fb.dropout, randomness="different")(fb.ones(3, 200))
    assert 0.4 < (dropped == 0).float().mean() < 0.6
    assert not fb.equal(dropped[0], dropped[1])


@pytest.mark.parametrize("convert", [fb.Tensor.type_as, fb.Tensor.to])
def test_vmap_repeats_an_unbatched_tensor_that_takes_the_dtype_of_a_batched_one(convert):
    examples = fb.zeros(3, 2, dtype=fb.float64)
    for tensor, repeated in [(fb.tensor(4), [4.0] * 3), (fb.tensor([1, 2, 3]), [[1.0, 2.0, 3.0]] * 3)]:
        converted = vmap(lambda x, tensor=tensor: convert(tensor, x))(examples)
        assert converted.dtype == fb.float64
        assert converted.tolist() == repeated
    assert vmap(lambda x: convert(x, fb.tensor(1)))(examples).dtype == fb.int64


def test_in_place_samplers_in_vmap_draw_numbers_for_each_example():
    fb.manual_seed(0)
    written = vmap(lambda x: x.clone().normal_(), randomness="different")(fb.zeros(3, 50))
    assert not fb.equal(written[0], written[1])
    target = fb.zeros(2)
    with pytest.raises(RuntimeError, match="different inplace randomness on an unbatched tensor"):
        vmap(lambda x: target.normal_() + x, randomness="different")(fb.zeros(3, 2))
    assert fb.equal(target, fb.zeros(2))


def test_running_statistics_are_unchanged_if_vmap_cannot_update_them():
    mean, var = fb.zeros(3), fb.ones(2)  # var has the wrong size
    with pytest.raises(RuntimeError):
        fb.func.vmap(lambda x: fb.batch_norm(x, None, None, mean, var, True))(fb.randn(1, 4, 3))
    assert mean.tolist() == [0, 0, 0] and var.tolist() == [1, 1]
    mean, var = fb.zeros(3), fb.ones(3)  # vmap maps over neither of them
    with pytest.raises(RuntimeError, match="not being vmapped"):
        fb.func.vmap(lambda x: fb.batch_norm(x, None, None, mean, var, True))(fb.randn(2, 4, 3))
    assert mean.tolist() == [0, 0, 0] and var.tolist() == [1, 1, 1]


@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_an_error_for_one_example_in_vmap_changes_no_example():
    x = fb.ones(2, 3)
    ends = fb.tensor([5, -5])
    with pytest.raises(RuntimeError, match="'from' to be less than 'to'"):
        vmap(lambda row, end: row.random_(0, end), randomness="different")(x, ends)
    assert x.tolist() == [[1.0] * 3] * 2
