"""Tests that cumulative sums, products and extremes on the GPU equal those on the CPU."""

import pytest

import flambeau as fb
from flambeau.testing import assert_close

# Rows for a warp or a block, and divided rows; whole and divided columns; empty tensors.
SHAPES = [((7,), 0), ((20, 100), 1), ((3, 5001), 1), ((40007,), 0), ((3, 40, 5), 1), ((700, 3), 0), ((2, 1), 1)]
SHAPES += [((0, 3), 1), ((3, 0), 1), ((), 0)]


def check(function, x):
    expected, found = function(x), function(x.cuda())
    pairs = zip(found, expected, strict=True) if isinstance(expected, tuple) else [(found, expected)]
    for there, here in pairs:
        assert there.is_cuda and there.dtype == here.dtype
        assert_close(there.cpu(), here, equal_nan=True)


@pytest.mark.parametrize(("shape", "dim"), SHAPES)
def test_scans_of_all_shapes_match_the_cpu(shape, dim, host_calls):
    x = fb.randn(shape)
    check(lambda t: t.cumsum(dim), x)
    check(lambda t: (1 + t / 1000).cumprod(dim), x)
    check(lambda t: t.logcumsumexp(dim), x)
    for name in ("cummax", "cummin"):
        check(lambda t, name=name: tuple(getattr(t, name)(dim)), (x * 3).round())
    assert not host_calls()


@pytest.mark.parametrize(
    "dtype", [fb.bool, fb.uint8, fb.int32, fb.int64, fb.float16, fb.bfloat16, fb.float64, fb.complex64]
)
def test_scans_in_every_dtype_match_the_cpu(dtype, host_calls):
    x = (fb.rand(3, 3000) * 3).to(dtype)
    check(lambda t: t.cumsum(1), x[:, :500] if dtype == fb.float16 else x)
    check(lambda t: t.cumprod(0), x)
    if not dtype.is_complex:
        check(lambda t: tuple(t.cummax(1)), x)
    if dtype.is_floating_point or dtype.is_complex:
        check(lambda t: t.logcumsumexp(1), x[:, :50])
    assert not host_calls()


def test_scans_of_nan_and_infinities_match_the_cpu():
    inf, nan = float("inf"), float("nan")
    x = fb.tensor([[1, nan, 3, nan, 2], [-inf, -inf, 1, inf, 0], [inf, 1, -inf, 2, nan], [0.0, -0.0, 0.0, -0.0, 0]])
    for name in ("cummax", "cummin"):
        check(lambda t, name=name: tuple(getattr(t, name)(1)), x)
    for name in ("cumsum", "logcumsumexp"):
        check(lambda t, name=name: getattr(t, name)(1), x)
