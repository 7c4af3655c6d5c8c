"""Random matrices that the tests of linear algebra share, and a comparison with tolerances for them."""

import numpy as np

import flambeau as fb

SHAPES = [(1, 1), (3, 3), (2, 5, 5), (2, 1, 4, 4), (40, 40), (130, 130), (0, 3, 3), (0, 0), (2, 0, 0)]


RECTANGLES = [*SHAPES, (3, 5), (5, 3), (2, 7, 4), (2, 4, 7), (100, 70), (70, 100), (0, 3), (3, 0), (2, 3, 0)]


DTYPES = [d for d in ("float32", "float64", "complex64", "complex128") if hasattr(fb, d)]


def draw(shape, dtype="float64", seed=0):
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(shape)
    if dtype.startswith("complex"):
        values = values + 1j * rng.standard_normal(shape)
    return values.astype(dtype)


def well_conditioned(shape, dtype="float64", seed=0):
    return (draw(shape, dtype, seed) + 3 * np.sqrt(shape[-1]) * np.eye(shape[-1])).astype(dtype)


def close(got, want, dtype, scale=1.0):
    """Assert that values are equal up to rounding errors, which grow with the size of the matrix and with ``scale``."""
    got = got.numpy() if isinstance(got, fb.Tensor) else got
    want = np.asarray(want)
    assert got.shape == want.shape
    eps = np.finfo(dtype).eps
    largest = np.abs(want).max() if want.size else 0
    size = max(1, *want.shape[-2:]) if want.ndim > 1 else max(1, want.size)
    assert np.all(np.abs(got - want) <= 50 * scale * eps * size * max(largest, 1)), np.abs(got - want).max()


def conjugate_transpose(a):
    return a.conj().swapaxes(-1, -2)


def hermitian(shape, dtype):
    a = draw(shape, dtype)
    return a + conjugate_transpose(a)
