"""Tests of masked operations against NumPy's masked arrays and against loops over the included elements."""

import itertools
import math

import numpy as np
import pytest
import scipy.special

import flambeau as fb

RANDOM = np.random.default_rng(5)
VALUES = RANDOM.standard_normal((3, 4, 5))
MASK = RANDOM.random((3, 4, 5)) < 0.6
MASK[:2] = MASK[:, :2] = MASK[..., :2] = True  # includes at least two elements along every dimension
HIDDEN = np.ma.masked_array(VALUES, ~MASK)


def norm(array, axis, order):
    return np.ma.filled((abs(array) ** order).sum(axis) ** (1 / order))


REDUCTIONS = {
    "sum": lambda axis: HIDDEN.sum(axis),
    "prod": lambda axis: HIDDEN.prod(axis),
    "amax": lambda axis: HIDDEN.max(axis),
    "amin": lambda axis: HIDDEN.min(axis),
    "mean": lambda axis: HIDDEN.mean(axis),
    "var": lambda axis: HIDDEN.var(axis, ddof=1),
    "std": lambda axis: HIDDEN.std(axis, ddof=1),
    "logsumexp": lambda axis: np.log(np.ma.exp(HIDDEN).sum(axis)),
    "norm": lambda axis: norm(HIDDEN, axis, 2),
}


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("dim", [None, 0, -1, (0, 2), (2, 1)])
@pytest.mark.parametrize("keepdim", [False, True])
def test_masked_reductions_ignore_masked_elements(name, dim, keepdim):
    result = getattr(fb.masked, name)(fb.tensor(VALUES), dim=dim, keepdim=keepdim, mask=fb.tensor(MASK))
    axis = tuple(range(3)) if dim is None else dim
    expected = np.asarray(REDUCTIONS[name](axis))
    np.testing.assert_allclose(result.numpy().reshape(expected.shape), expected, rtol=1e-12)
    assert result.ndim == (3 if keepdim else expected.ndim)


def test_masked_reductions_accept_sparse_tensors_and_sparse_masks():
    stored = RANDOM.random((3, 4, 5)) < 0.4
    x = fb.tensor(np.where(stored, VALUES, 0))
    for mask in (MASK, MASK[0], MASK & (RANDOM.random((3, 4, 5)) < 0.3)):
        for given in (fb.tensor(mask), fb.tensor(mask).to_sparse()):
            for sparse_dim, (name, dim, keepdim) in itertools.product(
                (2, 3), itertools.product(("sum", "prod", "amax", "amin"), (None, 1, (0, 2)), (False, True))
            ):
                result = getattr(fb.masked, name)(x.to_sparse(sparse_dim), dim, keepdim=keepdim, mask=given)
                expected = getattr(fb.masked, name)(x, dim, keepdim=keepdim, mask=fb.tensor(mask))
                counted = np.broadcast_to(mask, VALUES.shape).any(
                    dim if dim is not None else (0, 1, 2), keepdims=keepdim
                )
                assert result.layout is fb.sparse_coo and result.dtype is fb.float64
                np.testing.assert_allclose(
                    np.where(counted, result.to_dense().numpy(), 0), np.where(counted, expected.numpy(), 0)
                )


def test_masked_reductions_of_sparse_tensors_return_sparse_tensors():
    x = fb.tensor([[0, 2, 0], [0, 0, 0], [3, 4, 0]])
    mask = fb.tensor([[True, True, False], [False, False, False], [True, True, False]])
    s, c = x.to_sparse(), x.to_sparse_csr()
    total = fb.masked.sum(s, 0)
    assert total.layout is fb.sparse_coo and total.dtype is fb.int64 and total.to_dense().tolist() == [3, 6, 0]
    largest = fb.masked.amin(s, 1, mask=mask)
    assert largest.indices().tolist() == [[0, 2]] and largest.values().tolist() == [0, 3]
    assert fb.masked.prod(s, mask=mask[2]).to_dense().item() == 0
    assert fb.masked.sum(c, 0, keepdim=True).to_dense().tolist() == [[3, 6, 0]]
    mean = fb.masked.mean(c.double(), 1, keepdim=True, mask=mask)
    assert mean.crow_indices().tolist() == [0, 1, 1, 2] and mean.values().tolist() == [1, 3.5]
    assert fb.masked._input_mask(s, mask=mask[0]).layout is fb.sparse_coo
    assert fb.masked._output_mask(fb.masked.sum, s, 1, mask=mask).tolist() == [True, False, True]


@pytest.mark.parametrize(("name", "reference"), [("argmax", np.ma.argmax), ("argmin", np.ma.argmin)])
def test_masked_argmax_and_argmin_match_numpy(name, reference):
    function = getattr(fb.masked, name)
    found = function(fb.tensor(VALUES), 1, dtype=fb.int64, mask=fb.tensor(MASK))
    assert np.array_equal(found.numpy(), reference(HIDDEN, axis=1))
    assert function(fb.tensor(VALUES), 1, mask=fb.tensor(MASK)).dtype is fb.float64


