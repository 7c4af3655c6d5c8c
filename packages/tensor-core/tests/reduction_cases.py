"""Test cases that the tests of reductions share: shapes, choices of dimensions, and random arrays."""

import itertools

import numpy as np

SHAPES = [(), (7,), (1,), (3, 4), (2, 3, 4), (2, 1, 3, 2), (4, 0), (0, 3), (130, 70)]
FLOATS = ["float32", "float64"]


def draw(shape, dtype):
    rng = np.random.default_rng(list(shape) + [5])
    if dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    if "int" in dtype:
        return rng.integers(0, 5, shape).astype(dtype)
    return np.asarray(rng.standard_normal(shape)).astype(dtype)


def choices(shape):
    """Yield None, every single dimension from both ends, every pair, and all dimensions."""
    n = len(shape)
    yield None
    yield from range(-n, n)
    yield from itertools.combinations(range(n), 2)
    if n > 2:
        yield tuple(range(n))


CASES = [(shape, dim, keepdim) for shape in SHAPES for dim in choices(shape) for keepdim in (False, True)]


def close(got, want, dtype):
    assert got.shape == want.shape
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(got.numpy(), want, rtol=tolerance, atol=tolerance)
