"""Random arrays, sizes and a comparison that the tests of convolutions and of pooling share."""

import numpy as np


def both(v):
    return v if isinstance(v, tuple) else (v, v)


def draw(shape, dtype="float32", seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(dtype)


def close(got, want, dtype="float32"):
    assert got.shape == want.shape
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(got.numpy(), want, rtol=tolerance, atol=tolerance * 10)
