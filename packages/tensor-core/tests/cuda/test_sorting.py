"""Tests that sorting on the GPU gives the CPU's order, including ties and NaN."""

import pytest

import flambeau as fb
from flambeau.testing import assert_close

NAN = float("nan")


def numbers(shape, dtype=fb.float32):
    n = fb.empty(shape).numel()
    x = (fb.arange(n) * 2654435761 % 1000003 % 97 - 40).reshape(shape)
    if dtype.is_floating_point:
        y = (x / 7).to(dtype)
        return fb.where(
            x % 13 == 5, fb.tensor(NAN, dtype=dtype), fb.where(x % 11 == 3, fb.tensor(-0.0, dtype=dtype), y)
        )
    return x.to(dtype)


def same(got, expected):
    got, expected = ([x] if isinstance(x, fb.Tensor) else x for x in (got, expected))
    for g, e in zip(got, expected, strict=True):
        assert g.is_cuda
        assert_close(g.cpu(), e, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("dtype", [fb.float32, fb.float64, fb.float16, fb.int64, fb.int8, fb.uint8, fb.bool])
def test_sort_and_argsort_match_the_cpu(dtype, descending, host_calls):
    for shape in [(), (0,), (1,), (5,), (700, 3), (2, 129), (2050,), (2, 4500)]:
        x = numbers(shape, dtype)
        same(fb.sort(x.cuda(), descending=descending), fb.sort(x, descending=descending))
    x = numbers((50, 4, 3), dtype)
    same(fb.sort(x.cuda(), 0, descending), fb.sort(x, 0, descending))
    same(fb.argsort(x.cuda().transpose(0, 1), 1), fb.argsort(x.transpose(0, 1), 1))
    assert not host_calls()


def test_sort_of_64_bit_keys_matches_the_cpu(host_calls):
    x = fb.tensor([2**62, -(2**63), 2**63 - 1, 0, -1, 2**40]).repeat(500)
    same(fb.sort(x.cuda()), fb.sort(x))
    y = fb.tensor([1e300, -1e300, float("inf"), -float("inf"), NAN, 5e-324, -5e-324]).to(fb.float64).repeat(400)
    same(fb.sort(y.cuda(), descending=True), fb.sort(y, descending=True))
    assert not host_calls()


@pytest.mark.parametrize("dtype", [fb.float32, fb.float64, fb.bfloat16, fb.int64, fb.uint8])
@pytest.mark.parametrize("shape", [(1,), (40,), (3, 300), (3000,), (2, 9000)])
def test_topk_and_kthvalue_match_the_cpu(shape, dtype, host_calls):
    x = numbers(shape, dtype)
    for k in {0, 1, shape[-1] // 7, shape[-1] // 2, shape[-1]}:
        for largest in (False, True):
            same(fb.topk(x.cuda(), k, largest=largest), fb.topk(x, k, largest=largest))
        if k:
            same(fb.kthvalue(x.cuda(), k), fb.kthvalue(x, k))
    x = numbers(shape, fb.int32)
    same(fb.median(x.cuda(), -1), fb.median(x, -1))
    assert not host_calls()


@pytest.mark.parametrize("dtype", [fb.float32, fb.float64, fb.float16, fb.int64, fb.bool])
@pytest.mark.parametrize("shape", [(), (1,), (40,), (7, 5, 3), (3, 3000)])
def test_median_and_mode_match_the_cpu(shape, dtype, host_calls):
    x = numbers(shape, dtype)
    for dim in {0, -1} if shape else {0}:
        for function in (fb.median, fb.nanmedian, fb.mode):
            same(function(x.cuda(), dim), function(x, dim))
    same(fb.median(x.cuda()), fb.median(x))
    same(fb.nanmedian(x.cuda()), fb.nanmedian(x))
    nan = x[x != x]
    if nan.numel():
        for function in (fb.median, fb.nanmedian, fb.mode):
            same(function(nan.cuda(), 0), function(nan, 0))
    assert not host_calls()


@pytest.mark.parametrize("dtype", [fb.float32, fb.int64, fb.bool])
def test_unique_along_a_dimension_matches_the_cpu(dtype, host_calls):
    x = (fb.arange(600) * 2654435761 % 1000003 % 3 - 1).reshape(300, 2).to(dtype)
    if dtype.is_floating_point:
        x[5, 1] = x[7, 0] = NAN
        x[9] = -0.0
    for y, dim in [(x, 0), (x.t(), 1), (x.reshape(100, 2, 3), 0), (x[:1], 0)]:
        for function in (fb.unique, fb.unique_consecutive):
            there, here = (function(a, return_inverse=True, return_counts=True, dim=dim) for a in (y.cuda(), y))
            same(there, here)
    assert not host_calls()


@pytest.mark.parametrize("dtype", [fb.float32, fb.int64])
@pytest.mark.parametrize("n", [0, 1, 50, 3000])
def test_unique_matches_the_cpu(n, dtype, host_calls):
    x = numbers((n,), dtype)
    same(fb.unique(x.cuda()), fb.unique(x))
    for f in (fb.unique, fb.unique_consecutive):
        same(f(x.cuda(), return_inverse=True, return_counts=True), f(x, return_inverse=True, return_counts=True))
    assert not host_calls()


@pytest.mark.parametrize("right", [False, True])
def test_searchsorted_and_bucketize_match_the_cpu(right, host_calls):
    edges, x = fb.linspace(-5, 5, 77), numbers((500,))
    same(fb.searchsorted(edges.cuda(), x.cuda(), right=right), fb.searchsorted(edges, x, right=right))
    same(fb.bucketize(x.cuda(), edges.cuda(), right=right), fb.bucketize(x, edges, right=right))
    rows = fb.stack([edges, edges * 2])
    same(
        fb.searchsorted(rows.cuda(), x.cuda().reshape(2, 250), right=right),
        fb.searchsorted(rows, x.reshape(2, 250), right=right),
    )
    assert not host_calls()


@pytest.mark.parametrize("dtype", [fb.float32, fb.int64, fb.uint8])
@pytest.mark.parametrize("count", [0, 3, 500])
def test_isin_matches_the_cpu(dtype, count, host_calls):
    x, tests = numbers((6, 50), dtype), numbers((count,), dtype)
    for invert in (False, True):
        same(fb.isin(x.cuda(), tests.cuda(), invert=invert), fb.isin(x, tests, invert=invert))
    same(fb.isin(x.cuda(), 3), fb.isin(x, 3))
    assert not host_calls()


def test_repeat_interleave_matches_the_cpu(host_calls):
    x, counts = numbers((5, 4)), fb.tensor([2, 0, 3, 1, 0])
    same(fb.repeat_interleave(x.cuda(), counts.cuda(), 0), fb.repeat_interleave(x, counts, 0))
    same(fb.repeat_interleave(x.cuda(), fb.tensor(3).cuda(), 1), fb.repeat_interleave(x, fb.tensor(3), 1))
    same(fb.repeat_interleave(counts.cuda()), fb.repeat_interleave(counts))
    assert not host_calls()
    with pytest.raises(RuntimeError, match="can not be negative, got -1"):
        fb.repeat_interleave(x.cuda(), fb.tensor([1, -1, 1, 1, 1]).cuda(), 0)


def test_histogramdd_matches_the_cpu(host_calls):
    x, weight = numbers((500, 2)) % 3, fb.linspace(0, 1, 500)
    x[4, 1] = NAN
    for options in ({}, {"weight": weight}, {"density": True}):
        moved = {k: v.cuda() if isinstance(v, fb.Tensor) else v for k, v in options.items()}
        limits = [-1.0, 2.0, 0.0, 3.0]
        there = fb.histogramdd(x.cuda(), [3, 4], range=limits, **moved)
        here = fb.histogramdd(x, [3, 4], range=limits, **options)
        same(there.hist, here.hist)
    edges = fb.tensor([-1.0, 0.0, 0.5, 2.0])
    same(fb.histogram(x[:, 0].cuda(), edges.cuda()).hist, fb.histogram(x[:, 0], edges).hist)
    assert fb.equal(edges.cuda(), edges.clone().cuda()) and not fb.equal(edges.cuda(), edges.cuda() + 1)
    same(fb.combinations(edges.cuda(), 2), fb.combinations(edges, 2))
    assert not host_calls()


def test_bincount_and_histc_match_the_cpu():
    x = numbers((3000,), fb.int64).abs()
    same(fb.bincount(x.cuda()), fb.bincount(x))
    same(fb.bincount(x.cuda(), minlength=200), fb.bincount(x, minlength=200))
    same(fb.histc(x.cuda() / 3.0, 12, 2.0, 30.0), fb.histc(x / 3.0, 12, 2.0, 30.0))
    w = fb.linspace(0, 1, 3000)
    same(fb.bincount(x.cuda(), w.cuda()), fb.bincount(x, w))
