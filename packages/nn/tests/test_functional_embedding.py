"""Embedding lookups and embedding bags."""

import numpy as np
import pytest

import flambeau as fb
from flambeau.autograd import gradcheck, gradgradcheck
from flambeau.nn import functional as F

RNG = np.random.default_rng(0)
TABLE = RNG.standard_normal((6, 3))
REDUCTIONS = {"sum": np.sum, "mean": np.mean, "max": np.max}


def test_embedding_selects_rows_and_skips_padding_gradients():
    index = np.array([[0, 5, 2], [2, 2, 1]])
    assert np.array_equal(F.embedding(fb.tensor(index), fb.tensor(TABLE)).numpy(), TABLE[index])
    weight = fb.tensor(TABLE).requires_grad_()
    F.embedding(fb.tensor(index), weight, padding_idx=-4).sum().backward()
    assert weight.grad[:, 0].tolist() == [1, 1, 0, 0, 0, 1]
    weight.grad = None
    F.embedding(fb.tensor(index), weight, scale_grad_by_freq=True).sum().backward()
    np.testing.assert_allclose(weight.grad[:, 0].numpy(), [1, 1, 1, 0, 0, 1])


def test_embedding_max_norm_renormalises_rows_in_place():
    weight = fb.tensor(TABLE * 10)
    F.embedding(fb.tensor([1, 4, 1]), weight, max_norm=2.0)
    lengths = np.linalg.norm(weight.numpy(), axis=1)
    np.testing.assert_allclose(lengths[[1, 4]], 2, rtol=1e-6)
    assert np.array_equal(weight.numpy()[[0, 2, 3, 5]], TABLE[[0, 2, 3, 5]] * 10)


@pytest.mark.parametrize("mode", REDUCTIONS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_embedding_bag_reduces_each_bag(mode, dtype):
    index, offsets = np.array([4, 0, 0, 5, 1, 3, 2]), [0, 2, 2, 3]
    bags = np.split(index, [2, 2, 3])
    table = TABLE.astype(dtype)
    want = [REDUCTIONS[mode](table[b], 0) if len(b) else np.zeros(3) for b in bags]
    got = F.embedding_bag(fb.tensor(index), fb.tensor(table), fb.tensor(offsets), mode=mode)
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-6)
    ended = F.embedding_bag(
        fb.tensor(index), fb.tensor(table), fb.tensor([*offsets, 7]), mode=mode, include_last_offset=True
    )
    assert fb.equal(ended, got)
    sooner = F.embedding_bag(
        fb.tensor(index), fb.tensor(table), fb.tensor([*offsets, 5]), mode=mode, include_last_offset=True
    )
    assert fb.equal(sooner[:3], got[:3])
    np.testing.assert_allclose(sooner[3].numpy(), REDUCTIONS[mode](table[bags[3][:2]], 0), rtol=1e-6)
    square = F.embedding_bag(fb.tensor(index[:6].reshape(2, 3)), fb.tensor(table), mode=mode)
    np.testing.assert_allclose(square.numpy(), REDUCTIONS[mode](table[index[:6].reshape(2, 3)], 1), rtol=1e-6)
    without = F.embedding_bag(fb.tensor(index), fb.tensor(table), fb.tensor(offsets), mode=mode, padding_idx=0)
    want = [REDUCTIONS[mode](table[b[b != 0]], 0) if (b != 0).any() else np.zeros(3) for b in bags]
    np.testing.assert_allclose(without.numpy(), want, rtol=1e-6)


def test_embedding_bag_multiplies_per_sample_weights():
    index, factors = np.array([[0, 5], [2, 2]]), RNG.random((2, 2))
    got = F.embedding_bag(fb.tensor(index), fb.tensor(TABLE), mode="sum", per_sample_weights=fb.tensor(factors))
    np.testing.assert_allclose(got.numpy(), (TABLE[index] * factors[..., None]).sum(1))


@pytest.mark.parametrize("mode", REDUCTIONS)
def test_embedding_and_embedding_bag_pass_gradcheck(mode):
    weight = fb.tensor(TABLE).requires_grad_()
    index, offsets = fb.tensor([4, 0, 0, 5, 1]), fb.tensor([0, 2, 2])

    def call(weight, factors=None, **options):
        return F.embedding_bag(index, weight, offsets, mode=mode, per_sample_weights=factors, **options)

    assert gradcheck(call, (weight,))
    assert gradgradcheck(lambda w: call(w).square(), (weight,))
    assert gradcheck(lambda w: call(w, padding_idx=0), (weight,))
    if mode == "sum":
        factors = fb.tensor(RNG.random(5)).requires_grad_()
        assert gradcheck(call, (weight, factors))
        assert gradgradcheck(call, (weight, factors))
        ended = {"offsets": fb.tensor([0, 1, 3]), "include_last_offset": True}
        assert gradcheck(
            lambda w, f: F.embedding_bag(index, w, mode=mode, per_sample_weights=f, **ended), (weight, factors)
        )


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda w: F.embedding(fb.tensor([6]), w), IndexError, "out of range"),
        (
            lambda w: F.embedding(fb.tensor([0]), w, padding_idx=6),
            AssertionError,
            "Padding_idx must be within num_embeddings",
        ),
        (
            lambda w: F.embedding_bag(fb.tensor([[0]]), w, padding_idx=6),
            RuntimeError,
            "padding_idx must be within the number of embeddings",
        ),
        (lambda w: F.embedding_bag(fb.tensor([[0]]), w, mode="max", sparse=True), ValueError, "max mode"),
        (lambda w: F.embedding_bag(fb.tensor([0]), w), ValueError, "offsets"),
        (lambda w: F.embedding_bag(fb.tensor([[0]]), w, fb.tensor([0])), ValueError, "offsets has to be None"),
        (lambda w: F.embedding_bag(fb.tensor([[6]]), w), RuntimeError, "6"),
        (lambda w: F.embedding_bag(fb.tensor([0, 1]), w, fb.tensor([1])), RuntimeError, "has to be 0"),
        (lambda w: F.embedding_bag(fb.tensor([0, 1]), w, fb.tensor([0, 5])), RuntimeError, "offsets"),
        (lambda w: F.embedding_bag(fb.tensor([[0]]), w, mode="median"), ValueError, "median"),
        (
            lambda w: F.embedding_bag(fb.tensor([[0]]), w, per_sample_weights=fb.ones(1, 1).double()),
            NotImplementedError,
            "sum",
        ),
        (lambda w: F.embedding_bag(fb.tensor([[0]]), w, mode="max", scale_grad_by_freq=True), ValueError, "max"),
    ],
)
def test_embedding_rejects_invalid_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call(fb.tensor(TABLE))
