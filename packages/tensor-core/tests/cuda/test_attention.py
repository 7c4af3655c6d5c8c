"""Attention on the GPU gives what it gives on the CPU; its scores are never in memory as a whole."""

import pytest

import flambeau as fb
from flambeau import _core
from flambeau.testing import assert_close

attention = _core._scaled_dot_product_attention


def both(*tensors, tolerance=1e-5, **options):
    there = attention(*(t.cuda() for t in tensors), **options)
    assert_close(there.cpu(), attention(*tensors, **options), rtol=tolerance, atol=tolerance, equal_nan=True)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(
    ("queries", "keys", "depth", "width"), [(5, 7, 8, 4), (40, 70, 24, 40), (33, 32, 16, 16), (1, 100, 64, 64)]
)
def test_sizes(queries, keys, depth, width, causal, host_calls):
    both(fb.randn(2, queries, depth), fb.randn(2, keys, depth), fb.randn(2, keys, width), is_causal=causal)
    assert not host_calls()


@pytest.mark.parametrize("dtype", [fb.float64, fb.float16, fb.bfloat16])
def test_dtypes_and_scale(dtype, host_calls):
    q, k, v = (fb.randn(2, 9, 20).to(dtype) for _ in range(3))
    both(q, k, v, scale=0.3, tolerance={8: 1e-10, 2: 2e-2}[dtype.itemsize])
    assert not host_calls()


@pytest.mark.parametrize("shape", [(9, 40), (1, 40), (3, 1, 9, 40), (2, 1, 1, 1, 40)])
@pytest.mark.parametrize("kind", ["bool", "float"])
def test_masks(shape, kind, host_calls):
    q, k, v = fb.randn(2, 3, 4, 9, 16), fb.randn(3, 4, 40, 16), fb.randn(3, 4, 40, 16)
    mask = fb.randn(shape) > 0 if kind == "bool" else fb.randn(shape)
    both(q, k, v, mask)
    assert not host_calls()


def test_rows_that_see_nothing_and_strange_values():
    q, k, v = fb.randn(2, 6, 16), fb.randn(2, 5, 16), fb.randn(2, 5, 16)
    mask = fb.ones(6, 5, dtype=fb.bool)
    mask[2] = False
    both(q, k, v, mask)
    k[1, 3, 2] = float("nan")
    both(q, k, v)
    both(q, k[:, :0], v[:, :0])
    both(q[:, :0], k, v)
    both(q[:0], k[:0], v[:0])


def test_long_rows_are_composed():
    q, k, v = fb.randn(1, 3, 300), fb.randn(1, 4, 300), fb.randn(1, 4, 300)
    both(q, k, v)
    both(q, k, v, is_causal=True)
