"""Tests that softmax and classification losses on the GPU equal those on the CPU."""

import pytest

import flambeau as fb
from flambeau.testing import assert_close

# Rows for some lanes, for blocks of several sizes, and for reading twice; misaligned rows; few, many and odd columns;
# empty tensors.
SHAPES = [((7,), 0), ((5, 300), 1), ((3, 2050), 1), ((3, 1001), 1), ((3, 40, 5), 1), ((2, 9, 64), 1), ((300, 4), 0)]
SHAPES += [((9, 1024), 1), ((2, 1031), 1), ((2, 10000), 1), ((1, 33001), 1), ((1, 66003), 1), ((40, 12), 1)]
SHAPES += [((0, 3), 1), ((3, 0), 1), ((300, 3, 2), 1), ((2, 1), 1), ((), 0)]
FUNCTIONS = {
    "softmax": lambda t, dim: t.softmax(dim),
    "log_softmax": lambda t, dim: t.log_softmax(dim),
    "logsumexp": lambda t, dim: t.logsumexp(dim),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(("shape", "dim"), SHAPES)
def test_softmax_along_each_dimension_matches_the_cpu(name, shape, dim, host_calls):
    for dtype in (fb.float32, fb.float64, fb.bfloat16):
        x = (fb.randn(shape) * 5).to(dtype)
        found = FUNCTIONS[name](x.cuda(), dim)
        assert found.is_cuda
        assert_close(found.cpu(), FUNCTIONS[name](x, dim))
    assert not host_calls()


@pytest.mark.parametrize("length", [3, 24, 1001, 5000])
def test_softmax_does_not_depend_on_the_address(length):
    for dtype in (fb.float32, fb.float64, fb.bfloat16):
        aligned = (fb.randn(3, length) * 5).to(dtype).cuda()
        moved = fb.cat([aligned.view(-1)[:1], aligned.view(-1)])[1:].view(3, length)
        for name, function in FUNCTIONS.items():
            assert function(moved, 1).tolist() == function(aligned, 1).tolist(), name


def test_softmax_of_rows_with_large_and_infinite_elements_matches_the_cpu():
    """Test values for which the terms of the sum underflow, in rows of different lengths."""
    for length in (8, 200, 3000, 40000):
        x = fb.randn(4, length) * 60
        x[1, ::2] = float("-inf")
        x[2, 1:] = float("-inf")
        x[3, length // 2] = float("nan")
        for name, function in FUNCTIONS.items():
            for dtype in (fb.float32, fb.float64, fb.bfloat16):
                found = function(x.to(dtype).cuda(), 1).cpu()
                assert_close(found, function(x.to(dtype), 1), equal_nan=True, msg=name)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dim", [0, 1])
def test_softmax_of_infinities_and_nan_matches_the_cpu(name, dim):
    inf, nan = float("inf"), float("nan")
    x = fb.tensor([[inf, 1, 2], [-inf, 1, 2], [-inf, -inf, -inf], [nan, 1, 2], [1e30, -1e30, 0], [inf, -inf, nan]])
    x = x if dim == 1 else x.T.contiguous()
    assert_close(FUNCTIONS[name](x.cuda(), dim).cpu(), FUNCTIONS[name](x, dim), equal_nan=True)


def test_logsumexp_over_several_dimensions_matches_the_cpu(host_calls):
    x = fb.randn(4, 5, 6)
    for dims in ([1, 2], [0, 2], [0, 1]):
        assert_close(x.cuda().logsumexp(dims).cpu(), x.logsumexp(dims))
    assert not host_calls()


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize(("shape", "inner"), [((6, 10), ()), ((3, 1000), ()), ((2, 5, 7, 3), (7, 3)), ((9,), None)])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_and_nll_loss_match_the_cpu(reduction, shape, inner, weighted, host_calls):
    classes = shape[0] if inner is None else shape[1]
    labels = fb.randint(0, classes, () if inner is None else (shape[0], *inner))
    if labels.dim():
        labels.view(-1)[::4] = -100
    for dtype in (fb.float32, fb.float64, fb.float16):
        x, weight = fb.randn(shape).to(dtype), fb.rand(classes).to(dtype) if weighted else None
        for name in ("cross_entropy", "nll_loss"):
            function = getattr(fb, name)
            there = function(x.cuda(), labels.cuda(), weight if weight is None else weight.cuda(), reduction=reduction)
            assert_close(there.cpu(), function(x, labels, weight, reduction=reduction), equal_nan=True)
    assert not host_calls()


def test_an_invalid_class_label_is_reported():
    with pytest.raises(IndexError, match="index 4 is out of bounds for dimension with size 4"):
        fb.cross_entropy(fb.randn(3, 4).cuda(), fb.tensor([0, 4, 1]).cuda()).item()