def test_masked_median_is_the_lower_of_two_elements():
    x = fb.tensor([[1.0, 9.0, 2.0, 3.0, 4.0]])
    assert fb.masked.median(x, 1, mask=x != 9).tolist() == [2.0]
    assert math.isnan(fb.masked.median(x, 1, mask=x > 100).item())
    with pytest.raises(ValueError, match="fully masked out rows"):
        fb.masked.median(x.long(), 1, mask=x > 100)


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("softmax", lambda x: scipy.special.softmax(np.where(MASK, x, -np.inf), 1)),
        ("log_softmax", lambda x: scipy.special.log_softmax(np.where(MASK, x, -np.inf), 1)),
        ("softmin", lambda x: scipy.special.softmax(np.where(MASK, -x, -np.inf), 1)),
        ("cumsum", lambda x: np.cumsum(np.where(MASK, x, 0), 1)),
        ("cumprod", lambda x: np.cumprod(np.where(MASK, x, 1), 1)),
    ],
)
def test_masked_softmax_functions_ignore_masked_elements(name, reference):
    mask = MASK.any(1, keepdims=True) & MASK  # every column has an included element
    result = getattr(fb.masked, name)(fb.tensor(VALUES), 1, mask=fb.tensor(mask))
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(result.numpy(), reference(VALUES), rtol=1e-12)


def test_masked_normalize_divides_by_the_norm():
    result = fb.masked.normalize(fb.tensor(VALUES), 3.0, 1, mask=fb.tensor(MASK))
    expected = np.where(MASK, VALUES, 0) / np.expand_dims(norm(HIDDEN, 1, 3), 1)
    np.testing.assert_allclose(result.numpy(), expected, rtol=1e-12)


def test_masked_logaddexp_takes_a_mask_for_each_operand():
    one, other = fb.tensor([0.0, 1.0, 2.0]), fb.tensor([3.0, 4.0, 5.0])
    result = fb.masked.logaddexp(
        one, other, input_mask=fb.tensor([True, False, True]), other_mask=fb.tensor([True, True, False])
    )
    np.testing.assert_allclose(result.numpy(), [np.logaddexp(0, 3), 4, 2], rtol=1e-6)


@pytest.mark.parametrize(("name", "value"), [("sum", 0), ("prod", 1), ("amax", -128), ("amin", 127), ("norm", 0.0)])
def test_fully_masked_reductions_give_the_identity(name, value):
    dtype = fb.float32 if name == "norm" else fb.int8
    x = fb.ones(2, dtype=dtype)
    assert getattr(fb.masked, name)(x, mask=fb.zeros(2, dtype=fb.bool)).item() == value


def test_masks_broadcast_and_small_integers_are_summed_as_int64():
    x = fb.full((2, 3), 100, dtype=fb.int8)
    total = fb.masked.sum(x, mask=fb.tensor([True, False, True]))
    assert total.dtype is fb.int64
    assert total.item() == 400


def test_masked_variance_takes_a_correction():
    x, mask = fb.tensor([1.0, 2.0, 6.0, 100.0]), fb.tensor([True, True, True, False])
    assert fb.masked.var(x, correction=0, mask=mask).item() == pytest.approx(np.var([1, 2, 6]))
    assert fb.masked.var(x, unbiased=False, mask=mask).item() == pytest.approx(np.var([1, 2, 6]))
    with pytest.raises(AssertionError, match="Only one of unbiased and correction"):
        fb.masked.var(x, unbiased=True, correction=1, mask=mask)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: fb.masked.sum(x, mask=fb.ones(1, 2, 3)), IndexError, "dimensionality higher than of the input"),
        (lambda x: fb.masked.sum(x, (0, -2)), RuntimeError, "appears multiple times"),
        (lambda x: fb.masked.sum(x, 2), IndexError, "Dimension out of range"),
        (lambda x: fb.masked.mean(x.long()), ValueError, "Could not infer output dtype"),
        (lambda x: fb.masked.amax(x.bool(), mask=x > 0), NotImplementedError, "identity of amax on"),
        (lambda x: fb.masked.cumsum(x.to_sparse(), 0), ValueError, "expects strided tensor"),
        (lambda x: fb.masked.sum(x.to_sparse_csc()), ValueError, "expects strided, sparse_coo or sparse_csr tensor"),
        (lambda x: fb.masked.prod(x.to_sparse()), ValueError, "expects explicit mask for sparse_coo tensor input"),
        (lambda x: fb.masked.mean(x.to_sparse(), mask=x > 0), ValueError, "expects strided or sparse_csr tensor"),
        (lambda x: fb.masked.sum(x.to_sparse_csr(), 0), RuntimeError, "with keepdim=False is unsupported"),
    ],
)
def test_masked_functions_reject_invalid_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call(fb.ones(2, 2))


def test_output_masks_mark_reductions_with_elements():
    x, mask = fb.ones(2, 3), fb.tensor([[True, False, True], [False, False, False]])
    assert fb.masked._output_mask(fb.masked.sum, x, 1, mask=mask).tolist() == [True, False]
    assert fb.masked._output_mask(fb.masked.softmax, x, 1, mask=mask).tolist() == mask.tolist()
    with pytest.raises(ValueError, match="expected masked operation"):
        fb.masked._output_mask(fb.exp, x, mask=mask)


def test_gradients_of_masked_functions_reach_only_unmasked_elements():
    autograd = pytest.importorskip("flambeau.autograd")
    x, mask = fb.tensor(VALUES, requires_grad=True), fb.tensor(MASK)
    (slope,) = autograd.grad(fb.masked.mean(x, mask=mask), x)
    np.testing.assert_allclose(slope.numpy(), MASK / MASK.sum(), rtol=1e-12)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "softmin", "cumsum", "cumprod", "median"])
@pytest.mark.parametrize("dim", [None, (0, 1)])
def test_masked_functions_of_one_dimension_use_the_first_of_several_dimensions(name, dim):
    x = fb.rand(3, 4)
    function = getattr(fb.masked, name)
    assert fb.equal(function(x, dim, mask=x > 0), function(x, 0, mask=x > 0))
