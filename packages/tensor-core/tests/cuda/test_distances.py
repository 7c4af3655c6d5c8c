"""Tests that distances between rows are the same on the GPU and the CPU."""

import pytest

import flambeau as fb
from flambeau.testing import assert_close


@pytest.mark.parametrize("p", [0, 0.5, 1, 2, 3, float("inf")])
@pytest.mark.parametrize("dtype", [fb.float32, fb.float64])
@pytest.mark.parametrize(
    ("a", "b"), [((5, 7), (9, 7)), ((2, 1, 20, 33), (3, 18, 33)), ((4, 0), (3, 0)), ((0, 3), (2, 3))]
)
def test_cdist_matches_the_cpu(a, b, dtype, p, host_calls):
    x, y = fb.randn(a).to(dtype), fb.randn(b).to(dtype)

    there, here = fb.cdist(x.cuda(), y.cuda(), p), fb.cdist(x, y, p)
    assert there.shape == here.shape
    assert_close(there.cpu(), here, rtol=1e-4, atol=1e-4)
    assert not host_calls()


@pytest.mark.parametrize("p", [0, 1, 2, 2.5, float("inf")])
def test_pdist_matches_the_cpu(p, host_calls):
    x = fb.randn(20, 6)
    assert_close(fb.pdist(x.cuda(), p).cpu(), fb.pdist(x, p), rtol=1e-4, atol=1e-5)
    x[3, 2] = float("nan")
    assert_close(fb.pdist(x.cuda(), p).cpu(), fb.pdist(x, p), rtol=1e-4, atol=1e-5, equal_nan=True)
    assert not host_calls()


@pytest.mark.parametrize("dtype", [fb.float32, fb.int64, fb.complex64, fb.bfloat16])
def test_cross_matches_the_cpu(dtype, host_calls):
    x, y = (fb.randn(4, 3, 5) * 5).to(dtype), (fb.randn(1, 3, 5) * 5).to(dtype)
    assert_close(fb.linalg.cross(x.cuda(), y.cuda(), dim=1).cpu(), fb.linalg.cross(x, y, dim=1), rtol=1e-5, atol=1e-5)
    assert not host_calls()
