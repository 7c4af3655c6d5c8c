"""Tests that pooling, interpolation and padding give the same results on the GPU and the CPU."""

import pytest

import flambeau as fb
from flambeau import _core
from flambeau.testing import assert_close


def both(function, x, *arguments, tolerance=1e-5, **options):
    there, here = function(x.cuda(), *arguments, **options), function(x, *arguments, **options)
    for t, h in zip(there, here, strict=True) if isinstance(here, tuple) else [(there, here)]:
        assert_close(t.cpu(), h, rtol=tolerance, atol=tolerance, equal_nan=True)


@pytest.mark.parametrize(
    ("dims", "shape", "options"),
    [
        (1, (2, 3, 20), {"kernel_size": 3}),
        (2, (2, 3, 9, 8), {"kernel_size": (3, 2), "stride": 2, "padding": 1, "ceil_mode": True}),
        (2, (3, 9, 8), {"kernel_size": 2, "dilation": 3, "padding": 1, "stride": 1}),
        (2, (0, 3, 9, 8), {"kernel_size": 2}),
        (2, (2, 3, 12, 12), {"kernel_size": 3, "stride": 2, "padding": 1}),
        (2, (3, 10, 13), {"kernel_size": 3, "dilation": 3, "padding": 1, "stride": 1}),
        (3, (1, 2, 5, 6, 7), {"kernel_size": 3, "padding": 1}),
        (3, (1, 2, 5, 6, 7), {"kernel_size": (2, 3, 2), "stride": (1, 2, 3)}),
    ],
)
def test_max_pool_matches_the_cpu(dims, shape, options, host_calls):
    both(getattr(fb, f"max_pool{dims}d"), fb.randn(shape), **options, return_indices=True)
    assert not host_calls()


@pytest.mark.parametrize("dtype", [fb.float64, fb.bfloat16, fb.int32, fb.uint8])
def test_max_pool_selects_the_first_of_equal_values(dtype, host_calls):
    x = (fb.randn(2, 12, 12, dtype=fb.float64) * 2).round().abs().to(dtype)
    if dtype.is_floating_point:
        x[0, 3, 3] = x[0, 3, 4] = float("nan")
        x[1] = float("-inf")
    both(fb.max_pool2d, x, 3, 1, return_indices=True)
    assert not host_calls()


def test_pooling_of_views_matches_the_cpu(host_calls):
    both(fb.max_pool2d, fb.randn(8, 9, 3, 2).permute(3, 2, 0, 1), 2, return_indices=True)
    both(fb.avg_pool2d, fb.randn(8, 9, 3, 2).permute(3, 2, 0, 1), 2)
    assert not host_calls()


@pytest.mark.parametrize("sizes", [(3, 4), (1, 1), (9, 20), (0, 2)])
def test_adaptive_pooling_matches_the_cpu(sizes, host_calls):
    x = fb.randn(2, 3, 9, 11)
    both(_core._adaptive_max_pool2d, x, sizes, return_indices=True)
    if sizes != (1, 1):  # a mean
        both(_core._adaptive_avg_pool2d, x, sizes)
    assert not host_calls()


@pytest.mark.parametrize("dtype", [fb.float32, fb.float64, fb.float16])
def test_average_pooling_matches_the_cpu(dtype, host_calls):
    x, tolerance = fb.randn(2, 3, 9, 8, dtype=fb.float64).to(dtype), 2e-3 if dtype == fb.float16 else 1e-5
    both(fb.avg_pool2d, x, (3, 2), 2, 1, ceil_mode=True, tolerance=tolerance)
    both(fb.avg_pool2d, x, 3, 1, 1, count_include_pad=False, tolerance=tolerance)
    both(fb.avg_pool2d, x, 3, divisor_override=5, tolerance=tolerance)
    both(fb.avg_pool1d, x[0], 3, 2, tolerance=tolerance)
    both(fb.avg_pool3d, x, (2, 3, 3), tolerance=tolerance)
    assert not host_calls()


def test_average_pooling_of_integers_matches_the_cpu(host_calls):
    x = fb.randint(-50, 50, (2, 3, 9, 8))
    both(fb.avg_pool2d, x, (3, 2), 2, 1, ceil_mode=True)
    assert fb.avg_pool2d(x.cuda(), 3).is_cuda
    assert not host_calls()


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(5, 7), (17, 12), (9, 11)])
def test_interpolation_matches_the_cpu(mode, size, host_calls):
    x = fb.randn(2, 3, 9, 11)
    both(_core.nn_interpolate, x, size, mode=mode)
    assert not host_calls()


@pytest.mark.parametrize("dtype", [fb.float32, fb.bfloat16, fb.int64, fb.bool])
@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_padding_modes_match_the_cpu(mode, dtype, host_calls):
    both(_core.nn_pad, (fb.randn(2, 3, 6, 5) * 9).to(dtype), (2, 1, -1, 3), mode=mode)
    assert not host_calls()


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_unpooling_matches_the_cpu(dims, host_calls):
    x = fb.randn(2, 3, *(6, 8, 4)[:dims])
    pool, unpool = getattr(fb, f"max_pool{dims}d"), getattr(_core, f"nn_max_unpool{dims}d")
    values, places = pool(x, 2, return_indices=True)
    assert_close(unpool(values.cuda(), places.cuda(), 2).cpu(), unpool(values, places, 2), rtol=0, atol=0)
    assert not host_calls()
